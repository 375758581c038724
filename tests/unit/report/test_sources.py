"""Results on multi-frame and tilted sources: grid, references and self-check."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
import SimpleITK
from highdicom.sr import Comprehensive3DSR
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Plane, Provenance, SourceSeries
from dicomnode.domain.finding import Segmentation as Mask
from dicomnode.domain.uid import ResultUids
from dicomnode.report import measurements, segmentation
from dicomnode.report.check import verify
from dicomnode.report.encode import to_bytes
from dicomnode.report.extent import extent_of
from dicomnode.report.normalise import normalised

from .conftest import FRAME_OF_REFERENCE, SEGMENTS, SHAPE
from .conftest import measurements as measurements_of
from .phantoms import SOURCES, enhanced, part_of_enhanced, tilted, two_enhanced
from .reading import reread
from .test_validators import complaints, tool, voxels_in


@pytest.fixture(params=list(SOURCES))
def other(request: pytest.FixtureRequest) -> Findings:
    """Findings on each kind of source."""
    return SOURCES[request.param]()


def frames(ds: Dataset) -> list[tuple[int, Dataset, NDArray[np.uint8], NDArray[np.float64]]]:
    """Segment number, source reference, pixels and position of every frame, as highdicom decodes them."""
    seg = highdicom.seg.Segmentation.from_dataset(ds)
    pixels = seg.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    found = []
    for frame, plane in zip(ds.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        found.append((number, image, plane, place))
    return found


def test_every_frame_lies_on_its_source_plane_and_names_it(
    other: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(segmentation.write(other, provenance, uids))
    assert (ds.Rows, ds.Columns) == SHAPE[1:]
    assert ds.FrameOfReferenceUID == FRAME_OF_REFERENCE
    mask = other.source.on_planes(other.segmentation.volume.array)
    numbers = {position: number for number, position in segmentation.segment_numbers(other).items()}
    places = {(str(p.dataset.SOPInstanceUID), p.frame_number): i for i, p in enumerate(other.source.planes)}
    seen = set()
    for number, image, pixels, place in frames(ds):
        index = places[(str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber"))]
        plane = other.source.planes[index]
        assert image.ReferencedSOPClassUID == plane.dataset.SOPClassUID
        assert np.abs(place - plane.position_mm).max() < 1e-6
        np.testing.assert_array_equal(pixels, mask[index] == numbers[number])
        seen.add((numbers[number], index))
    assert seen == {(number, index) for number in (1, 2, 5) for index in np.unique(np.nonzero(mask == number)[0])}


def test_every_voxel_returns_to_its_place_in_the_volume(
    other: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    ds = reread(segmentation.write(other, provenance, uids))
    shared = ds.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, dtype=float)
    volume = other.segmentation.volume
    inverse = np.linalg.inv(volume.affine)
    tolerance = 0.5 if other.source.tilt else 1e-3
    labels = {position: number for number, position in segmentation.segment_numbers(other).items()}
    count = 0
    for number, _, pixels, place in frames(ds):
        rows, columns = np.nonzero(pixels)
        world = place + np.outer(rows, cosines[3:] * spacing[0]) + np.outer(columns, cosines[:3] * spacing[1])
        index = world @ inverse[:3, :3].T + inverse[:3, 3]
        assert np.abs(index - index.round()).max() <= tolerance + 1e-6
        nearest = index.round().astype(int)
        # Half a voxel rounds to either side, so the neighbour along the rows counts as well.
        near = [volume.array[tuple((nearest + np.array([0, step, 0])).T)] == labels[number] for step in (0, -1, 1)]
        assert (near[0] if not other.source.tilt else np.any(near, axis=0)).all()
        count += len(rows)
    assert count == np.count_nonzero(volume.array)


def test_the_self_check_passes_what_was_written(other: Findings, provenance: Provenance, uids: ResultUids) -> None:
    seg = segmentation.write(other, provenance, uids)
    assert seg is not None
    verify(to_bytes(seg), other)


def test_dciodvfy_finds_nothing(other: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    seg = segmentation.write(other, provenance, uids)
    assert seg is not None
    for role, ds in (("seg", seg), ("sr", measurements.write(other, provenance, uids, seg))):
        file = tmp_path / f"{role}.dcm"
        file.write_bytes(to_bytes(ds))
        assert complaints(file) == []


def test_the_same_source_gives_the_same_bytes(other: Findings, provenance: Provenance, uids: ResultUids) -> None:
    first, second = (segmentation.write(other, provenance, uids) for _ in range(2))
    assert first is not None
    assert second is not None
    assert to_bytes(first) == to_bytes(second)
    one, two = (measurements.write(other, provenance, uids, first) for _ in range(2))
    assert to_bytes(one) == to_bytes(two)


def test_evidence_library_and_outlines_name_objects_once_and_planes_by_frame(
    other: Findings, provenance: Provenance, uids: ResultUids
) -> None:
    seg = segmentation.write(other, provenance, uids)
    sr: Any = Comprehensive3DSR.from_dataset(reread(measurements.write(other, provenance, uids, seg)))
    own = [str(ds.SOPInstanceUID) for ds in other.source.datasets]
    assert [str(item[2]) for item in sr.get_evidence()] == [*own, uids.instance("seg")]
    keys = [other.source.planes[index] for index in measurements.key_slices(other, extent_of(other))]
    library = next(item for item in sr.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111028")
    entries = [item for item in library.ContentSequence[0].ContentSequence if item.ValueType == "IMAGE"]
    found = [entry.ReferencedSOPSequence[0] for entry in entries]
    assert [(image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")) for image in found] == [
        (plane.dataset.SOPInstanceUID, plane.frame_number) for plane in keys
    ]
    places = {(str(plane.dataset.SOPInstanceUID), plane.frame_number) for plane in keys}
    for group in sr.content.get_planar_roi_measurement_groups():
        image = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        assert (str(image.ReferencedSOPInstanceUID), image.get("ReferencedFrameNumber")) in places


def test_the_source_is_not_touched(other: Findings, provenance: Provenance, uids: ResultUids) -> None:
    before = [ds.to_json_dict() for ds in other.source.datasets]
    seg = segmentation.write(other, provenance, uids)
    measurements.write(other, provenance, uids, seg)
    assert [ds.to_json_dict() for ds in other.source.datasets] == before


def test_the_frames_used_are_named_where_an_object_holds_more(provenance: Provenance, uids: ResultUids) -> None:
    (image,) = reread(segmentation.write(part_of_enhanced(), provenance, uids)).SourceImageSequence
    assert list(image.ReferencedFrameNumber) == [2 * index + 2 for index in range(SHAPE[0])]
    (whole,) = reread(segmentation.write(enhanced(), provenance, uids)).SourceImageSequence
    assert "ReferencedFrameNumber" not in whole


def test_headers_of_frames_have_their_geometry_and_no_functional_groups() -> None:
    findings = two_enhanced()
    headers = normalised(findings.source)
    assert len(headers) == SHAPE[0]
    for ds, plane in zip(headers, findings.source.planes, strict=True):
        assert [float(value) for value in ds.ImagePositionPatient] == pytest.approx(plane.position_mm)
        assert [float(value) for value in ds.PixelSpacing] == [0.75, 0.5]
        assert "PerFrameFunctionalGroupsSequence" not in ds
        assert ds.SOPInstanceUID == plane.dataset.SOPInstanceUID


def test_a_frame_that_names_another_frame_is_caught(provenance: Provenance, uids: ResultUids) -> None:
    findings = enhanced()
    seg = dcmread(BytesIO(to_bytes(segmentation.write(findings, provenance, uids) or Dataset())))
    seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = 1
    with pytest.raises(EncodingError, match=r"SEG: found the frame of [\d.]+, frame 1 at"):
        verify(to_bytes(seg), findings)


def test_a_tilt_told_wrongly_is_caught(provenance: Provenance, uids: ResultUids) -> None:
    findings = tilted()
    seg = segmentation.write(findings, provenance, uids)
    tilt = findings.source.tilt
    assert seg is not None
    assert tilt is not None
    upright = replace(tilt, starts=tuple((0.0, 0.0) for _ in tilt.starts))
    with pytest.raises(EncodingError, match=r"source: image 1 lies .* mm aside"):
        verify(to_bytes(seg), replace(findings, source=replace(findings.source, tilt=upright)))


def real_enhanced(file: Path) -> Findings:
    """A made-up mask on the first frame at every position of a real Enhanced MR."""
    ds = dcmread(file, stop_before_pixels=True)
    items = ds.PerFrameFunctionalGroupsSequence
    cosines = np.array(items[0].PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float)
    spacing = np.array(items[0].PixelMeasuresSequence[0].PixelSpacing, dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    places: dict[float, tuple[int, NDArray[np.float64]]] = {}
    for number, item in enumerate(items, start=1):
        place = np.array(item.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        places.setdefault(round(float(place @ normal), 3), (number, place))
    stack = [places[depth] for depth in sorted(places)]
    planes = tuple(
        Plane(dataset=ds, frame_number=number, position_mm=(float(place[0]), float(place[1]), float(place[2])))
        for number, place in stack
    )
    affine = np.eye(4)
    affine[:3, 0] = (stack[-1][1] - stack[0][1]) / (len(stack) - 1)
    affine[:3, 1], affine[:3, 2], affine[:3, 3] = cosines[3:] * spacing[0], cosines[:3] * spacing[1], stack[0][1]
    array: NDArray[np.uint8] = np.zeros((len(stack), ds.Rows, ds.Columns), dtype=np.uint8)
    array[3:9, 20:35, 10:22], array[5:15, 12:18, 40:50] = 1, 5
    volume = highdicom.Volume(array=array, affine=affine, coordinate_system="PATIENT")
    source = SourceSeries(volume=volume, planes=planes)
    mask = Mask(volume=volume, segments=SEGMENTS)
    return Findings(source=source, segmentation=mask, measurements=measurements_of(mask))


def test_results_on_a_real_enhanced_mr_validate_and_match(
    real_data: Path, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = real_enhanced(real_data / "mr_enh_dcm_qa_enh" / "Philips" / "IM_0027_fMAP.dcm")
    assert (len(findings.source.planes), len(findings.source.datasets)) == (32, 1)
    study = replace(uids, study_instance_uid=str(findings.source.datasets[0].StudyInstanceUID))
    seg = segmentation.write(findings, provenance, study)
    assert seg is not None
    verify(to_bytes(seg), findings)
    for role, ds in (("seg", seg), ("sr", measurements.write(findings, provenance, study, seg))):
        file = tmp_path / f"{role}.dcm"
        file.write_bytes(to_bytes(ds))
        assert [line for line in complaints(file) if not line.startswith("Warning")] == []


@pytest.mark.parametrize("make", [enhanced, two_enhanced, part_of_enhanced])
def test_dcmqi_reads_a_seg_on_frames_voxel_by_voxel(
    provenance: Provenance, uids: ResultUids, tmp_path: Path, make: Callable[[], Findings]
) -> None:
    findings = make()
    file = tmp_path / "seg.dcm"
    file.write_bytes(to_bytes(segmentation.write(findings, provenance, uids) or Dataset()))
    program = tool("segimage2itkimage")
    options = ["--inputDICOM", str(file), "--outputDirectory", str(tmp_path), "--prefix", "out", "-t", "nrrd"]
    subprocess.run([program, *options], check=True, capture_output=True)
    volume = findings.segmentation.volume
    for number, position in segmentation.segment_numbers(findings).items():
        image = SimpleITK.ReadImage(str(tmp_path / f"out-{position}.nrrd"))
        assert voxels_in(image, volume) == {tuple(row) for row in np.argwhere(volume.array == number).tolist()}


def test_dcmqi_reads_the_measurements_of_segments_beside_outlines(
    provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = enhanced()
    seg = segmentation.write(findings, provenance, uids)
    file, out = tmp_path / "sr.dcm", tmp_path / "sr.json"
    file.write_bytes(to_bytes(measurements.write(findings, provenance, uids, seg)))
    options = ["--inputDICOM", str(file), "--outputMetadata", str(out)]
    subprocess.run([tool("tid1500reader"), *options], check=True, capture_output=True)
    groups = json.loads(out.read_text())["Measurements"]
    # The outlines come as groups without values.
    found = {group["TrackingIdentifier"]: group for group in groups if group["measurementItems"]}
    for segment in SEGMENTS:
        rows = found[segment.label]["measurementItems"]
        needed = [row.value for row in findings.measurements if row.segment_number == segment.number]
        assert sorted(float(row["value"]) for row in rows) == pytest.approx(sorted(needed))
