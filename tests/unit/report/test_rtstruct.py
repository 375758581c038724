"""Structure sets read back by pydicom and by hand, and held against the mask in patient coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance, SourceSeries
from dicomnode.domain.finding import Segmentation as Mask
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report import rtstruct, segmentation
from dicomnode.report.contour_check import verify
from dicomnode.report.encode import to_bytes
from dicomnode.report.roi import interpreted_type

from .conftest import FRAME_OF_REFERENCE, LUNG, ORIENTATIONS, SEGMENTS, SERIES, SHAPE, STUDY, findings_in
from .phantoms import SOURCES, enhanced, part_of_enhanced
from .reading import reread
from .test_validators import complaints, real_findings

CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))

KINDS: dict[str, Callable[[], Findings]] = {
    **{name: (lambda name=name: findings_in(name)) for name in ORIENTATIONS},  # type: ignore[misc]
    "coronal": lambda: findings_in("coronal"),
    **SOURCES,
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Findings:
    """Findings on every kind of source."""
    monkeypatch.setitem(ORIENTATIONS, "coronal", CORONAL)
    return KINDS[request.param]()


def written(findings: Findings, provenance: Provenance, uids: ResultUids) -> Dataset:
    return reread(rtstruct.write(findings, provenance, uids))


def corners(contour: Dataset) -> NDArray[np.float64]:
    return np.array([float(value) for value in contour.ContourData]).reshape(-1, 3)


def area_mm2(points: NDArray[np.float64]) -> float:
    """Of a planar polygon in space: half the length of the sum of the cross products."""
    return float(np.linalg.norm(np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0))) / 2


def test_each_contour_lies_on_the_image_it_names_and_holds_its_pixels(
    kind: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(kind, provenance, uids)
    mask = kind.source.on_planes(kind.segmentation.volume.array)
    affine = np.asarray(kind.source.volume.affine)
    column_mm, row_mm = affine[:3, 2], affine[:3, 1]
    images = {(str(p.dataset.SOPInstanceUID), p.frame_number): i for i, p in enumerate(kind.source.planes)}
    rows, columns = np.meshgrid(*(np.arange(length) for length in mask.shape[1:]), indexing="ij")
    found = np.zeros_like(mask)
    numbers = {place: number for number, place in segmentation.segment_numbers(kind).items()}
    for roi in ds.ROIContourSequence:
        for contour in roi.ContourSequence:
            image = contour.ContourImageSequence[0]
            index = images[(str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))]
            assert image.ReferencedSOPClassUID == kind.source.planes[index].dataset.SOPClassUID
            place = np.array(kind.source.planes[index].position_mm)
            centres = place + rows[..., None] * row_mm + columns[..., None] * column_mm
            points = corners(contour)
            normal = np.cross(column_mm, row_mm)
            assert np.abs((points - place) @ normal).max() / np.linalg.norm(normal) < 1e-3
            # Seen along the axis that the plane faces most, a polygon in space is one in two dimensions.
            seen = np.delete(np.arange(3), np.abs(normal).argmax())
            outline = Outline(points[:, seen])
            inside = outline.contains_points(centres[..., seen].reshape(-1, 2)).reshape(mask.shape[1:])
            found[index][inside] = numbers[int(roi.ReferencedROINumber)]
    np.testing.assert_array_equal(found, mask)


def test_the_area_of_the_contours_is_that_of_the_pixels(
    kind: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(kind, provenance, uids)
    pixel_mm2 = kind.source.volume.spacing[1] * kind.source.volume.spacing[2]
    mask = kind.source.on_planes(kind.segmentation.volume.array)
    numbers = {place: number for number, place in segmentation.segment_numbers(kind).items()}
    for roi in ds.ROIContourSequence:
        total = sum(area_mm2(corners(contour)) for contour in roi.ContourSequence)
        needed = np.count_nonzero(mask == numbers[int(roi.ReferencedROINumber)]) * pixel_mm2
        assert total == pytest.approx(needed, rel=1e-4)


def test_the_self_check_passes_what_was_written(kind: Findings, provenance: Provenance, uids: ResultUids) -> None:
    verify(to_bytes(rtstruct.write(kind, provenance, uids) or Dataset()), kind)


def test_dciodvfy_finds_nothing(kind: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    file = tmp_path / "rtstruct.dcm"
    file.write_bytes(to_bytes(rtstruct.write(kind, provenance, uids) or Dataset()))
    assert complaints(file) == []


def test_the_same_findings_give_the_same_bytes(kind: Findings, provenance: Provenance, uids: ResultUids) -> None:
    first, second = (rtstruct.write(kind, provenance, uids) for _ in range(2))
    assert to_bytes(first or Dataset()) == to_bytes(second or Dataset())


def test_patient_study_frame_of_reference_and_series_are_those_of_the_source(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(findings, provenance, uids)
    header = findings.source.datasets[0]
    for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyDescription", "StudyID"):
        assert ds[keyword].value == header[keyword].value
    assert (ds.StudyInstanceUID, ds.FrameOfReferenceUID) == (STUDY, FRAME_OF_REFERENCE)
    (frame,) = ds.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert (frame.FrameOfReferenceUID, study.ReferencedSOPInstanceUID) == (FRAME_OF_REFERENCE, STUDY)
    assert series.SeriesInstanceUID == SERIES
    named = [image.ReferencedSOPInstanceUID for image in series.ContourImageSequence]
    assert named == [source.SOPInstanceUID for source in findings.source.datasets]


def test_a_structure_set_is_unapproved_automatic_and_has_its_own_series(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(findings, provenance, uids)
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (uids.instance("rtstruct"), uids.series("rtstruct"))
    assert (ds.Modality, ds.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    assert {roi.ROIGenerationAlgorithm for roi in ds.StructureSetROISequence} == {"AUTOMATIC"}
    assert (ds.StructureSetDate, ds.StructureSetTime) == (ds.SeriesDate, ds.SeriesTime)
    assert "ContentDate" not in ds
    assert ds.StructureSetDescription.startswith("RESEARCH ONLY")


def test_rois_have_the_numbers_of_the_seg_and_names_colours_and_codes_of_their_segments(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = written(findings, provenance, uids)
    assert {roi.ROINumber: roi.ROIName for roi in ds.StructureSetROISequence} == {
        place: next(segment.label for segment in SEGMENTS if segment.number == number)
        for number, place in segmentation.segment_numbers(findings).items()
    }
    assert [list(roi.ROIDisplayColor) for roi in ds.ROIContourSequence] == [list(s.color_rgb) for s in SEGMENTS]
    right, _, nodule = ds.RTROIObservationsSequence
    assert right.RTROIIdentificationCodeSequence[0].CodeValue == LUNG.value
    side = right.RTROIIdentificationCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert side.CodeMeaning == "Right"
    assert right.RTROIInterpretedType == "ORGAN"
    assert nodule.AnatomicRegionSequence[0].CodeValue == LUNG.value
    assert nodule.RTROIInterpretedType == ""


@pytest.mark.parametrize(
    ("category", "kind_of", "needed"),
    [
        (("SCT", "91723000"), ("SCT", "39607008"), "ORGAN"),
        (("SCT", "49755003"), ("SCT", "228791009"), "GTV"),
        (("DCM", "130047"), ("SCT", "38266002"), "EXTERNAL"),
        (("SCT", "91723000"), ("SCT", "91806002"), "CAVITY"),
        (("SCT", "49755003"), ("SCT", "4147007"), ""),
    ],
)
def test_the_interpreted_type_follows_the_codes(
    category: tuple[str, str], kind_of: tuple[str, str], needed: str
) -> None:
    one, two = (Code(scheme=scheme, value=value, meaning="x") for scheme, value in (category, kind_of))
    assert interpreted_type(Segment(number=1, label="x", category=one, type=two)) == needed


def test_frames_are_named_by_number(provenance: Provenance, uids: ResultUids) -> None:
    findings = part_of_enhanced()
    ds = written(findings, provenance, uids)
    (image,) = (
        ds.ReferencedFrameOfReferenceSequence[0]
        .RTReferencedStudySequence[0]
        .RTReferencedSeriesSequence[0]
        .ContourImageSequence
    )
    assert list(image.ReferencedFrameNumber) == [2 * index + 2 for index in range(SHAPE[0])]


def test_an_empty_mask_has_no_structure_set(empty_findings: Findings, provenance: Provenance, uids: ResultUids) -> None:
    assert rtstruct.write(empty_findings, provenance, uids) is None


def ring(findings: Findings) -> Findings:
    """Segment 1 with a hole on every plane, and a second part."""
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[3:8, 3:15, 4:16], array[3:8, 6:10, 7:12], array[4, 18:20, 18:25] = 1, 0, 1
    volume = findings.segmentation.volume.with_array(array)
    return replace(findings, segmentation=Mask(volume=volume, segments=SEGMENTS))


def test_a_hole_is_a_keyhole_of_one_closed_contour(provenance: Provenance, uids: ResultUids) -> None:
    findings = ring(findings_in("oblique"))
    ds = written(findings, provenance, uids)
    (roi,) = ds.ROIContourSequence
    assert len(roi.ContourSequence) == 6
    assert {contour.ContourGeometricType for contour in roi.ContourSequence} == {"CLOSED_PLANAR"}
    first = corners(roi.ContourSequence[0])
    assert len(np.unique(first, axis=0)) == len(first) - 2
    verify(to_bytes(ds), findings)


def test_no_value_is_longer_than_explicit_vr_can_hold(provenance: Provenance, uids: ResultUids) -> None:
    shape = (2, 90, 90)
    findings = findings_in("axial")
    comb = np.indices(shape).sum(axis=0) % 2 == 0
    comb[:, ::2] = True
    volume = type(findings.source.volume)(
        array=comb.astype(np.uint8), affine=findings.source.volume.affine, coordinate_system="PATIENT"
    )
    source = SourceSeries(volume=volume, planes=findings.source.planes[:2])
    for ds in source.datasets:
        ds.Rows, ds.Columns = shape[1:]
    large = Findings(source=source, segmentation=Mask(volume=volume, segments=SEGMENTS), measurements=())
    encoded = to_bytes(rtstruct.write(large, provenance, uids) or Dataset())
    verify(encoded, large)
    ds = written(large, provenance, uids)
    assert len(ds.ROIContourSequence[0].ContourSequence) > 2
    assert {contour["ContourData"].VR for contour in ds.ROIContourSequence[0].ContourSequence} == {"DS"}


def changed(findings: Findings, provenance: Provenance, uids: ResultUids, change: Callable[[Dataset], None]) -> bytes:
    ds = written(findings, provenance, uids)
    change(ds)
    return to_bytes(ds)


def shift(by_mm: float, axis: int) -> Callable[[Dataset], None]:
    """Moves one contour."""

    def change(ds: Dataset) -> None:
        contour = ds.ROIContourSequence[0].ContourSequence[2]
        points = corners(contour)
        points[:, axis] += by_mm
        contour.ContourData = [f"{value:.4f}" for value in points.ravel()]

    return change


def drop(ds: Dataset) -> None:
    del ds.ROIContourSequence[1].ContourSequence[0]


def swap(ds: Dataset) -> None:
    first, second = ds.StructureSetROISequence[:2]
    first.ROIName, second.ROIName = second.ROIName, first.ROIName


def recode(ds: Dataset) -> None:
    ds.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0].CodeValue = "1"


def other_image(ds: Dataset) -> None:
    contours = ds.ROIContourSequence[0].ContourSequence
    contours[0].ContourImageSequence = contours[1].ContourImageSequence


def foreign_image(ds: Dataset) -> None:
    ds.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def elsewhere(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


def open_contour(ds: Dataset) -> None:
    ds.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"


def fewer_rois(ds: Dataset) -> None:
    del ds.StructureSetROISequence[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shift(0.5, 0), "wrong side"),
        (shift(0.75, 1), "wrong side"),
        (shift(0.1, 0), "off the corners"),
        (shift(0.1, 2), "off the corners"),
        (drop, "wrong side"),
        (swap, "ROI 1"),
        (recode, "ROI 1"),
        (other_image, "off the corners"),
        (foreign_image, "needed an image of the source series"),
        (elsewhere, "frames of reference"),
        (open_contour, "needed CLOSED_PLANAR"),
        (fewer_rois, "found ROIs"),
    ],
)
def test_the_self_check_finds_what_is_wrong(
    findings: Findings, provenance: Provenance, uids: ResultUids, change: Callable[[Dataset], None], words: str
) -> None:
    with pytest.raises(EncodingError, match=words):
        verify(changed(findings, provenance, uids, change), findings)


def test_the_self_check_finds_a_mask_on_another_grid_than_the_headers(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    encoded = to_bytes(written(findings, provenance, uids))
    flipped = np.array(findings.source.volume.affine)
    flipped[:3, 2] = -flipped[:3, 2]
    volume = type(findings.source.volume)(
        array=findings.source.volume.array, affine=flipped, coordinate_system="PATIENT"
    )
    with pytest.raises(EncodingError, match="of its place in the volume"):
        verify(encoded, replace(findings, source=replace(findings.source, volume=volume)))


def test_what_is_no_dicom_is_an_encoding_error(findings: Findings) -> None:
    with pytest.raises(EncodingError, match="RTSTRUCT read back"):
        verify(b"nothing", findings)


def test_contours_of_a_real_thorax_fill_to_the_mask(
    real_data: Path, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = real_findings(real_data / "lung1" / "LUNG1-002_20180526_CT")
    array = findings.segmentation.volume.array.copy()
    # Beside the small shapes a large part with many holes.
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(4, *array.shape[1:])), (0, 3, 3))
    array[50:54][noise > -0.03] = 2
    array[50:70, :40] = array[50:70, 300:] = 0
    findings = replace(
        findings, segmentation=Mask(volume=findings.segmentation.volume.with_array(array), segments=SEGMENTS)
    )
    study = replace(uids, study_instance_uid=str(findings.source.datasets[0].StudyInstanceUID))
    file = tmp_path / "rtstruct.dcm"
    file.write_bytes(to_bytes(rtstruct.write(findings, provenance, study) or Dataset()))
    verify(file.read_bytes(), findings)
    assert [line for line in complaints(file) if line.startswith("Error")] == []


def test_a_source_without_frame_of_reference_is_refused(
    findings: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    for ds in findings.source.datasets:
        del ds.FrameOfReferenceUID
    with pytest.raises(EncodingError, match="FrameOfReferenceUID"):
        rtstruct.write(findings, provenance, uids)


def test_the_contours_of_an_enhanced_object_name_one_frame_each(provenance: Provenance, uids: ResultUids) -> None:
    ds = written(enhanced(), provenance, uids)
    for roi in ds.ROIContourSequence:
        for contour in roi.ContourSequence:
            assert int(contour.ContourImageSequence[0].ReferencedFrameNumber) in range(1, SHAPE[0] + 1)
