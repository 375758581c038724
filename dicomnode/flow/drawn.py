"""Lesions of an earlier study as a person drew them."""

from __future__ import annotations

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
from dicomnode.measure import targets

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

    @property
    def chosen(self) -> bool:
        """Whether the person named targets, by `domain.response.names_target`."""
        return any(one.target for one in self.lesions)


def drawn(prior: Prior, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    """Of the contours that such a model measures, or of masks of another hand, the last given that holds lesions.

    Those with lesions in the organs that the model looks at come before others.
    """
    asked = [file for file in prior.files if model.contours and file.input == model.contours]
    others = [file for file in (*prior.masks, *prior.contours) if not file.own and file not in asked]
    masks = [file for file in others if _by_hand(dcmread(file.path, stop_before_pixels=True))]
    found = [one for file in (*reversed(asked), *reversed(masks)) if (one := _read(file, model, source, uids))]
    return next((one for one in found if one.lesions), next(iter(found), None))


def _read(file: PriorFile, model: ModelSpec, source: SourceSeries, uids: ResultUids) -> Drawn | None:
    try:
        found = read_contours([file.path], source)
    except Unsuitable:
        return None  # it is of other images of that study, say
    contours = found.contours
    tracked = replace(uids, tracked=contours.tracking_uids if contours else {})
    listed = lesions_of(found.segmentation, measured(source, found.segmentation, model).measurements, tracked)
    listed = targets.named(listed)
    organs = {one.anatomic_region for one in model.segments if one.subject is not Subject.STRUCTURE}
    if not listed:
        return None
    return Drawn(
        file=file,
        author=contours.author if contours else "",
        # Whoever names a target wants it counted, though a structure set has no place for its organ.
        lesions=tuple(one for one in listed if not organs or one.target or (one.organ and one.organ in organs)),
        elsewhere=tuple(one for one in listed if organs and one.organ is None and not one.target),
        archived=frozenset(contours.tracking_uids.values() if contours else ()),
    )


def _by_hand(mask: Dataset) -> bool:
    kinds = {str(item.get("SegmentAlgorithmType", "")) for item in mask.get("SegmentSequence") or ()}
    return "StructureSetROISequence" in mask or bool(kinds & _BY_HAND)
