"""What other implementations say about every kind of result: dciodvfy, DCMTK and dcmqi."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.finding import Findings, Provenance, SourceSeries, planes_of
from dicomnode.domain.finding import Segmentation as Mask
from dicomnode.domain.uid import ResultUids
from dicomnode.report import features, measurements, refusal, segmentation
from dicomnode.report.check import verify
from dicomnode.report.encode import to_bytes

from .conftest import SEGMENTS, SHAPE, labels
from .conftest import features as features_of
from .conftest import measurements as measurements_of

#: IHE AIR asks for this attribute in Contributing Equipment; the checker does not know it there.
ACCEPTED_WARNING = "DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD"

RECOGNISED = {"Segmentation", "Comprehensive3DSR", "ComprehensiveSR", "EnhancedSR", "RTStructureSet", "ParametricMap"}


def tool(name: str) -> str:
    """Path of a program beside this Python or on the path; the test is skipped without it."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def results(findings: Findings, provenance: Provenance, uids: ResultUids, folder: Path) -> dict[str, Path]:
    """Files of every kind of result."""
    seg = segmentation.write(findings, provenance, uids)
    objects: dict[str, Dataset | None] = {
        "seg": seg,
        "sr": measurements.write(findings, provenance, uids, seg),
        "sr-alone": measurements.write(findings, provenance, uids, None),
        "radiomics": features.write(findings, provenance, uids, seg),
        "refusal": refusal.write(findings.source.datasets, "too thin", provenance, uids),
    }
    files = {}
    for role, ds in objects.items():
        if ds is not None:
            files[role] = folder / f"{role}.dcm"
            files[role].write_bytes(to_bytes(ds))
    return files


def complaints(file: Path) -> list[str]:
    """Errors and unexpected warnings of dciodvfy."""
    done = subprocess.run([tool("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert set(lines) & RECOGNISED, "dciodvfy names the kind of object that it has recognised"
    return [line for line in lines if line not in RECOGNISED and ACCEPTED_WARNING not in line]


def test_dciodvfy_finds_nothing_in_any_result(
    any_findings: Findings, replacing: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    files = results(any_findings, replacing, uids, tmp_path)
    assert set(files) == {"seg", "sr", "sr-alone", "radiomics", "refusal"}
    assert {role: complaints(file) for role, file in files.items()} == {role: [] for role in files}


def test_dciodvfy_finds_nothing_in_the_report_of_an_empty_mask(
    empty_findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    files = results(empty_findings, provenance, uids, tmp_path)
    assert set(files) == {"sr", "sr-alone", "refusal"}
    assert complaints(files["sr"]) == []


def test_dcmtk_reads_every_report(findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path) -> None:
    for role, file in results(findings, provenance, uids, tmp_path).items():
        if role == "seg":
            continue
        done = subprocess.run([tool("dsrdump"), "-q", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "PRELIMINARY" in done.stdout


def voxels_in(image: Any, volume: Volume) -> set[tuple[int, ...]]:
    """Indices in `volume` of the non-zero voxels of an ITK image, whatever its grid."""
    spacing, direction = np.array(image.GetSpacing()), np.array(image.GetDirection()).reshape(3, 3)
    z, y, x = np.nonzero(SimpleITK.GetArrayFromImage(image))
    world = np.array(image.GetOrigin()) + (np.stack([x, y, z], axis=1) * spacing) @ direction.T
    index = (world - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    assert np.abs(index - index.round()).max() < 1e-3
    return {tuple(row) for row in index.round().astype(int).tolist()}


def test_dcmqi_reads_the_seg_voxel_by_voxel(
    any_findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    file = results(any_findings, provenance, uids, tmp_path)["seg"]
    subprocess.run(
        [
            tool("segimage2itkimage"),
            "--inputDICOM",
            file,
            "--outputDirectory",
            tmp_path,
            "--prefix",
            "out",
            "-t",
            "nrrd",
        ],
        check=True,
        capture_output=True,
    )
    volume = any_findings.segmentation.volume
    for number, position in segmentation.segment_numbers(any_findings).items():
        image = SimpleITK.ReadImage(str(tmp_path / f"out-{position}.nrrd"))
        expected = {tuple(row) for row in np.argwhere(volume.array == number).tolist()}
        assert voxels_in(image, volume) == expected


def test_dcmqi_reads_the_measurements(
    findings: Findings, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    file = results(findings, provenance, uids, tmp_path)["sr"]
    out = tmp_path / "sr.json"
    subprocess.run(
        [tool("tid1500reader"), "--inputDICOM", file, "--outputMetadata", out], check=True, capture_output=True
    )
    assert all(f'"{label}"' in out.read_text() for label in ("Lung right", "Lung left", "Nodule"))


def real_findings(folder: Path) -> Findings:
    """A made-up mask on the headers of a real thorax CT."""
    headers = [dcmread(file, stop_before_pixels=True) for file in sorted(folder.rglob("*.dcm"))]
    slices = sorted((ds for ds in headers if ds.Modality == "CT"), key=lambda ds: float(ds.ImagePositionPatient[2]))
    shape = (len(slices), slices[0].Rows, slices[0].Columns)
    first, second = (np.array(ds.ImagePositionPatient, dtype=float) for ds in slices[:2])
    affine = np.zeros((4, 4))
    affine[:3, 0], affine[:3, 3], affine[3, 3] = second - first, first, 1.0
    affine[1, 1], affine[0, 2] = slices[0].PixelSpacing
    array: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
    array[20 : 20 + SHAPE[0], 200 : 200 + SHAPE[1], 150 : 150 + SHAPE[2]] = labels()

    def volume(values: NDArray[np.generic]) -> Volume:
        return Volume(array=values, affine=affine, coordinate_system="PATIENT")

    mask = Mask(volume=volume(array), segments=SEGMENTS)
    source = SourceSeries(volume=volume(np.zeros(shape, dtype=np.int16)), planes=planes_of(slices))
    return Findings(source=source, segmentation=mask, measurements=measurements_of(mask), features=features_of(mask))


def test_results_on_a_real_thorax_ct_validate_and_match(
    real_data: Path, provenance: Provenance, uids: ResultUids, tmp_path: Path
) -> None:
    findings = real_findings(real_data / "lung1" / "LUNG1-002_20180526_CT")
    assert len(findings.source.datasets) == 111
    study = replace(uids, study_instance_uid=str(findings.source.datasets[0].StudyInstanceUID))
    files = results(findings, provenance, study, tmp_path)
    verify(files["seg"].read_bytes(), findings)
    # The series itself draws warnings: a name without components, a private scheme for how it was de-identified.
    errors = [line for file in files.values() for line in complaints(file) if not line.startswith("Warning")]
    assert errors == []
    patient = findings.source.datasets[0].PatientName
    assert all(dcmread(file).PatientName == patient for file in files.values())
