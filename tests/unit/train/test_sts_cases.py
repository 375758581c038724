"""The corpus is read in LPS, held-out patients stay out, and an empty CT counts as none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from dicomnode.infer.bundle.load import load_bundle
from dicomnode.train.sts_bundle import NAME, SPACING_MM, write_bundle
from dicomnode.train.sts_cases import AIR_HU, HELD_OUT, read_case, sample_of, samples, training_folders

SPACING = (5.0, 5.0, 3.0)
ORIGIN = (-40.0, 12.0, 300.0)


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """One patient with a tumour of 4 × 6 × 8 voxels (slice, row, column) and SUV 5 in a body of SUV 1."""
    folder = tmp_path / "sts_corpus" / "STS_777"
    folder.mkdir(parents=True)
    pet = np.ones((24, 30, 32), dtype=np.float32)
    mask = np.zeros(pet.shape, dtype=np.uint8)
    mask[10:14, 12:18, 8:16] = 1
    pet[mask > 0] = 5
    _write(folder / "PET_image.nii.gz", pet)
    _write(folder / "PET_mask.nii.gz", mask)
    _write(folder / "CT_image.nii.gz", np.where(mask > 0, 40, -100).astype(np.int16))
    return folder


def _write(path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)  # type: ignore[no-untyped-call]
    image.SetOrigin(ORIGIN)  # type: ignore[no-untyped-call]
    SimpleITK.WriteImage(image, str(path))  # type: ignore[no-untyped-call]


def test_a_voxel_lies_where_the_file_says(patient: Path) -> None:
    case = read_case(patient)
    image = SimpleITK.ReadImage(str(patient / "PET_image.nii.gz"))  # type: ignore[no-untyped-call]
    expected = image.TransformIndexToPhysicalPoint((9, 13, 11))  # type: ignore[no-untyped-call]
    assert (case.pet.affine @ [11, 13, 9, 1])[:3] == pytest.approx(expected, abs=1e-4)
    assert case.truth[11, 13, 9] and case.pet.array[11, 13, 9] == 5
    assert case.truth_ml == pytest.approx(4 * 6 * 8 * 75 / 1000)


def test_an_empty_ct_gives_air_on_the_grid_of_the_pet(patient: Path) -> None:
    (patient / "CT_image.nii.gz").write_bytes(b"")
    case = read_case(patient)
    assert not case.has_ct
    assert case.ct.spatial_shape == case.pet.spatial_shape and (case.ct.array == AIR_HU).all()


def test_a_contour_on_another_grid_is_refused(patient: Path) -> None:
    _write(patient / "PET_mask.nii.gz", np.ones((24, 30, 31), dtype=np.uint8))
    with pytest.raises(ValueError, match="another grid"):
        read_case(patient)


def test_the_patients_of_the_test_are_never_trained_on(patient: Path) -> None:
    for name in HELD_OUT:
        patient.with_name(name).mkdir()
    assert training_folders(patient.parents[1]) == [patient]


def test_without_patients_it_is_said_what_was_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needed the patients of the corpus"):
        training_folders(tmp_path)


def test_the_network_sees_what_the_bundle_declares(patient: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / NAME)
    spec = load_bundle(tmp_path / NAME)
    case = read_case(patient)
    seen = sample_of(case, spec)
    assert seen.image.shape == (2, *seen.truth.shape)
    assert seen.truth.sum() * SPACING_MM**3 / 1000 == pytest.approx(case.truth_ml, rel=0.02)
    middle = np.unravel_index(seen.truth.argmax(), seen.truth.shape)
    assert seen.image[(0, *middle)] == pytest.approx(np.log(6) / np.log(31), abs=0.02)
    kept = samples([patient], spec, tmp_path / "cache")[0]
    again = samples([patient], spec, tmp_path / "cache")[0]
    assert np.array_equal(kept.image, again.image) and np.array_equal(kept.image, seen.image)
    assert len(list((tmp_path / "cache").iterdir())) == 1
