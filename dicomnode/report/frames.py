"""What one image plane says of itself, be it a single-frame object or a frame of a multi-frame one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from dicomnode.domain.finding import Plane

_PER_FRAME = "PerFrameFunctionalGroupsSequence"
_SHARED = "SharedFunctionalGroupsSequence"

#: Macro and attribute that hold in a multi-frame object what a single-frame one says at its top level
#: (PS3.3 C.7.6.16.2.1, C.7.6.16.2.4).
_MACROS = {
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
}

_CLASS, _INSTANCE = Tag("SOPClassUID"), Tag("SOPInstanceUID")
_SOP_CLASS, _SOP_INSTANCE, _FRAME = (
    Tag(keyword) for keyword in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "ReferencedFrameNumber")
)


def attribute(plane: Plane, keyword: str) -> Any:
    """Value of an attribute of the plane's geometry; None where it is absent or empty.

    A frame is asked first, then what all frames share, then the top level, and last the detector, where Nuclear
    Medicine states its orientation (PS3.3 C.8.4.11).
    """
    ds = plane.dataset
    macro = _MACROS.get(keyword)
    if plane.frame_number is not None and macro:
        per_frame = ds.get(_PER_FRAME) or ()
        groups = [per_frame[plane.frame_number - 1]] if plane.frame_number <= len(per_frame) else []
        for group in (*groups, *(ds.get(_SHARED) or ())):
            for item in group.get(macro) or ():
                if item.get(keyword) not in (None, ""):
                    return item.get(keyword)
    value = ds.get(keyword)
    if value in (None, "") and plane.frame_number is not None:
        value = next((item.get(keyword) for item in ds.get("DetectorInformationSequence") or ()), None)
    return None if value == "" else value


def position(plane: Plane) -> Any:
    """ImagePositionPatient: as written for a single-frame object, else what reading took from the frame."""
    return plane.dataset.get("ImagePositionPatient") if plane.frame_number is None else plane.position_mm


def reference(dataset: Dataset, frame_numbers: Sequence[int] = ()) -> Dataset:
    """Item of the Image SOP Instance Reference Macro (PS3.3 Table 10-3).

    Parameters
    ----------
    frame_numbers
        The frames meant; empty for a single-frame object, or when all are.
    """
    # Low-level, as there are thousands of them in one object; the values are of their types already.
    elements: dict[BaseTag, DataElement | RawDataElement] = {
        _SOP_CLASS: DataElement(_SOP_CLASS, "UI", dataset[_CLASS].value, already_converted=True),
        _SOP_INSTANCE: DataElement(_SOP_INSTANCE, "UI", dataset[_INSTANCE].value, already_converted=True),
    }
    if frame_numbers:
        numbers = list(frame_numbers) if len(frame_numbers) > 1 else frame_numbers[0]
        elements[_FRAME] = DataElement(_FRAME, "IS", numbers)
    return Dataset(elements)


def frame_of(plane: Plane) -> tuple[int, ...]:
    """The frame numbers of a reference to this plane."""
    return () if plane.frame_number is None else (plane.frame_number,)
