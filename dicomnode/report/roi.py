"""One region of a structure set: its name, its contours in patient coordinates, and what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Plane, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.report.code import coded
from dicomnode.report.contours import Polygon, polygons
from dicomnode.report.extent import Extent
from dicomnode.report.frames import frame_of, reference
from dicomnode.report.provenance import shortened

#: Decimals of a coordinate in mm: 0.1 µm, and at most 16 characters below 100 km (PS3.5 Table 6.2-1).
_DECIMALS = 4

#: Most bytes of a DS value where the length has 16 bits (Explicit VR, PS3.5 7.1.2; note at PS3.3 C.8.8.6 Contour Data).
_MOST_BYTES = 2**16 - 2

_IMAGE, _TYPE, _COUNT, _NUMBER, _DATA = (
    Tag(keyword)
    for keyword in (
        "ContourImageSequence",
        "ContourGeometricType",
        "NumberOfContourPoints",
        "ContourNumber",
        "ContourData",
    )
)

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


def definition(segment: Segment, number: int, frame_of_reference: str, made_by: str) -> Dataset:
    """Item of the Structure Set ROI Sequence (PS3.3 C.8.8.5)."""
    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = frame_of_reference
    roi.ROIName = shortened(segment.label)
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    roi.ROIGenerationDescription = shortened(made_by)
    return roi


def contours(
    segment: Segment, number: int, extent: Extent, source: SourceSeries, headers: Sequence[Dataset]
) -> Dataset:
    """Item of the ROI Contour Sequence with every contour of a segment (PS3.3 C.8.8.6)."""
    roi = Dataset()
    roi.ReferencedROINumber = number
    roi.ROIDisplayColor = list(segment.color_rgb)
    roi.ContourSequence = Items(
        _contour(points, count, source.planes[index])
        for count, (index, points) in enumerate(_points(segment.number, extent, headers), start=1)
    )
    return roi


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


def _points(number: int, extent: Extent, headers: Sequence[Dataset]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Index of the plane and vertices in mm, LPS, of every polygon of a segment."""
    for index in np.flatnonzero(extent.areas[number]).tolist():
        to_patient = _affine(headers[index])
        mask = extent.mask[index] == number
        for polygon in polygons(mask, _most_vertices(to_patient, mask.shape)):
            yield index, _in_patient(polygon, to_patient)


def _affine(header: Dataset) -> NDArray[np.float64]:
    """From (column, row) with the corner of the first pixel at (0, 0) to mm, LPS, shape (3, 3): two steps and the
    corner, by PS3.3 C.7.6.2.1.1, where the position is that of the first pixel's centre."""
    row_mm, column_mm = (float(spacing) for spacing in header.PixelSpacing)
    cosines = np.array(header.ImageOrientationPatient, dtype=float)
    steps = np.stack([cosines[:3] * column_mm, cosines[3:] * row_mm])
    corner = np.array(header.ImagePositionPatient, dtype=float) - steps.sum(axis=0) / 2
    return np.vstack([steps, corner])


def _in_patient(polygon: Polygon, to_patient: NDArray[np.float64]) -> NDArray[np.float64]:
    # Adding zero turns the negative one into the positive, which is written without a sign.
    return np.asarray(np.round(polygon @ to_patient[:2] + to_patient[2], _DECIMALS) + 0.0)


def _most_vertices(to_patient: NDArray[np.float64], shape: tuple[int, ...]) -> int:
    """How many vertices on this image are certain to fit into one value."""
    corners = np.array([(0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0])])
    digits = len(str(int(np.abs(_in_patient(corners.astype(np.int32), to_patient)).max())))
    # Sign, digits, point, decimals and the backslash between values.
    return _MOST_BYTES // (3 * (1 + digits + 1 + _DECIMALS + 1))


def _contour(points: NDArray[np.float64], count: int, plane: Plane) -> Dataset:
    contour = Dataset()
    contour[_IMAGE] = DataElement(_IMAGE, "SQ", Items([reference(plane.dataset, frame_of(plane))]))
    contour[_TYPE] = DataElement(_TYPE, "CS", "CLOSED_PLANAR")
    contour[_COUNT] = DataElement(_COUNT, "IS", len(points))
    contour[_NUMBER] = DataElement(_NUMBER, "IS", count)
    # As bytes: pydicom makes an object of every decimal string, 1 µs each for a million of them.
    text = "\\".join(map("%.10g".__mod__, points.ravel().tolist())).encode("ascii")
    text += b" " * (len(text) % 2)
    contour[_DATA] = RawDataElement(_DATA, "DS", len(text), text, 0, False, True)
    # Else it would parse them on writing.
    contour.set_original_encoding(False, True, default_encoding)
    return contour


def _key(code: Code) -> tuple[str, str]:
    return code.scheme, code.value
