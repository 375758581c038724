"""Holds the lesions of now against those of earlier: change of each, and the response of the target lesions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Assessment, Change, Lesion, Standing, TimePoint
from dicomnode.measure.change.criteria import Criterion, Sums, criterion
from dicomnode.measure.change.growth import change, days_between, percent
from dicomnode.measure.targets import select

_NO_CATEGORY = "no category"


def assess(
    priors: Sequence[TimePoint],
    now: TimePoint,
    spec: MeasureSpec,
    *,
    doubts: Mapping[str, str] | None = None,
    not_imaged: Collection[str] = (),
) -> tuple[tuple[Change, ...], tuple[Assessment, ...]]:
    """Changes against the last time point, and one assessment by each criterion of the bundle.

    The same lesion has the same tracking UID at all times (`change.match`). Targets are those of the baseline and
    stay so: a lesion that comes later is never a target. The baseline is the earliest time point at which a person
    chose targets, else the earliest with lesions; where it marks no targets, they are selected there (RECIST 1.1,
    section 4.1). An algorithm that does not find a lesion has not shown that it is gone, and a further lesion is a
    candidate: neither makes a complete response or a progression.

    Parameters
    ----------
    priors
        In any order; those after `now` are left out.
    doubts
        Tracking UID → why the match of a lesion is uncertain; no category rests on such a target.
    not_imaged
        Tracking UIDs of earlier lesions that lie where the present images do not reach.
    """
    earlier = sorted((one for one in priors if one.day <= now.day), key=lambda one: one.day)
    if not earlier:
        return (), ()
    points = _frozen(earlier, spec)
    changes = tuple(_changes(points, now, not_imaged))
    assessments = tuple(_assessment(criterion(name, spec), points, now, doubts or {}) for name in spec.criteria)
    return changes, assessments


def with_targets(
    priors: Sequence[TimePoint], now: TimePoint, spec: MeasureSpec
) -> tuple[tuple[TimePoint, ...], TimePoint]:
    """The time points, oldest first, with the targets of the baseline marked at all of them."""
    points = _frozen(sorted(priors, key=lambda one: one.day), spec)
    targets = _targets(points)
    return tuple(_marked(point, targets) for point in points), _marked(now, targets)


def _frozen(earlier: Sequence[TimePoint], spec: MeasureSpec) -> tuple[TimePoint, ...]:
    """The time points, with targets at one that is the baseline of the assessment at least."""
    if any(lesion.target for point in earlier for lesion in point.lesions):
        return tuple(earlier)
    first = next((place for place, point in enumerate(earlier) if point.lesions), 0)
    chosen = replace(earlier[first], lesions=select(earlier[first].lesions, spec))
    return (*earlier[:first], chosen, *earlier[first + 1 :])


def _baseline(points: Sequence[TimePoint]) -> int | None:
    """Index of the time point whose targets count."""
    marked = [place for place, point in enumerate(points) if any(lesion.target for lesion in point.lesions)]
    by_person = [place for place in marked if points[place].by_person]
    return next(iter(by_person or marked), None)


def _targets(points: Sequence[TimePoint]) -> tuple[str, ...]:
    place = _baseline(points)
    return () if place is None else tuple(one.tracking_uid for one in points[place].lesions if one.target)


def _marked(point: TimePoint, targets: Collection[str]) -> TimePoint:
    lesions = tuple(replace(lesion, target=lesion.tracking_uid in targets) for lesion in point.lesions)
    return replace(point, lesions=lesions)


def _changes(points: Sequence[TimePoint], now: TimePoint, not_imaged: Collection[str]) -> Iterator[Change]:
    """Of every lesion that is or was, against the last time point that has it."""
    last: dict[str, tuple[TimePoint, Lesion]] = {}
    for point in points:
        last |= {lesion.tracking_uid: (point, lesion) for lesion in point.lesions}
    present = {lesion.tracking_uid for lesion in now.lesions}
    for lesion in now.lesions:
        if lesion.tracking_uid in last:
            point, before = last[lesion.tracking_uid]
            yield change(before, lesion, days_between(point.day, now.day))
        else:
            yield Change(standing=Standing.CANDIDATE_NEW, before=None, now=lesion)
    for uid, (_, before) in last.items():
        if uid not in present:
            standing = Standing.NOT_IMAGED if uid in not_imaged else Standing.NOT_DETECTED
            yield Change(standing=standing, before=before, now=None)


def _assessment(way: Criterion, points: Sequence[TimePoint], now: TimePoint, doubts: Mapping[str, str]) -> Assessment:
    place = _baseline(points)
    targets = _targets(points)
    rows = [_lesions(point, targets) for point in (points[place:] if place is not None else ())]
    complete = tuple(row for row in rows if None not in row)
    present = _lesions(now, targets)
    sums = Sums(
        earlier=tuple(tuple(one for one in row if one) for row in complete), now=tuple(one for one in present if one)
    )
    reason = _reason(way, points, targets, present, doubts)
    totals = [total for row in sums.earlier if (total := way.total(row)) is not None]
    baseline = way.total(sums.earlier[0]) if sums.earlier else None
    nadir = min(totals, default=None)
    total = None if None in present else way.total(sums.now)
    category = None if reason else way.category(sums)
    if not reason and category is None:
        reason = "the sum at baseline is zero" if baseline == 0 else "a target lesion was not measured at both times"
    return Assessment(
        criterion=way.name,
        baseline=baseline,
        nadir=nadir,
        now=total,
        unit=way.unit,
        percent_from_baseline=percent(baseline, total) if baseline is not None and total is not None else None,
        percent_from_nadir=percent(nadir, total) if nadir is not None and total is not None else None,
        category=category,
        text=way.why_not or (f"{way.title}: {_NO_CATEGORY}: {reason}" if reason else _said(way, len(targets), points)),
        targets=targets,
    )


def _lesions(point: TimePoint, targets: Sequence[str]) -> tuple[Lesion | None, ...]:
    by_uid = {lesion.tracking_uid: lesion for lesion in point.lesions}
    return tuple(by_uid.get(uid) for uid in targets)


def _reason(
    way: Criterion,
    points: Sequence[TimePoint],
    targets: Sequence[str],
    present: Sequence[Lesion | None],
    doubts: Mapping[str, str],
) -> str:
    """Why there is no category; empty where there may be one."""
    if way.why_not:
        return way.why_not
    if not targets:
        return "no lesion at baseline is large enough for a target"
    labels = {lesion.tracking_uid: lesion.label for point in reversed(points) for lesion in point.lesions}
    lacking = [labels[uid] for uid, lesion in zip(targets, present, strict=True) if lesion is None]
    if lacking:
        return f"target lesion {', '.join(lacking)} {Standing.NOT_DETECTED}, which does not show that it is gone"
    return "; ".join(dict.fromkeys(doubts[uid] for uid in targets if uid in doubts))


def _said(way: Criterion, count: int, points: Sequence[TimePoint]) -> str:
    place = _baseline(points)
    whose = "chosen by a person" if place is not None and points[place].by_person else "selected by size"
    return (
        f"{way.title}, {count} target lesion{'s' if count > 1 else ''} {whose} at baseline; "
        "non-target and new lesions, dates of treatment and clinical status are not part of it"
    )
