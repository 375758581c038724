"""Holds a study against earlier ones of the same patient: lesions found again, their change, and what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.finding import Measurement, Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import Prior
from dicomnode.domain.response import Comparison
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.comparing.held import Held, hold, missing_before_of
from dicomnode.flow.comparing.timepoint import Told, present
from dicomnode.flow.found import tracked
from dicomnode.flow.placed import not_reached
from dicomnode.flow.reason import in_words
from dicomnode.infer.answer import Answer
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.measure.change.assess import assess, first, with_targets
from dicomnode.measure.change.track import Seen, track

#: What may go wrong with an earlier study; the present result is worth more than the comparison.
_FAULTS = (DicomNodeError, MemoryError, ArithmeticError, *READ_FAULTS)


def compare(
    source: SourceSeries,
    found: Answer,
    measured: Sequence[Measurement],
    priors: Sequence[Prior],
    model: ModelSpec,
    sessions: Sessions,
    uids: ResultUids,
    *,
    left_out: str = "",
    unheard: Sequence[str] = (),
) -> tuple[Comparison | None, ResultUids]:
    """The comparison, and the UIDs of the results with the tracking UIDs that regions came with or had before.

    Parameters
    ----------
    source, found, measured
        Of the present study: first input, regions, numbers (`size.measure`).
    priors
        Earlier studies of the same patient, in any order.
    left_out
        Why nothing is compared; empty where priors may be looked at.
    unheard
        In words which sources have not told all that they have: there may be studies that nobody knows of.

    Returns
    -------
    None where the model finds no lesions, or there is neither a prior nor a criterion. A first study has its targets
    and their sums. Whatever goes wrong with a prior stands in the comparison as `not_comparable` or among its remarks:
    it raises nothing, since the primary result is worth more.
    """
    uids = tracked(uids, found)
    asked = bool(priors or left_out)
    if not (asked or model.measure.criteria) or not _looks_for_lesions(found.segmentation, model):
        return None, uids
    author = found.contours.author if found.contours else ""
    try:
        now = present(source, found.segmentation, measured, model, uids, author)
    except _FAULTS:
        return None, uids  # headers that nothing can be told from
    if not asked:
        point, sums = first(now.point, model.measure)
        return Comparison(now=point, assessments=sums, remarks=tuple(unheard)), uids
    if now.point.day == date.min:
        left_out = "the present study has no date, needed one to tell before from after"
    if left_out:
        return Comparison(now=now.point, not_comparable=left_out), uids
    held: list[Held] = []
    refused: list[str] = []
    missing_before = now.point.day if unheard else missing_before_of(priors)
    for prior in sorted(priors, key=lambda one: one.study_date):
        try:
            held.append(hold(prior, now, model, sessions))
        except _FAULTS as error:
            refused.append(f"study of {prior.study_date:%Y-%m-%d}: {in_words(error)}")
            if prior.study_date <= now.point.day:
                missing_before = max(missing_before or date.min, prior.study_date + timedelta(days=1))
    if not held:
        return Comparison(now=now.point, not_comparable="; ".join(refused)), uids
    try:
        comparison, renamed = _compared(held, now, model, missing_before)
    except _FAULTS as error:
        return Comparison(now=now.point, not_comparable=in_words(error)), uids
    remarks = (*unheard, *(f"not compared with the {text}" for text in refused), *comparison.remarks)
    return replace(comparison, remarks=remarks), replace(uids, tracked={**uids.tracked, **renamed})


def _looks_for_lesions(found: Segmentation, model: ModelSpec) -> bool:
    segments = (*model.segments, *(one for layer in found.layers for one in layer.segments))
    return any(segment.subject is not Subject.STRUCTURE for segment in segments)


def _compared(
    held: Sequence[Held], now: Told, model: ModelSpec, missing_before: date | None
) -> tuple[Comparison, dict[int, str]]:
    tracks = track([*(one.seen for one in held), Seen(point=now.point, place=lambda point: point)])
    *earlier_points, last = tracks.points
    not_imaged = not_reached(tracks.places, last, now)
    changes, assessments = assess(
        earlier_points,
        last,
        model.measure,
        doubts=tracks.doubts,
        not_imaged=not_imaged,
        missing_before=missing_before,
    )
    priors, last = with_targets(earlier_points, last, model.measure)
    remarks = (*(text for one in held for text in one.remarks), *dict.fromkeys(tracks.doubts.values()))
    comparison = Comparison(now=last, priors=priors, changes=changes, assessments=assessments, remarks=remarks)
    return comparison, dict(tracks.renamed)
