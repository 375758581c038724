"""Results on every series of the real data are valid, and other programs read the same voxels and numbers in them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from dicomnode.domain.finding import Findings, SourceSeries
from dicomnode.flow.encode import Output, encoded
from dicomnode.infer.read.volume import read_series
from tests.acceptance.made import PROVENANCE, SEGMENTS, findings_on, taker, uids
from tests.acceptance.reading import dump
from tests.acceptance.test_every_series import placed, series_below
from tests.acceptance.validators import dcentvfy, dciodvfy, program, unexplained
from tests.series.expected import READS

pytestmark = [
    pytest.mark.acceptance,
    # pydicom says so of values in the source that are too long; results hold them shortened, which dciodvfy confirms.
    pytest.mark.filterwarnings("ignore:The value length .* exceeds the maximum length:UserWarning"),
]

WANTED = ("seg", "sr", "rtstruct", "picture")

#: The same images under other transfer syntaxes or cut otherwise, reference objects that differ in the dose alone, and
#: a third patient of one protocol: their results differ in nothing that is looked at here.
TWINS = re.compile(
    r"dicom2nifti/generic/compressed|dicom2nifti/.*_implicit|wg04/(?!REF)|pydicom_malformed/MR_small_"
    r"|ibsi_suv_dro/DRO/DRO_(?!0_0)|dcmqi/segmentations/24x38x3|fodicom_edge/GH177|sts_ibsi_validation/STS_010"
)

#: A decimal string of 16 characters (PS3.5 6.2) holds 10 digits beside a sign, a point and an exponent.
DECIMAL_STRING = 1e-9

#: Positions of readers are those of the objects but for the rounding of decimal strings, multiplied by an index.
SAME_PLACE_VOXELS = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One series, its results, and their files by role."""

    images: tuple[Path, ...]
    findings: Findings
    outputs: tuple[Output, ...]
    files: dict[str, Path]

    @property
    def source(self) -> SourceSeries:
        """The series."""
        return self.findings.source

    @property
    def reports(self) -> dict[str, Path]:
        """Files of the reports in all their forms."""
        return {one.role: self.files[one.role] for one in self.outputs if one.kind == "sr"}


