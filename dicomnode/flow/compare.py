"""Holds a study against earlier ones of the same patient: lesions found again, their change, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.finding import Measurement, Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import Prior
from dicomnode.domain.response import Comparison
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.earlier import earlier
from dicomnode.flow.found import tracked
from dicomnode.flow.placed import not_reached, placed
from dicomnode.flow.reason import in_words
from dicomnode.flow.timepoint import Told, present
from dicomnode.infer.answer import Answer
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.measure.change.assess import assess, with_targets
from dicomnode.measure.change.circumstances import judge
from dicomnode.measure.change.track import Seen, track

#: What may go wrong with an earlier study; the present result is worth more than the comparison.
_FAULTS = (DicomNodeError, MemoryError, ArithmeticError, *READ_FAULTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """An earlier study that may be held against the present one."""

    seen: Seen
    remarks: tuple[str, ...]


def compare(
    source: SourceSeries,
    found: Answer,
    measured: Sequence[Measurement],
    priors: Sequence[Prior],
    model: ModelSpec,
    sessions: Sessions,
    uids: ResultUids,
) -> tuple[Comparison | None, ResultUids]:
    """The comparison, and the UIDs of the results with the tracking UIDs that regions came with or had before.

    Parameters
    ----------
    source, found, measured
        Of the present study: first input, regions, numbers (`size.measure`).
    priors
        Earlier studies of the same patient, in any order.

    Returns
    -------
    None where there is no prior, or the model finds no lesions. Whatever goes wrong with a prior
    stands in the comparison as `not_comparable` or among its remarks: it raises nothing, since the primary result is
    worth more.
    """
    uids = tracked(uids, found)
    if not priors or not _looks_for_lesions(found.segmentation, model):
        return None, uids
    author = found.contours.author if found.contours else ""
    try:
        now = present(source, found.segmentation, measured, model, uids, author)
    except _FAULTS:
        return None, uids  # without a date nothing is before or after it
    held: list[_Held] = []
    refused: list[str] = []
    for prior in sorted(priors, key=lambda one: one.study_date):
        try:
            held.append(_hold(prior, now, model, sessions, uids))
        except _FAULTS as error:
            refused.append(f"study of {prior.study_date:%Y-%m-%d}: {in_words(error)}")
    if not held:
        return Comparison(now=now.point, not_comparable="; ".join(refused)), uids
    try:
        comparison, renamed = _compared(held, now, model)
    except _FAULTS as error:
        return Comparison(now=now.point, not_comparable=in_words(error)), uids
    remarks = (*(f"not compared with the {text}" for text in refused), *comparison.remarks)
    return replace(comparison, remarks=remarks), replace(uids, tracked={**uids.tracked, **renamed})


def _looks_for_lesions(found: Segmentation, model: ModelSpec) -> bool:
    segments = (*model.segments, *(one for layer in found.layers for one in layer.segments))
    return any(segment.subject is not Subject.STRUCTURE for segment in segments)


def _hold(prior: Prior, now: Told, model: ModelSpec, sessions: Sessions, uids: ResultUids) -> _Held:
    """One prior, registered to the present study.

    Raises
    ------
    Unsuitable
        If nothing may be compared with it.
    """
    if prior.remark:
        raise Unsuitable(prior.remark)
    if prior.study_date > now.point.day:
        raise Unsuitable(f"it is later than the present one of {now.point.day:%Y-%m-%d}")
    before = earlier(prior, model, sessions, uids)
    remarks: tuple[str, ...] = ()
    if before.circumstances and now.circumstances:
        verdict = judge(before.circumstances, now.circumstances)
        if verdict.forbids:
            raise Unsuitable("; ".join(verdict.forbids))
        remarks = verdict.limits
    else:
        remarks = ("how its images were made is not known, since only a report is at hand",)
    seen, said = placed(before, now)
    return _Held(seen=seen, remarks=tuple(f"{prior.study_date:%Y-%m-%d}: {text}" for text in (*remarks, *said)))


def _compared(held: Sequence[_Held], now: Told, model: ModelSpec) -> tuple[Comparison, dict[int, str]]:
    tracks = track([*(one.seen for one in held), Seen(point=now.point, place=lambda point: point)])
    *earlier_points, last = tracks.points
    priors, last = with_targets(earlier_points, last, model.measure)
    not_imaged = not_reached(tracks.places, last, now)
    changes, assessments = assess(priors, last, model.measure, doubts=tracks.doubts, not_imaged=not_imaged)
    remarks = (*(text for one in held for text in one.remarks), *dict.fromkeys(tracks.doubts.values()))
    comparison = Comparison(now=last, priors=priors, changes=changes, assessments=assessments, remarks=remarks)
    return comparison, dict(tracks.renamed)
