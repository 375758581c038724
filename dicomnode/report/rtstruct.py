"""The mask as an RT Structure Set: contours in patient coordinates on the planes of its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from dicomnode.domain.finding import Findings, Plane, Provenance, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.contours import Polygon, polygons
from dicomnode.report.extent import Extent, extent_of
from dicomnode.report.frames import frame_of, reference
from dicomnode.report.identity import plain
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import DISCLAIMER, equipment, series_number, shortened, stamp
from dicomnode.report.references import refer_to_source
from dicomnode.report.roi import observation

ROLE = "rtstruct"

#: "Detached Study Management", retired, and still what a reference to a study names as its class in every structure
#: set; PS3.3 C.8.8.5 asks for a value and defines none.
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"

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


class _StructureSet(highdicom.SOPClass):
    """Patient, study, series, equipment and SOP Common of a structure set, as highdicom's own classes have them."""

    def __init__(self, header: Dataset, provenance: Provenance, uids: ResultUids) -> None:
        described = equipment(provenance)
        contributing = described.pop("contributing_equipment")
        super().__init__(
            study_instance_uid=header.StudyInstanceUID,
            series_instance_uid=uids.series(ROLE),
            series_number=series_number(ROLE, provenance.rule),
            sop_instance_uid=uids.instance(ROLE),
            sop_class_uid=RTStructureSetStorage,
            instance_number=1,
            modality="RTSTRUCT",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            patient_id=header.PatientID,
            patient_birth_date=header.PatientBirthDate,
            patient_sex=header.PatientSex,
            accession_number=header.AccessionNumber,
            study_id=header.StudyID,
            study_date=header.StudyDate,
            study_time=header.StudyTime,
            referring_physician_name=header.ReferringPhysicianName,
            specific_character_set="ISO_IR 192",
            **described,
        )
        self.copy_patient_and_study_information(header)
        self._add_contributing_equipment(contributing, header)


def write(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset | None:
    """An RT Structure Set (PS3.3 A.19) with one ROI per present segment, numbered as in the SEG.

    Contours are CLOSED_PLANAR along the edges of the pixels, holes by keyholes, so that area and volume are those of
    the mask and a reader that fills them on the same grid gets it back pixel by pixel. The same findings, provenance
    and UIDs give the same bytes.

    Returns
    -------
    The object in Explicit VR Little Endian, or None for an empty mask.

    Raises
    ------
    EncodingError
        If the source mixes patients or series, lacks a frame of reference, or does not match the mask.
    """
    extent = extent_of(findings)
    if not extent.segments:
        return None
    headers = normalised(findings.source)
    header = headers[0]
    with encoding(f"RTSTRUCT of series {header.SeriesInstanceUID}"):
        result = _StructureSet(plain(header), provenance, uids)
        stamp(result, header, provenance, ROLE)
        result.OperatorsName = ""
        result.FrameOfReferenceUID = header.FrameOfReferenceUID
        result.PositionReferenceIndicator = header.get("PositionReferenceIndicator") or ""
        result.StructureSetLabel = "AI_RTSTRUCT"
        result.StructureSetName = shortened(f"{provenance.model.title} {provenance.model.version}")
        result.StructureSetDescription = DISCLAIMER
        result.StructureSetDate, result.StructureSetTime = result.ContentDate, result.ContentTime
        # Of the dates only those of the structure set belong to this object.
        del result.ContentDate, result.ContentTime
        result.ApprovalStatus = "UNAPPROVED"
        _refer(result, findings.source, header)
        result.StructureSetROISequence = Items(
            _roi(segment, number, header, provenance) for segment, number in _numbered(extent)
        )
        result.ROIContourSequence = Items(
            _contours(segment, number, extent, findings.source, headers) for segment, number in _numbered(extent)
        )
        result.RTROIObservationsSequence = Items(observation(*numbered) for numbered in _numbered(extent))
    return result


def _numbered(extent: Extent) -> list[tuple[Segment, int]]:
    return [(segment, extent.numbers[segment.number]) for segment in extent.segments]


def _refer(result: Dataset, source: SourceSeries, header: Dataset) -> None:
    """Name the frame of reference, the study, the series and its images (PS3.3 C.8.8.5), and those once more in Common
    Instance Reference (C.12.2)."""
    named = Dataset()
    refer_to_source(named, source)
    result.ReferencedSeriesSequence = named.ReferencedSeriesSequence
    series, study, frame_of_reference = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ContourImageSequence = named.SourceImageSequence
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, header.StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    frame_of_reference.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame_of_reference.RTReferencedStudySequence = Items([study])
    result.ReferencedFrameOfReferenceSequence = Items([frame_of_reference])


def _roi(segment: Segment, number: int, header: Dataset, provenance: Provenance) -> Dataset:
    roi = Dataset()
    roi.ROINumber = number
    roi.ReferencedFrameOfReferenceUID = header.FrameOfReferenceUID
    roi.ROIName = shortened(segment.label)
    roi.ROIGenerationAlgorithm = "AUTOMATIC"
    roi.ROIGenerationDescription = shortened(f"{provenance.model.name} {provenance.model.version}")
    return roi


def _contours(
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


def _points(
    number: int, extent: Extent, headers: Sequence[Dataset]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
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
    return contour