@pytest.fixture(scope="module", params=sorted(key for key in READS if not TWINS.match(key)))
def case(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Every series with the results on it."""
    folder = tmp_path_factory.mktemp("results")
    images = series_below(real_data)[request.param]
    if READS[request.param].placed:
        images = placed(images, folder)
    findings = findings_on(read_series(images))
    outputs = tuple(encoded(findings, WANTED, PROVENANCE, uids(findings.source), [taker(WANTED)]))
    assert {one.kind for one in outputs} == set(WANTED)
    files = {}
    for one in outputs:
        files[one.role] = folder / f"{one.role}.dcm"
        files[one.role].write_bytes(one.data)
    return Case(images=tuple(images), findings=findings, outputs=outputs, files=files)


def test_dciodvfy_says_nothing_that_the_table_does_not_explain(case: Case) -> None:
    inherited = dciodvfy(case.images[0])
    for role, file in case.files.items():
        assert unexplained("dciodvfy", dciodvfy(file), inherited=inherited) == [], role


def test_dcentvfy_finds_the_results_in_agreement_with_their_images(case: Case) -> None:
    study = str(case.source.datasets[0].StudyInstanceUID)
    # What it says of the images alone is theirs. Where these disagree among themselves, a result cannot agree with all.
    inherited = {_without_files(line) for line in dcentvfy(case.images)}
    told = dcentvfy([*case.images, *case.files.values()])
    left = [line for line in told if _without_files(line) not in inherited]
    assert unexplained("dcentvfy", left, study=study) == []


def _without_files(line: str) -> str:
    """A message without the files and values that it was met in."""
    return line.partition(" for file ")[0]


def test_dcmtk_renders_every_report(case: Case) -> None:
    for file in case.reports.values():
        text = dump(file)
        assert "PRELIMINARY" in text
        assert all(segment.label in text for segment in SEGMENTS)


def test_highdicom_reads_every_voxel_of_the_seg_on_its_image(case: Case) -> None:
    seg: Any = highdicom.seg.segread(str(case.files["seg"]))
    planes = case.source.planes
    if planes[0].frame_number is None:
        names = [str(plane.dataset.SOPInstanceUID) for plane in planes]
        found = seg.get_pixels_by_source_instance(names, assert_missing_frames_are_empty=True)
    else:
        (name,) = {str(plane.dataset.SOPInstanceUID) for plane in planes}
        frames = [plane.frame_number for plane in planes]
        found = seg.get_pixels_by_source_frame(name, frames, assert_missing_frames_are_empty=True)
    for segment, labels in zip(SEGMENTS, np.moveaxis(found, -1, 0), strict=True):
        np.testing.assert_array_equal(labels > 0, _shown(case) == segment.number)


def _shown(case: Case) -> npt.NDArray[np.uint8]:
    return case.source.on_planes(np.asarray(case.findings.segmentation.volume.array))


def test_dcmqi_reads_every_voxel_of_the_seg_at_its_place_in_the_patient(case: Case, tmp_path: Path) -> None:
    told = _run(
        "segimage2itkimage", "--inputDICOM", case.files["seg"], "--outputDirectory", tmp_path, "--prefix", "out",
        "-t", "nrrd",
    )  # fmt: skip
    if case.source.tilt is not None:
        # An ITK image has perpendicular axes, which the planes of a tilted gantry have not.
        assert "outside image geometry" in told
        return
    volume = case.findings.segmentation.volume
    for segment in SEGMENTS:
        image: Any = SimpleITK.ReadImage(str(tmp_path / f"out-{segment.number}.nrrd"))
        found = _indices(image, np.asarray(volume.affine))
        assert np.abs(found - found.round()).max() < SAME_PLACE_VOXELS
        places = np.ravel_multi_index(tuple(found.round().astype(int).T), volume.spatial_shape)
        np.testing.assert_array_equal(np.sort(places), np.flatnonzero(volume.array == segment.number))


def _indices(image: Any, affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where the voxels of an ITK image that are not 0 lie in a grid, in its (slice, row, column)."""
    places = np.argwhere(SimpleITK.GetArrayFromImage(image))[:, ::-1]
    turn = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    world = np.array(image.GetOrigin()) + places @ turn.T
    found: npt.NDArray[np.float64] = (world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    return found


def test_highdicom_reads_every_number_of_every_report(case: Case) -> None:
    for role, file in case.reports.items():
        report: Any = highdicom.sr.srread(str(file))
        content = report.content
        groups = [
            *content.get_volumetric_roi_measurement_groups(),
            *content.get_planar_roi_measurement_groups(),
            *content.get_image_measurement_groups(),
        ]
        found = [
            (group.tracking_identifier, one.name.value, one.unit.value, one.value)
            for group in groups
            for one in group.get_measurements()
        ]
        # Numbers in full precision stand beside their decimal strings (PS3.3 C.18.1).
        _same_numbers(found, case, role, 0.0)


def test_dcmqi_reads_every_number_of_every_report(case: Case, tmp_path: Path) -> None:
    for role, file in case.reports.items():
        _run("tid1500reader", "--inputDICOM", file, "--outputMetadata", tmp_path / f"{role}.json")
        groups = json.loads((tmp_path / f"{role}.json").read_text("utf-8"))["Measurements"]
        found = [
            (
                group["TrackingIdentifier"],
                item["quantity"]["CodeValue"],
                item["units"]["CodeValue"],
                float(item["value"]),
            )
            for group in groups
            for item in group["measurementItems"]
        ]
        _same_numbers(found, case, role, DECIMAL_STRING)


def _same_numbers(found: Sequence[tuple[str, str, str, float]], case: Case, role: str, relative: float) -> None:
    names = {segment.number: segment.label for segment in SEGMENTS}
    needed = [(names[one.segment_number], one.name.value, one.unit.value, one.value)
              for one in case.findings.measurements]  # fmt: skip
    assert needed, role
    ours, theirs = sorted(needed), sorted(found)
    assert [one[:3] for one in theirs] == [one[:3] for one in ours], role
    assert [one[3] for one in theirs] == pytest.approx([one[3] for one in ours], rel=relative, abs=0.0), role


def _run(name: str, *options: str | Path) -> str:
    done = subprocess.run([program(name), *map(str, options)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
