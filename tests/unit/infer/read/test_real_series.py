"""Real series: agreement with highdicom and with NIfTI twins, and stated refusals for all that is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import get_volume_from_series
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.pipeline import resampled
from dicomnode.infer.read.volume import read_series

# Real headers break the standard here and there, and pydicom warns of it.
pytestmark = pytest.mark.filterwarnings("ignore")


def images(folder: Path, modality: str) -> list[Path]:
    """The files of one modality in a folder that holds others, too."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and dcmread(path, stop_before_pixels=True).get("Modality") == modality:
                found.append(path)
        except (InvalidDicomError, OSError):
            continue
    assert found, folder
    return found


@pytest.fixture
def placed(tmp_path: Path) -> Callable[[list[Path]], list[Path]]:
    """Copies of images whose Frame of Reference UID the anonymiser removed, with one."""

    def place(paths: list[Path]) -> list[Path]:
        copies = []
        for number, path in enumerate(paths):
            ds = dcmread(path)
            ds.FrameOfReferenceUID = "1.2.3"
            ds.save_as(tmp_path / f"{number}")
            copies.append(tmp_path / f"{number}")
        return copies

    return place


@pytest.mark.parametrize(
    ("folder", "modality"),
    [
        ("ibsi1_ct_phantom/dicom/image", "CT"),
        ("mr_t1_philips_mprage", "MR"),
        ("ibsi_suv_dro/DRO/DRO_0_0/PT", "PT"),
        ("sts_ibsi_validation/STS_002/dicom/STS_002/PET/image", "PT"),
    ],
)
def test_a_series_reads_as_highdicom_reads_it(real_data: Path, folder: str, modality: str) -> None:
    paths = images(real_data / folder, modality)
    found = read_series(paths).volume
    expected = get_volume_from_series([dcmread(path) for path in paths]).flip_spatial(0)
    assert np.allclose(found.affine, expected.affine, atol=1e-4)
    assert np.allclose(found.array, expected.array, rtol=1e-6, atol=1e-6 * np.abs(expected.array).max())


def test_the_ct_is_read_out_of_a_folder_of_many_things(real_data: Path) -> None:
    found = read_series(images(real_data / "lung1" / "LUNG1-002_20180526_CT", "CT"))
    assert found.volume.array.shape == (111, 512, 512)
    assert found.volume.array.dtype == np.int16
    assert found.volume.spacing == pytest.approx((3.0, 0.977, 0.977))
    with pytest.raises(Unsuitable):
        read_series(sorted(path for path in (real_data / "lung1").rglob("*.dcm")))


@pytest.mark.parametrize(
    "name",
    [
        "generic/anatomical/001",
        "generic/anatomical/001_implicit",
        "generic/anatomical/002_non_isotropic",
        "generic/compressed/001",
        "generic/compressed_j2k/001",
        "generic/compressed_jpeg/001",
        "generic/compressed_jpegls/001",
        "generic/compressed_rle/001",
        "ge/anatomical/001",
    ],
)
def test_a_series_lies_where_its_nifti_twin_lies(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str
) -> None:
    folder = real_data / "dicom2nifti" / name
    volume = read_series(placed(images(folder, "MR"))).volume
    twin: Any = SimpleITK.ReadImage(str(folder.parent / f"{folder.name}_ground_truth.nii.gz"))
    same = resampled(twin, volume.array.shape, volume.affine, outside=-1.0)
    assert sorted(twin.GetSize()) == sorted(volume.array.shape)
    assert np.abs(same - volume.array).max() <= 0.01 * np.ptp(volume.array)


@pytest.mark.parametrize(
    ("name", "modality", "said"),
    [
        ("failing/gantrytilting/001", "CT", r"gantry tilt of 14\.0°"),
        ("failing/sliceincrement/001", "CT", r"slice gap 10 mm at position 3 of 4 .*expected 5 mm \(1 missing\?\)"),
        ("ge/fmri/001", "MR", "several slices at one position"),
    ],
)
def test_what_is_no_upright_even_stack_is_refused(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str, modality: str, said: str
) -> None:
    with pytest.raises(Unsuitable, match=said):
        read_series(placed(images(real_data / "dicom2nifti" / name, modality)))


def test_a_tilted_head_ct_is_refused(real_data: Path) -> None:
    with pytest.raises(Unsuitable, match=r"gantry tilt of 18\.5°"):
        read_series(images(real_data / "ct_headphantom_philips" / "S21610" / "S2010", "CT"))


def test_an_enhanced_mr_is_refused_as_multi_frame(real_data: Path) -> None:
    with pytest.raises(Unsuitable, match="multi-frame image"):
        read_series(images(real_data / "mr_enh_dcm_qa_enh", "MR"))


@pytest.mark.parametrize("folder", ["pydicom_malformed", "fodicom_edge", "wg04", "nm_qc_mediso"])
def test_every_odd_file_is_refused_with_a_reason_and_never_a_crash(real_data: Path, folder: str) -> None:
    paths = [path for path in sorted((real_data / folder).rglob("*")) if path.is_file()]
    assert paths
    for path in paths:
        with pytest.raises(Unsuitable, match="needed"):
            read_series([path, path])
