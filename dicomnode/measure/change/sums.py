"""Sums of earlier studies: of those at hand, and of those that a report of ours still tells of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from dicomnode.domain.response import Lesion, SumAt, TimePoint, ToldSums, sums_uid
from dicomnode.measure.change.baseline import Baseline
from dicomnode.measure.change.criteria import Criterion, Sums
from dicomnode.measure.targets import OF_TARGETS


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What there was before the present study.

    Attributes
    ----------
    rows
        The summed lesions of every earlier study that has them all.
    every_study
        Whether no sum is known to be missing between baseline and now.
    """

    rows: tuple[tuple[Lesion, ...], ...] = ()
    baseline: SumAt | None = None
    nadir: SumAt | None = None
    every_study: bool = True

    def with_now(self, now: Sequence[Lesion]) -> Sums:
        """What a criterion judges."""
        return Sums(
            earlier=self.rows,
            now=tuple(now),
            baseline=self.baseline.value if self.baseline else None,
            nadir=self.nadir.value if self.nadir else None,
            every_study=self.every_study,
        )


def history(way: Criterion, points: Sequence[TimePoint], start: Baseline, missing_before: date | None) -> History:
    """Baseline and nadir of a criterion.

    Of the reports whose sums are of the same targets the newest counts: it tells of studies that are too old or too
    many to be at hand.

    Parameters
    ----------
    points
        The oldest first.
    missing_before
        Before this day there may be studies that are not at hand; None where all are.
    """
    rows = tuple(_rows(way, points[start.place :] if start.place is not None else (), start.targets))
    sums = [
        None if lesions is None or (total := way.total(lesions)) is None else SumAt(value=total, day=day)
        for day, lesions in rows
    ]
    known = [one for one in sums if one is not None]
    first = sums[0] if sums else None
    # A study in which a lesion was not found or not measured may have had the smallest sum, as one that is not at hand.
    unknown = [day for (day, _), total in zip(rows, sums, strict=True) if total is None]
    missing = [day + timedelta(days=1) for day in unknown] + ([missing_before] if missing_before else [])
    missing_before = max(missing, default=None)
    day, told = _told(way, points, start.targets)
    if told is not None:
        known.append(told.nadir)
        if first is None or (told.baseline.day and first.day and told.baseline.day < first.day):
            first = told.baseline
    covered = told is not None and told.every_study and missing_before is not None and day >= missing_before
    # By WHO a single lesion decides, of which the sums of a report do not tell.
    return History(
        rows=tuple(lesions for _, lesions in rows if lesions is not None),
        baseline=first,
        nadir=min(known, key=lambda one: one.value, default=None),
        every_study=missing_before is None or (covered and way.name != "who"),
    )


def lacking(points: Sequence[TimePoint], now: TimePoint) -> tuple[Lesion, ...]:
    """The lesions of earlier that the present study lacks."""
    known = {lesion.tracking_uid: lesion for point in points for lesion in point.lesions}
    return tuple(lesion for uid, lesion in known.items() if uid not in {one.tracking_uid for one in now.lesions})


def _rows(
    way: Criterion, points: Sequence[TimePoint], targets: Collection[str]
) -> Iterator[tuple[date, tuple[Lesion, ...] | None]]:
    """What is summed at every time point; None where a lesion is lacking that has to be among it."""
    for place, point in enumerate(points):
        by_uid = {lesion.tracking_uid: lesion for lesion in point.lesions}
        if way.name not in OF_TARGETS:
            yield point.day, None if lacking(points[:place], point) else point.lesions
        elif all(uid in by_uid for uid in targets):
            yield point.day, tuple(by_uid[uid] for uid in targets)
        else:
            yield point.day, None


def _told(way: Criterion, points: Sequence[TimePoint], targets: Collection[str]) -> tuple[date, ToldSums | None]:
    for point in reversed(points):
        for one in point.sums:
            same = way.name not in OF_TARGETS or (targets and one.sums_uid == sums_uid(way.name, targets))
            if one.criterion == way.name and same:
                return point.day, one
    return date.min, None
