"""The image library of a report: the images that matter, with their place in the patient."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import ImageLibrary
from pydicom import DataElement, Dataset
from pydicom.tag import Tag

from dicomnode.domain.finding import Plane
from dicomnode.report.frames import frame_of, reference

_SOP_CLASS = Tag("SOPClassUID")

#: highdicom codes the modality by the SOP class and knows the single-frame ones best (CID 29).
_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
}
_OTHER_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def image_library(headers: Sequence[Dataset], planes: Sequence[Plane]) -> ImageLibrary:
    """TID 1600 with one entry per plane, a frame of a multi-frame object by its number.

    Parameters
    ----------
    headers
        The normalised header of each plane.
    planes
        The planes, which say what is referred to.
    """
    shown = []
    for header in headers:
        entry = Dataset({element.tag: element for element in header})
        kind = _CLASSES.get(str(header.Modality), _OTHER_CLASS)
        entry[_SOP_CLASS] = DataElement(_SOP_CLASS, "UI", kind)
        shown.append(entry)
    library = ImageLibrary(shown)
    (group,) = library[0].ContentSequence
    images = [item for item in group.ContentSequence if item.ValueType == "IMAGE"]
    for item, plane in zip(images, planes, strict=True):
        item.ReferencedSOPSequence = [reference(plane.dataset, frame_of(plane))]
    return library
