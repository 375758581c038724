"""Lesions of an earlier study as a person drew them."""

from __future__ import annotations

from dataclasses import replace

from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec, Subject
from dicomnode.domain.prior import Prior, PriorFile
from dicomnode.domain.response import names_target
from dicomnode.domain.uid import ResultUids
from dicomnode.flow.by_hand import Drawn, first_of, joined
from dicomnode.flow.comparing.timepoint import lesions_of
from dicomnode.flow.measured import measured
from dicomnode.infer.contours.read import read_contours
from dicomnode.measure import targets

#: Segment Algorithm Types of a mask that a person answers for (PS3.3 C.8.20.2); a structure set is drawn by people.
_BY_HAND = frozenset({"MANUAL", "SEMIAUTOMATIC"})


def drawn(prior: Prior, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    """Of the contours that such a model measures, or of masks of another hand, what counts.

    These are all objects that name targets, since viewers may write one for each, and the newest of the others that
    holds lesions; those in the organs that the model looks at come before others.
    """
    asked = [file for file in prior.files if model.contours and file.input == model.contours]
    others = [file for file in (*prior.masks, *prior.contours) if not file.own and file not in asked]
    headers = {file: dcmread(file.path, stop_before_pixels=True) for file in (*asked, *others)}
    masks = [file for file in others if _by_hand(headers[file])]
    found: Drawn | None = None
    for group in (asked, masks):
        # Sorting keeps the order of arrival where the dates are the same.
        newest = sorted(group, key=lambda file: _written_at(headers[file]))[::-1]
        naming = [file for file in newest if any(names_target(name) for name in _names(headers[file]))]
        told = [one for file in naming if (one := _read(file, model, source, uids))]
        rest = (one for file in newest if file not in naming and (one := _read(file, model, source, uids)))
        told += [one for one in (first_of(rest),) if one]
        if any(one.lesions for one in told):
            return joined(told)
        found = found or (joined(told) if told else None)
    return found


def _read(file: PriorFile, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    try:
        found = read_contours([file.path], source)
    except Unsuitable:
        return None  # it is of other images of that study, say
    contours = found.contours
    # Regions of one object are numbered as those of another and as lesions that the model finds: none is the same.
    own = replace(uids, rule="drawn", input_digest=file.sop_instance_uid)
    tracked = replace(own, tracked=contours.tracking_uids if contours else {})
    listed = lesions_of(found.segmentation, measured(source, found.segmentation, model).measurements, tracked)
    listed = targets.named(listed)
    organs = {one.anatomic_region for one in model.segments if one.subject is not Subject.STRUCTURE} - {None}
    if not listed:
        return None
    return Drawn(
        files=(file,),
        author=contours.author if contours else "",
        # Whoever names a target wants it counted, though a structure set has no place for its organ.
        lesions=tuple(one for one in listed if not organs or one.target or (one.organ and one.organ in organs)),
        elsewhere=tuple(one for one in listed if organs and one.organ is None and not one.target),
        archived=frozenset(contours.tracking_uids.values() if contours else ()),
    )


def _names(header: Dataset) -> list[str]:
    """What its regions are called."""
    segments, regions = header.get("SegmentSequence") or (), header.get("StructureSetROISequence") or ()
    return [str(item.get("SegmentLabel") or "") for item in segments] + [
        str(item.get("ROIName") or "") for item in regions
    ]


def _written_at(header: Dataset) -> tuple[str, str]:
    """When an object was drawn, by its own date and time (DA and TM sort as texts)."""
    what = "StructureSet" if header.get("StructureSetDate") else "Content"
    return str(header.get(f"{what}Date") or ""), str(header.get(f"{what}Time") or "")


def _by_hand(mask: Dataset) -> bool:
    kinds = {str(item.get("SegmentAlgorithmType", "")) for item in mask.get("SegmentSequence") or ()}
    return "StructureSetROISequence" in mask or bool(kinds & _BY_HAND)
