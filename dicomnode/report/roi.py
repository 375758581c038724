"""What an ROI of a structure set is: codes, and the one word that planning systems go by."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from dicomnode.domain.code import Code
from dicomnode.domain.model import Segment
from dicomnode.report.code import coded
from dicomnode.report.provenance import shortened

#: RT ROI Interpreted Type by the type's code. The volumes of ICRU Report 50 are concepts of SNOMED CT; a body cavity
#: is in PS3.3 Table C.8.8.8.3.1-1.
_BY_TYPE = {
    ("SCT", "228791009"): "GTV",
    ("SCT", "228792002"): "CTV",
    ("SCT", "228793007"): "PTV",
    ("SCT", "91806002"): "CAVITY",
}

#: And, where that says nothing, by the category's: Anatomical Structure and External Body Model of CID 9580.
_BY_CATEGORY = {("SCT", "91723000"): "ORGAN", ("DCM", "130047"): "EXTERNAL"}


def interpreted_type(segment: Segment) -> str:
    """Defined Term of RT ROI Interpreted Type (PS3.3 C.8.8.8.1); empty, which type 2 allows, where no code says it.

    A lesion is not called a target volume: that is for a physician to decide.
    """
    return _BY_TYPE.get(_key(segment.type)) or _BY_CATEGORY.get(_key(segment.category), "")


def observation(segment: Segment, number: int) -> Dataset:
    """Item of the RT ROI Observations Sequence (PS3.3 C.8.8.8), without an interpreter as nobody has looked yet."""
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.ROIObservationLabel = shortened(segment.label, 16)
    item.SegmentedPropertyCategoryCodeSequence = Items([coded(segment.category)])
    identified = coded(segment.type)
    item.RTROIIdentificationCodeSequence = Items([identified])
    qualified, modifiers = identified, "SegmentedPropertyTypeModifierCodeSequence"
    if segment.anatomic_region:
        region = coded(segment.anatomic_region)
        item.AnatomicRegionSequence = Items([region])
        qualified, modifiers = region, "AnatomicRegionModifierSequence"
    if segment.laterality:
        # The side of the region in which a lesion lies, else of the structure itself, as in the SEG.
        setattr(qualified, modifiers, Items([coded(segment.laterality)]))
    item.RTROIInterpretedType = interpreted_type(segment)
    item.ROIInterpreter = ""
    return item


def _key(code: Code) -> tuple[str, str]:
    return code.scheme, code.value
