"""Reads a written structure set back, fills its contours and holds them against the mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Tilt
from dicomnode.domain.model import Segment
from dicomnode.report.boundary import encoding
from dicomnode.report.check import deviation_mm
from dicomnode.report.contours import filled
from dicomnode.report.drawn_check import check_identity
from dicomnode.report.extent import segment_numbers
from dicomnode.report.frames import attribute, position
from dicomnode.report.provenance import shortened

#: Coordinates are written with four decimals, so anything beyond this is an error and not rounding.
_TOLERANCE_MM = 0.001

#: How far the cosines of one image may be from those of its stack, on whose orientation all contours are written.
_COSINE_ROUNDING = 1e-4

_Value = TypeVar("_Value", bound=np.generic)

#: SOP Instance UID and frame number → index of the plane.
_Places = Mapping[tuple[str, int | None], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """Where a source image lies by its own header.

    Attributes
    ----------
    corner
        Outer corner of the first pixel in mm, LPS.
    column, row
        Steps to the next column and to the next row in mm, LPS.
    tolerance_mm
        How far a vertex may lie from a corner of a pixel.
    """

    corner: NDArray[np.float64]
    column: NDArray[np.float64]
    row: NDArray[np.float64]
    tolerance_mm: float

    def ring(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vertices as (column, row) with the first pixel's corner at (0, 0).

        Raises
        ------
        EncodingError
            If one is off the plane or off the corners of the pixels.
        """
        normal = np.cross(self.column, self.row)
        axes = np.stack([self.column, self.row, normal / np.linalg.norm(normal)])
        found = (points - self.corner) @ np.linalg.inv(axes)
        nearest = np.rint(found) * (1, 1, 0)
        off_mm = float(np.linalg.norm((found - nearest) @ axes, axis=1).max())
        if off_mm > self.tolerance_mm:
            raise EncodingError(
                f"RTSTRUCT: found a vertex {off_mm:.3f} mm off the corners of the pixels, "
                f"needed at most {self.tolerance_mm:.3f} mm"
            )
        return np.asarray(found[:, :2])


def verify(encoded: bytes, findings: Findings) -> None:
    """Fill the contours of a structure set on every source image, and compare pixel by pixel with the mask.

    The writer follows the edges of pixels; this decides for each pixel's centre by the even-odd rule, in the geometry
    of the source's own headers, which in turn has to be that of the mask's volume.

    Parameters
    ----------
    encoded
        The complete file.

    Raises
    ------
    EncodingError
        At the first ROI whose name, code, contours or pixels differ; and for a file that cannot be read, has other
        ROIs, or lies in another frame of reference.
    """
    deviation_mm(findings)
    with encoding("RTSTRUCT read back"):
        structures = dcmread(BytesIO(encoded))
        check_identity("RTSTRUCT", structures, findings.source.datasets)
        _check_frame_of_reference(structures, findings)
        segments = {segment.number: segment for segment in findings.segmentation.segments}
        numbers = {place: segments[number] for number, place in segment_numbers(findings).items()}
        rois = {int(roi.ROINumber): roi for roi in structures.StructureSetROISequence}
        contours = {int(roi.ReferencedROINumber): roi.ContourSequence for roi in structures.ROIContourSequence}
        observed = {int(item.ReferencedROINumber): item for item in structures.RTROIObservationsSequence}
        if not set(numbers) == set(rois) == set(contours) == set(observed):
            raise EncodingError(f"RTSTRUCT: found ROIs {sorted(rois)}, needed {sorted(numbers)}, each with contours")
        places = {
            (str(plane.dataset.SOPInstanceUID), plane.frame_number): index
            for index, plane in enumerate(findings.source.planes)
        }
        for number, segment in numbers.items():
            _check_identity(rois[number], observed[number], segment)
            _compare(segment, _rings(contours[number], places, findings), findings)


def covered(array: NDArray[_Value], tilt: Tilt | None, index: int) -> NDArray[_Value]:
    """What a slice of a volume holds where its source image lies; of a rectified volume the nearest voxels."""
    plane: NDArray[_Value] = array[index]
    if tilt is None:
        return plane
    top, left = (round(start) for start in tilt.starts[index])
    return plane[top : top + tilt.shape[0], left : left + tilt.shape[1]]


