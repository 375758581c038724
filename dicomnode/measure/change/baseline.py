"""Which earlier study is the baseline, and which of its lesions are the targets from then on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import TimePoint
from dicomnode.measure.targets import select


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What an assessment starts from.

    Attributes
    ----------
    place
        Index of the time point; None where none has lesions.
    targets
        Tracking UIDs, in the order of the lesions of that time point.
    whose
        How they became targets, in words.
    """

    place: int | None = None
    targets: tuple[str, ...] = ()
    whose: str = ""


def baseline(points: Sequence[TimePoint], spec: MeasureSpec) -> Baseline:
    """The earliest time point at which a person chose the targets, else the earliest with lesions.

    A choice by name (`TimePoint.chosen`) goes before the targets of contours that a person corrected.

    There they are those that are marked; those that later reports mark, if it has them all and an algorithm found it;
    else they are selected by size (RECIST 1.1, section 4.2). Contours that a person drew are a choice of lesions, and
    not yet one of targets.

    Parameters
    ----------
    points
        The oldest first, the same lesion under the same tracking UID.
    """
    own = [place for place, point in enumerate(points) if (point.by_person or point.chosen) and _marks(point)]
    marked = [place for place in own if points[place].chosen] or own
    if marked:
        return Baseline(place=marked[0], targets=_marks(points[marked[0]]), whose="chosen by a person")
    first = next((place for place, point in enumerate(points) if point.lesions), None)
    if first is None:
        return Baseline()
    point = points[first]
    later = next((marks for one in points[first + 1 :] if (marks := _marks(one))), ())
    known = {lesion.tracking_uid for lesion in point.lesions}
    kept = _marks(point) or (later if set(later) <= known and not point.by_person else ())
    if kept:
        ordered = tuple(lesion.tracking_uid for lesion in point.lesions if lesion.tracking_uid in kept)
        return Baseline(place=first, targets=ordered, whose="selected by size")
    chosen = replace(point, lesions=select(point.lesions, spec, point.slice_mm or 0.0))
    whose = "selected by size among those that a person drew" if point.by_person else "selected by size"
    return Baseline(place=first, targets=_marks(chosen), whose=whose)


def marked(point: TimePoint, targets: Collection[str]) -> TimePoint:
    """A time point with these targets and no others."""
    lesions = tuple(replace(lesion, target=lesion.tracking_uid in targets) for lesion in point.lesions)
    return replace(point, lesions=lesions)


def _marks(point: TimePoint) -> tuple[str, ...]:
    return tuple(lesion.tracking_uid for lesion in point.lesions if lesion.target)
