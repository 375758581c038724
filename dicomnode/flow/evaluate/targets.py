"""What of a model is held against what of a reference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.model import ModelSpec, Segment, Subject, Task
from dicomnode.flow.evaluate.wish import Wish

#: Stands for all lesions that a model marks, however many segments they come in.
LESIONS = "lesions"

#: Category 49755003 "Morphologically Abnormal Structure" (SCT).
_ABNORMAL = "49755003"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that is evaluated.

    Attributes
    ----------
    segments
        Of the model; their voxels together are its answer.
    patterns
        Names of regions of the reference, `*` standing for anything; empty where codes and names have to tell.
    lesion
        Whether it is found or missed, part by part.
    """

    name: str
    segments: tuple[Segment, ...]
    patterns: tuple[str, ...] = ()
    lesion: bool = False

    def drawn_as(self, region: Segment) -> bool:
        """Whether a region of a reference stands for this."""
        if self.patterns:
            return named(region.label, self.patterns)
        if self.lesion and _is_lesion(region):
            return True
        return any(_same(segment, region) for segment in self.segments)


def measurable(spec: ModelSpec) -> bool:
    """Whether a model marks something that can be held against a reference."""
    return spec.task in (Task.SEGMENT, Task.DETECT) and bool(spec.segments)


def targets_of(spec: ModelSpec, wish: Wish) -> tuple[Target, ...]:
    """What a model finds: each structure for itself, all lesions and nodes as one.

    With `--roi`, only what is named there.

    Raises
    ------
    ConfigError
        If the model draws nothing, or a name of the wish is none of its segments.
    """
    if not measurable(spec):
        remedy = f"its task is {spec.task}; evaluated are models that draw masks or boxes"
        raise ConfigError([Fault(key="NAME", value=spec.name, remedy=remedy)])
    whole = tuple(_targets(spec))
    if not wish.rois:
        return whole
    found = []
    for key, patterns in wish.rois.items():
        target = next((one for one in whole if _words(one.name) == _words(key)), None) or _by_segment(spec, key)
        if target is None:
            known = [*(one.name for one in whole), *(segment.label for segment in spec.segments)]
            remedy = f"model {spec.name} has {', '.join(dict.fromkeys(map(_key, known)))}"
            raise ConfigError([Fault(key="--roi", value=key, remedy=remedy)])
        found.append(Target(name=target.name, segments=target.segments, patterns=tuple(patterns), lesion=target.lesion))
    return tuple(found)


def named(label: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns, whatever its capitals."""
    return any(fnmatchcase(label.strip().casefold(), pattern.strip().casefold()) for pattern in patterns)


def _targets(spec: ModelSpec) -> Iterator[Target]:
    for segment in spec.segments:
        if not _is_lesion(segment):
            yield Target(name=segment.label, segments=(segment,))
    lesions = tuple(segment for segment in spec.segments if _is_lesion(segment))
    if lesions:
        yield Target(name=LESIONS, segments=lesions, lesion=True)


def _is_lesion(segment: Segment) -> bool:
    return segment.subject is not Subject.STRUCTURE or segment.category.value == _ABNORMAL


def _by_segment(spec: ModelSpec, key: str) -> Target | None:
    for segment in spec.segments:
        if key == str(segment.number) or _words(segment.label) == _words(key):
            return Target(name=segment.label, segments=(segment,), lesion=_is_lesion(segment))
    return None


def _key(text: str) -> str:
    """A name as it is typed without quotes: `Left lung` is `left_lung`."""
    return re.sub(r"\W+", "_", text.casefold()).strip("_")


def _words(text: str) -> frozenset[str]:
    """The words of a name whatever their order: `lung_left` is `Left lung`."""
    return frozenset(_key(text).split("_"))


def _same(segment: Segment, region: Segment) -> bool:
    if _words(segment.label) == _words(region.label):
        return True
    side = (segment.laterality and segment.laterality.value, region.laterality and region.laterality.value)
    return (segment.type.scheme, segment.type.value) == (region.type.scheme, region.type.value) and side[0] == side[1]