def _check_frame_of_reference(structures: Dataset, findings: Findings) -> None:
    needed = str(findings.source.datasets[0].FrameOfReferenceUID)
    found = {str(structures.FrameOfReferenceUID)}
    found |= {str(item.FrameOfReferenceUID) for item in structures.ReferencedFrameOfReferenceSequence}
    found |= {str(roi.ReferencedFrameOfReferenceUID) for roi in structures.StructureSetROISequence}
    if found != {needed}:
        raise EncodingError(f"RTSTRUCT: found frames of reference {sorted(found)}, needed {needed}")


def _check_identity(roi: Dataset, observed: Dataset, segment: Segment) -> None:
    identified = observed.RTROIIdentificationCodeSequence[0]
    found = (str(roi.ROIName), str(identified.CodingSchemeDesignator), str(identified.CodeValue))
    needed = (shortened(segment.label), segment.type.scheme, segment.type.value)
    if found != needed:
        raise EncodingError(f"ROI {roi.ROINumber}: found {found}, needed {needed}")


def _rings(contours: list[Dataset], places: _Places, findings: Findings) -> dict[int, list[NDArray[np.float64]]]:
    """Index of the plane → its contours as (column, row)."""
    found: dict[int, list[NDArray[np.float64]]] = {}
    for contour in contours:
        image = contour.ContourImageSequence[0]
        number = image.get("ReferencedFrameNumber")
        index = places.get((str(image.ReferencedSOPInstanceUID), None if number is None else int(number)))
        named = f"{image.ReferencedSOPInstanceUID}" + ("" if number is None else f", frame {number}")
        if index is None:
            raise EncodingError(f"RTSTRUCT: found a contour on {named}, needed an image of the source series")
        points = _points(contour)
        if contour.ContourGeometricType != "CLOSED_PLANAR" or len(points) != int(contour.NumberOfContourPoints):
            raise EncodingError(
                f"RTSTRUCT: found a contour {contour.ContourGeometricType} of {len(points)} points on {named}, "
                f"needed CLOSED_PLANAR of {contour.NumberOfContourPoints}"
            )
        found.setdefault(index, []).append(_image(findings, index).ring(points))
    return found


def _points(contour: Dataset) -> NDArray[np.float64]:
    """Vertices in mm, shape (vertex, 3)."""
    # The raw bytes, as a million decimal strings become objects in seconds and numbers in a tenth of one.
    raw = contour.get_item("ContourData").value
    return np.array(raw.split(b"\\")).astype(np.float64).reshape(-1, 3)


def _image(findings: Findings, index: int) -> _Image:
    plane, source = findings.source.planes[index], findings.source
    cosines = np.array(attribute(plane, "ImageOrientationPatient"), dtype=float)
    row_mm, column_mm = (float(spacing) for spacing in attribute(plane, "PixelSpacing"))
    column, row = cosines[:3] * column_mm, cosines[3:] * row_mm
    corner = np.array(position(plane), dtype=float) - (column + row) / 2
    rows, columns = source.tilt.shape if source.tilt else source.volume.spatial_shape[1:]
    reach_mm = float(np.linalg.norm([rows * row_mm, columns * column_mm]))
    tolerance_mm = _TOLERANCE_MM + _COSINE_ROUNDING * reach_mm
    return _Image(corner=corner, column=column, row=row, tolerance_mm=tolerance_mm)


def _compare(segment: Segment, rings: Mapping[int, list[NDArray[np.float64]]], findings: Findings) -> None:
    for index in range(len(findings.source.planes)):
        needed = covered(findings.segmentation.volume.array, findings.source.tilt, index) == segment.number
        if index in rings:
            differing = np.count_nonzero(filled(rings[index], (needed.shape[0], needed.shape[1])) != needed)
        else:
            differing = np.count_nonzero(needed)
        if differing:
            raise EncodingError(
                f"segment {segment.number} ({segment.label}): found {differing} pixels of image {index + 1} on the "
                "wrong side of its contours, needed none"
            )
