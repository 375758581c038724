"""Holds a result against what its bundle calls plausible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicomnode.domain.finding import Check, Detection, Measurement, Segmentation, SourceSeries
from dicomnode.domain.model import CheckSpec, ModelSpec, Severity
from dicomnode.infer.quality.extent import Extent, components, extents_of, middle_mm
from dicomnode.infer.quality.outcome import Outcome, as_check, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the rules look at; `extents` has the segments that were found, `names` all that could be."""

    found: Segmentation
    names: Mapping[int, str]
    extents: Mapping[int, Extent]
    detections: Sequence[Detection]
    scores: Sequence[Measurement]
    spec: ModelSpec
    source: SourceSeries | None

    @property
    def there(self) -> dict[int, tuple[str, Extent]]:
        """Name and extent of the segments that were found."""
        return {number: (self.names[number], self.extents[number]) for number in self.names if number in self.extents}


#: A rule of the output gives one outcome for every segment, pair or score that its limit names.
ResultRule = Callable[[Result, Any], Iterator[Outcome]]


def check(
    found: Segmentation,
    spec: ModelSpec,
    *,
    detections: Sequence[Detection] = (),
    scores: Sequence[Measurement] = (),
    source: SourceSeries | None = None,
) -> tuple[Check, ...]:
    """Hold a result against what the bundle calls plausible.

    Where the bundle does not say otherwise, every segment of a mask has to be present and whole and every score in
    its range, else a warning tells.

    Parameters
    ----------
    scores
        Measurements that a model gave itself, named as its `[[score]]` are.
    source
        The series of the first input, to see where the middle of the body lies; the grid's middle counts without.
    """
    result = Result(
        found=found,
        names={segment.number: segment.label for segment in found.segments},
        extents=extents_of(found.volume) if found.segments else {},
        detections=detections,
        scores=scores,
        spec=spec,
        source=source,
    )
    stated = {limit.rule for limit in spec.plausible}
    limits = (*spec.plausible, *(limit for limit in _unstated(result) if limit.rule not in stated))
    return tuple(as_check(outcome, limit) for limit in limits for outcome in RULES[limit.rule](result, limit.limit))


def _unstated(result: Result) -> Iterator[CheckSpec]:
    """What holds for every result whose bundle does not state it."""
    segments, scores = tuple(result.names), tuple(score.number for score in result.spec.scores)
    for rule, limit in (("present", segments), ("whole", segments), ("score_range", scores)):
        yield CheckSpec(rule=rule, limit=limit, severity=Severity.WARN)


def right_of(result: Result, limit: tuple[tuple[int, int], ...]) -> Iterator[Outcome]:
    """The first segment of a pair lies further to the patient's right than the second: at smaller x (LPS)."""
    for right, left in limit:
        if right in result.there and left in result.there:
            (right_name, right_extent), (left_name, left_extent) = result.there[right], result.there[left]
            right_mm, left_mm = right_extent.centre_mm[0], left_extent.centre_mm[0]
            yield Outcome(
                found=f"{right_name} lies at x = {right_mm:.0f} mm and {left_name} at x = {left_mm:.0f} mm",
                needed=f"{right_name} at smaller x (LPS); else the orientation of the images is not believed",
                passed=right_mm < left_mm,
            )


def side(result: Result, limit: tuple[Any, ...]) -> Iterator[Outcome]:
    """The centre of a segment lies on the patient's right or left of the middle of the body."""
    asked = [(one, *result.there[one.segment]) for one in limit if one.segment in result.there]
    middle = middle_mm(result.found.volume, result.source) if asked else 0.0
    for one, name, extent in asked:
        off_mm = extent.centre_mm[0] - middle
        where = "left" if off_mm > 0 else "right"
        found = f"{name} lies {abs(off_mm):.0f} mm {where} of the middle of the body"
        yield Outcome(found=found, needed=one.side, passed=where == one.side)


