"""Lesions of an earlier study as a person drew them, and how they go together with what a model found there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import Prior, PriorFile
from dicomnode.domain.response import Lesion
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.measured import measured
from dicomnode.flow.timepoint import lesions_of
from dicomnode.infer.contours.read import read_contours
from dicomnode.measure.change.match import match

#: Segment Algorithm Types of a mask that a person answers for (PS3.3 C.8.20.2); a structure set is drawn by people.
_BY_HAND = frozenset({"MANUAL", "SEMIAUTOMATIC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a person drew.

    Attributes
    ----------
    lesions
        Those in organs that the model looks at.
    elsewhere
        Those whose organ nobody named, though the model names its own.
    archived
        Tracking UIDs that the object itself bears.
    """

    file: PriorFile
    author: str = field(repr=False)
    lesions: tuple[Lesion, ...]
    elsewhere: tuple[Lesion, ...] = ()
    archived: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class United:
    """Lesions of a report or model with those that a person drew.

    Attributes
    ----------
    by_person
        Whether a person's stand alone.
    """

    lesions: tuple[Lesion, ...]
    by_person: bool
    remarks: tuple[str, ...] = ()


def drawn(prior: Prior, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    """Of the contours that such a model measures, or of masks of another hand, the last given that holds lesions.

    Those with lesions in the organs that the model looks at come before others.
    """
    asked = [file for file in prior.files if model.contours and file.input == model.contours]
    others = [file for file in (*prior.masks, *prior.contours) if not file.own and file not in asked]
    masks = [file for file in others if _by_hand(dcmread(file.path, stop_before_pixels=True))]
    found = [one for file in (*reversed(asked), *reversed(masks)) if (one := _read(file, model, source, uids))]
    return next((one for one in found if one.lesions), next(iter(found), None))


def united(said: Sequence[Lesion], by_hand: Drawn, *, reported: bool) -> United:
    """A correction of our own mask replaces what we said; else a person's lesion replaces the one that it lies on.

    Parameters
    ----------
    said
        What a report of ours or the model says.
    reported
        Whether a report says it, whose tracking UIDs a corrected mask keeps.
    """
    everything = (*by_hand.lesions, *by_hand.elsewhere)
    known = {lesion.tracking_uid: lesion for lesion in said}
    if reported and known.keys() & by_hand.archived:
        targets = {uid for uid, lesion in known.items() if lesion.target}
        marked = tuple(replace(one, target=one.tracking_uid in targets) for one in everything)
        return United(lesions=marked, by_person=True)
    if by_hand.lesions and any(lesion.centroid_mm is None for lesion in said):
        return United(lesions=by_hand.lesions, by_person=True)
    pairs = match(said, [lesion.centroid_mm for lesion in said], everything).pairs
    instead = {row: everything[column] for row, column in pairs if _overlap(said[row], everything[column])}
    lesions = [
        replace(new, tracking_uid=old.tracking_uid, label=old.label, target=old.target, organ=new.organ or old.organ)
        if (new := instead.get(row)) is not None
        else old
        for row, old in enumerate(said)
    ]
    taken = {one.tracking_uid for one in instead.values()}
    lesions += (one for one in by_hand.lesions if one.tracking_uid not in taken)
    aside = [one.label for one in by_hand.elsewhere if one.tracking_uid not in taken]
    remarks = (f"{', '.join(aside)} drawn by a person in no organ that the model names: left aside",) if aside else ()
    return United(lesions=tuple(lesions), by_person=bool(lesions) and not said, remarks=remarks)


def with_uids(by_hand: Drawn, said: Sequence[Lesion]) -> tuple[Lesion, ...]:
    """A person's lesions with the tracking UIDs and target marks of our report on them, known by their names."""
    names = [lesion.label for lesion in by_hand.lesions]
    reported = {lesion.label: lesion for lesion in said}
    return tuple(
        replace(one, tracking_uid=reported[one.label].tracking_uid, target=reported[one.label].target)
        if one.label in reported and names.count(one.label) == 1
        else one
        for one in by_hand.lesions
    )


def _read(file: PriorFile, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    try:
        found = read_contours([file.path], source)
    except Unsuitable:
        return None  # it is of other images of that study, say
    contours = found.contours
    tracked = replace(uids, tracked=contours.tracking_uids if contours else {})
    listed = lesions_of(found.segmentation, measured(source, found.segmentation, model).measurements, tracked)
    organs = {one.anatomic_region for one in model.segments if one.subject is not Subject.STRUCTURE}
    if not listed:
        return None
    return Drawn(
        file=file,
        author=contours.author if contours else "",
        lesions=tuple(one for one in listed if not organs or (one.organ is not None and one.organ in organs)),
        elsewhere=tuple(one for one in listed if organs and one.organ is None),
        archived=frozenset(contours.tracking_uids.values() if contours else ()),
    )


def _overlap(one: Lesion, other: Lesion) -> bool:
    """Whether the middle of one of two lesions on the same images lies within the reach of the other."""
    if one.tracking_uid == other.tracking_uid:
        return True
    if one.centroid_mm is None or other.centroid_mm is None:
        return False
    return 2 * math.dist(one.centroid_mm, other.centroid_mm) <= max(one.longest_mm or 0.0, other.longest_mm or 0.0)


def _by_hand(mask: Dataset) -> bool:
    kinds = {str(item.get("SegmentAlgorithmType", "")) for item in mask.get("SegmentSequence") or ()}
    return "StructureSetROISequence" in mask or bool(kinds & _BY_HAND)
