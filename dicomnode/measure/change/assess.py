"""Holds the lesions of now against those of earlier: change of each, and the response by every criterion."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Assessment, Change, Lesion, Standing, TimePoint
from dicomnode.measure.change.baseline import Baseline, baseline, marked
from dicomnode.measure.change.criteria import Criterion, criterion
from dicomnode.measure.change.growth import change, days_between, percent
from dicomnode.measure.change.sums import History, history, lacking
from dicomnode.measure.targets import OF_TARGETS, select

_NO_CATEGORY = "no category"


def assess(
    priors: Sequence[TimePoint],
    now: TimePoint,
    spec: MeasureSpec,
    *,
    doubts: Mapping[str, str] | None = None,
    not_imaged: Collection[str] = (),
    missing_before: date | None = None,
) -> tuple[tuple[Change, ...], tuple[Assessment, ...]]:
    """Changes against the last time point, and one assessment by each criterion of the bundle.

    The same lesion has the same tracking UID at all times (`change.match`). Targets are those of the baseline
    (`change.baseline`) and stay so: a lesion that comes later is never a target. The criterion `volume` sums over all
    lesions of a study. An algorithm that does not find a lesion has not shown that it is gone, and a further lesion is
    a candidate: neither makes a complete response or a progression.

    Parameters
    ----------
    priors
        In any order; those after `now` are left out.
    doubts
        Tracking UID → why the match of a lesion is uncertain; no category rests on such a target.
    not_imaged
        Tracking UIDs of earlier lesions that lie where the present images do not reach.
    missing_before
        Before this day there may be studies that are not at hand; None where all are. Reports that tell of their sums
        stand for them; else no category is given that one of them could change.
    """
    points = sorted((one for one in priors if one.day <= now.day), key=lambda one: one.day)
    if not points:
        return (), ()
    start = baseline(points, spec)
    changes = tuple(_changes(points, now, not_imaged))
    assessments = []
    for way in (criterion(name, spec) for name in spec.criteria):
        past = history(way, points, start, missing_before)
        judge = _of_targets if way.name in OF_TARGETS else _of_all
        assessments.append(judge(way, points, now, start, past, doubts or {}))
    return changes, tuple(assessments)


def first(now: TimePoint, spec: MeasureSpec) -> tuple[TimePoint, tuple[Assessment, ...]]:
    """A study before which none is at hand: its targets, a person's or by size, and their sum by each criterion."""
    if {*OF_TARGETS} & {*spec.criteria} and not now.chosen:
        now = replace(now, lesions=select(now.lesions, spec, now.slice_mm or 0.0))
    targets = tuple(lesion.tracking_uid for lesion in now.lesions if lesion.target)
    found = []
    for way in (criterion(name, spec) for name in spec.criteria):
        summed = _lesions(now, targets) if way.name in OF_TARGETS else now.lesions
        total = way.total([one for one in summed if one])
        if total is not None:
            text = f"{way.title}: no earlier study at hand"
            found.append(_assessment(way, History(), total, None, text, targets if way.name in OF_TARGETS else ()))
    return now, tuple(found)


def with_targets(
    priors: Sequence[TimePoint], now: TimePoint, spec: MeasureSpec
) -> tuple[tuple[TimePoint, ...], TimePoint]:
    """The time points, oldest first, with the targets of the baseline marked at all of them."""
    points = sorted(priors, key=lambda one: one.day)
    targets = baseline(points, spec).targets
    return tuple(marked(point, targets) for point in points), marked(now, targets)


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


def _of_targets(
    way: Criterion,
    points: Sequence[TimePoint],
    now: TimePoint,
    start: Baseline,
    past: History,
    doubts: Mapping[str, str],
) -> Assessment:
    present = _lesions(now, start.targets)
    total = None if None in present else way.total([one for one in present if one])
    reason = _reason(way, points, start.targets, present, doubts)
    category = None if reason else way.category(past.with_now([one for one in present if one]))
    if category is None:
        text = way.why_not or _without(way, reason or _unsure(past, total))
    else:
        count = len(start.targets)
        text = _said(way, f"{count} target lesion{'s' if count > 1 else ''} {start.whose} at baseline")
    return _assessment(way, past, total, category, text, start.targets)


def _of_all(
    way: Criterion,
    points: Sequence[TimePoint],
    now: TimePoint,
    start: Baseline,
    past: History,
    _doubts: Mapping[str, str],
) -> Assessment:
    """The total of all lesions; one that is new has a say only where the answer without it is the same."""
    known = {lesion.tracking_uid for point in points for lesion in point.lesions}
    old = [lesion for lesion in now.lesions if lesion.tracking_uid in known]
    gone = lacking(points, now)
    total = way.total(now.lesions)
    category = way.category(past.with_now(now.lesions))
    reason = ""
    if start.place is None:
        reason = "no lesion at baseline"
    elif gone:
        reason = f"lesion {_labels(gone)} {Standing.NOT_DETECTED}, which does not show that it is gone"
    elif category is None:
        reason = _unsure(past, total)
    elif old != list(now.lesions) and way.category(past.with_now(old)) != category:
        new = [lesion for lesion in now.lesions if lesion.tracking_uid not in known]
        reason = f"{Standing.CANDIDATE_NEW} {_labels(new)} decides it"
    if reason:
        return _assessment(way, past, None if gone else total, None, _without(way, reason))
    return _assessment(way, past, total, category, _said(way, "total of all lesions"))


def _assessment(
    way: Criterion, past: History, total: float | None, category: Code | None, text: str, targets: tuple[str, ...] = ()
) -> Assessment:
    baseline_, nadir = past.baseline, past.nadir
    return Assessment(
        criterion=way.name,
        baseline=baseline_.value if baseline_ else None,
        nadir=nadir.value if nadir else None,
        now=total,
        unit=way.unit,
        percent_from_baseline=percent(baseline_.value, total) if baseline_ and total is not None else None,
        percent_from_nadir=percent(nadir.value, total) if nadir and total is not None else None,
        category=category,
        text=text,
        targets=targets,
        baseline_day=baseline_.day if baseline_ else None,
        nadir_day=nadir.day if nadir else None,
        every_study=past.every_study,
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
    known = {lesion.tracking_uid: lesion for point in reversed(points) for lesion in point.lesions}
    gone = [known[uid] for uid, lesion in zip(targets, present, strict=True) if lesion is None]
    if gone:
        return f"target lesion {_labels(gone)} {Standing.NOT_DETECTED}, which does not show that it is gone"
    return "; ".join(dict.fromkeys(doubts[uid] for uid in targets if uid in doubts))


def _unsure(past: History, total: float | None) -> str:
    """Why a criterion has no answer to what was measured."""
    if past.baseline and past.baseline.value == 0:
        return "the sum at baseline is zero"
    if total is None or past.baseline is None:
        return "a lesion of the sum was not measured at both times"
    return (
        "baseline and nadir are of the studies at hand that have all lesions of the sum; another may have had a "
        "smaller sum, over which this would be a progression"
    )


def _without(way: Criterion, reason: str) -> str:
    return f"{way.title}: {_NO_CATEGORY}: {reason}"


def _said(way: Criterion, summed: str) -> str:
    beside = "non-target and new lesions" if way.name in OF_TARGETS else "what new lesions mean"
    return f"{way.title}, {summed}; {beside}, dates of treatment and clinical status are not part of it"


def _labels(lesions: Sequence[Lesion]) -> str:
    return ", ".join(lesion.label for lesion in lesions)