def volume_ml(result: Result, limit: tuple[Any, ...]) -> Iterator[Outcome]:
    """A segment that was found has a volume in the range."""
    for one in limit:
        if one.segment in result.there:
            name, extent = result.there[one.segment]
            volume = extent.voxels * result.found.volume.voxel_volume / 1000
            yield _of(name, within([volume], one.range, "ml"))


def pieces(result: Result, limit: tuple[Any, ...]) -> Iterator[Outcome]:
    """A segment consists of as many separate pieces; one that was not found has none."""
    for one in limit:
        if one.segment in result.names:
            extent = result.extents.get(one.segment)
            count = components(result.found.volume.array, one.segment, extent) if extent else 0
            yield _of(result.names[one.segment], within([count], one.range, "pieces"))


def length_mm(result: Result, limit: tuple[Any, ...]) -> Iterator[Outcome]:
    """A segment that was found covers slices over this length along their normal."""
    for one in limit:
        if one.segment in result.there:
            name, extent = result.there[one.segment]
            slices = extent.box[0].stop - extent.box[0].start
            yield _of(name, within([slices * result.found.volume.spacing[0]], one.range, "mm"))


def inside(result: Result, limit: tuple[Any, ...]) -> Iterator[Outcome]:
    """A share of a segment lies within the smallest box round another, which has to be there then.

    A box, because labels exclude each other: a tumour takes its voxels from the organ, at its rim as in its middle.
    """
    for one in limit:
        if one.segment not in result.there or one.of not in result.names:
            continue
        (name, extent), around = result.there[one.segment], result.extents.get(one.of)
        share = 0.0
        if around is not None:
            common = tuple(
                slice(max(mine.start, other.start), min(mine.stop, other.stop))
                for mine, other in zip(extent.box, around.box, strict=True)
            )
            share = float((result.found.volume.array[common] == one.segment).sum()) / extent.voxels
        yield Outcome(
            found=f"{share:.0%} of {name} inside {result.names[one.of]}",
            needed=f"{one.share:.0%} or more",
            passed=share >= one.share,
        )


def present(result: Result, limit: tuple[int, ...]) -> Iterator[Outcome]:
    """A segment has voxels."""
    for one in limit:
        if one in result.names:
            there = one in result.extents
            found = f"{result.names[one]}: {'found' if there else 'nothing found'}"
            yield Outcome(found=found, needed="one voxel or more", passed=there)


def whole(result: Result, limit: tuple[int, ...]) -> Iterator[Outcome]:
    """A segment ends before the first and last slice; else it may be cut off there."""
    for one in limit:
        if one in result.there:
            name, extent = result.there[one]
            slices = extent.box[0]
            cut = {"first": slices.start == 0, "last": slices.stop == result.found.volume.spatial_shape[0]}
            ends = " and ".join(end for end, reached in cut.items() if reached)
            found = f"{name} reaches the {ends} slice and may be cut off there" if ends else f"{name} ends before both"
            yield Outcome(found=found, needed="free slices at both ends", passed=not ends)


def detections(result: Result, limit: tuple[int, int]) -> Iterator[Outcome]:
    """There are as many detections."""
    yield within([len(result.detections)], limit, "detections")


def score_range(result: Result, limit: tuple[int, ...]) -> Iterator[Outcome]:
    """A score of the model lies in the range that its `[[score]]` states."""
    for stated in result.spec.scores:
        for score in result.scores:
            if stated.number in limit and stated.range is not None and score.name == stated.name:
                unit = "" if score.unit.value == "1" else score.unit.value
                yield _of(score.name.meaning, within([score.value], stated.range, unit))


def _of(name: str, outcome: Outcome) -> Outcome:
    return Outcome(found=f"{name}: {outcome.found}", needed=outcome.needed, passed=outcome.passed)


RULES: Mapping[str, ResultRule] = {
    rule.__name__: rule
    for rule in (
        right_of, side, volume_ml, pieces, length_mm, inside, present, whole, detections, score_range,
    )
}  # fmt: skip
