"""Peak, metabolic volume and total lesion glycolysis of lesions in PET."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.domain.model import Subject
from dicomnode.infer.read.volume import read_series
from dicomnode.measure import codes, intensity, uptake
from dicomnode.measure.measured import Measured
from dicomnode.measure.region import regions
from dicomnode.measure.uptake import PEAK_RADIUS_MM, sphere

from .conftest import segmentation_of, volume_of

GRID_MM = (3.0, 4.0, 4.0)
VOXEL_ML = 0.048
SUV = "g/ml{SUVbw}"


def lesions(labels: NDArray[np.uint8]) -> Segmentation:
    return segmentation_of(labels, GRID_MM, described=1, subject=Subject.LESION)


def of_pet(array: NDArray[np.generic], labels: NDArray[np.uint8], unit: str = SUV) -> Measured:
    return intensity.measure(volume_of(array, GRID_MM), lesions(labels), "PT", unit)


def by_derivation(found: Measured, code: object) -> Measurement:
    (row,) = (row for row in found.measurements if row.derivation == code)
    return row


def by_method(found: Measured, name: object) -> dict[str, float]:
    return {row.method.value: row.value for row in found.measurements if row.name == name and row.method}


def hot(shape: tuple[int, int, int] = (20, 20, 20)) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Uptake that falls with the distance from (9, 10, 11), and a lesion round there."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    square_mm = ((z - 9) * 3.0) ** 2 + ((y - 10) * 4.0) ** 2 + ((x - 11) * 4.0) ** 2
    return 8 * np.exp(-square_mm / 300), (square_mm < 400).astype(np.uint8)


def test_the_peak_is_the_mean_in_the_hottest_sphere_of_one_millilitre() -> None:
    array, labels = hot()
    row = by_derivation(of_pet(array, labels), codes.PEAK)
    rng = np.random.default_rng(5)
    points = rng.uniform(-PEAK_RADIUS_MM, PEAK_RADIUS_MM, (400_000, 3))
    points = points[(points**2).sum(axis=1) <= PEAK_RADIUS_MM**2]
    z, y, x = np.round(points / GRID_MM + (9, 10, 11)).astype(int).T
    # By 200 000 random points the mean is known to some 0.2 %.
    assert row.value == pytest.approx(array[z, y, x].mean(), rel=0.002)
    (centre,) = row.points_mm
    assert centre == pytest.approx((-90 + 11 * 4.0, -120 + 10 * 4.0, 35 + 9 * 3.0))
    assert row.plane == 9
    assert (row.name.value, row.unit.value) == ("126401", SUV)


def test_the_peak_is_the_best_of_all_places_in_the_lesion() -> None:
    rng = np.random.default_rng(6)
    array = rng.uniform(0, 10, (14, 14, 14))
    labels = np.zeros(array.shape, dtype=np.uint8)
    labels[4:10, 4:10, 4:10] = rng.random((6, 6, 6)) < 0.5
    weights = sphere(GRID_MM)
    z, y, x = (length // 2 for length in weights.shape)
    means = [
        (array[i - z : i + z + 1, j - y : j + y + 1, k - x : k + x + 1] * weights).sum()
        for i, j, k in np.argwhere(labels)
    ]
    assert by_derivation(of_pet(array, labels), codes.PEAK).value == pytest.approx(max(means), rel=1e-12)


@pytest.mark.parametrize(
    "grid_mm", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (3.27, 5.47, 5.47), (4.0, 4.0, 4.0), (10.0, 4.0, 4.0)]
)
def test_the_shares_of_the_voxels_make_one_millilitre_on_any_grid(grid_mm: tuple[float, float, float]) -> None:
    weights = sphere(grid_mm)
    assert weights.sum() == pytest.approx(1.0)
    # A voxel that lies in the sphere altogether has the largest share: its own volume in ml.
    assert np.prod(grid_mm) / 1000 / weights.max() == pytest.approx(1.0, rel=0.002)


def test_with_voxels_counted_whole_the_peak_is_the_reference_value_of_ibsi(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
        """IBSI counts the voxels whose centre lies in the sphere, each once."""
        axes = [np.arange(-7, 8) * length for length in spacing_mm]
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        inside = z * z + y * y + x * x <= PEAK_RADIUS_MM**2
        weights: NDArray[np.float64] = inside / inside.sum()
        return weights

    monkeypatch.setattr(uptake, "sphere", whole)
    image: Any
    image, mask = (
        SimpleITK.ReadImage(str(next((real_data / "ibsi1_ct_phantom/nifti" / kind).glob("*.nii.gz"))))
        for kind in ("image", "mask")
    )
    spacing_mm = (image.GetSpacing()[2], image.GetSpacing()[1], image.GetSpacing()[0])
    array = SimpleITK.GetArrayFromImage(image)
    # Configuration A takes the voxels from -500 to 400 HU.
    labels = ((SimpleITK.GetArrayFromImage(mask) > 0) & (array >= -500) & (array <= 400)).astype(np.uint8)
    (region,) = regions(volume_of(array, spacing_mm), segmentation_of(labels, spacing_mm, described=1))
    found = uptake.peak(volume_of(array, spacing_mm), region)
    assert found is not None
    assert found[0] == pytest.approx(189, abs=5)


def test_a_uniform_lesion_has_its_own_value_as_peak() -> None:
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    labels[5:7, 5:7, 5:7] = 1
    assert by_derivation(of_pet(np.full(labels.shape, 3.7), labels), codes.PEAK).value == pytest.approx(3.7)


def test_metabolic_volume_and_glycolysis_count_the_voxels_from_a_threshold_on() -> None:
    array = np.zeros((12, 12, 12))
    labels = np.zeros(array.shape, dtype=np.uint8)
    labels[5:7, 5:7, 5:8] = 1
    array[labels == 1] = [10.0, 4.1, 4.0, 2.5, 2.4, 1, 1, 1, 1, 1, 1, 1]
    array[0, 0, 0] = 99.0
    found = of_pet(array, labels)
    assert by_method(found, codes.METABOLIC_VOLUME) == {
        "ABOVE-41-PERCENT": pytest.approx(2 * VOXEL_ML),
        "ABOVE-2-5": pytest.approx(4 * VOXEL_ML),
    }
    assert by_method(found, codes.TOTAL_LESION_GLYCOLYSIS) == {
        "ABOVE-41-PERCENT": pytest.approx(14.1 * VOXEL_ML),
        "ABOVE-2-5": pytest.approx(20.6 * VOXEL_ML),
    }
    units = {row.name.meaning: row.unit.value for row in found.measurements}
    assert (units["Metabolic Volume"], units["Total Lesion Glycolysis"]) == ("cm3", "g")


def test_a_cold_lesion_has_no_volume_above_the_fixed_threshold() -> None:
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    labels[5:7, 5:7, 5:7] = 1
    found = of_pet(np.full(labels.shape, 1.0), labels)
    assert by_method(found, codes.METABOLIC_VOLUME)["ABOVE-2-5"] == 0.0
    assert by_method(found, codes.TOTAL_LESION_GLYCOLYSIS)["ABOVE-2-5"] == 0.0


def test_without_uptake_a_share_of_the_maximum_is_out_of_range() -> None:
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    labels[5:7, 5:7, 5:7] = 1
    found = of_pet(np.zeros(labels.shape), labels)
    assert {(row.name, row.reason.value) for row in found.absent} == {
        (codes.METABOLIC_VOLUME, "114009"),
        (codes.TOTAL_LESION_GLYCOLYSIS, "114009"),
    }


def test_a_peak_that_meets_the_end_of_the_image_is_indeterminate() -> None:
    array, labels = hot((20, 20, 20))
    labels[:] = 0
    labels[0, 3:6, 3:6] = 1
    found = of_pet(array, labels)
    assert [(row.derivation, row.reason.value) for row in found.absent] == [(codes.PEAK, "114011")]


def test_a_sphere_does_not_count_voxels_without_value() -> None:
    array, labels = hot()
    array[9, 10, 14] = np.nan
    labels[:, :, 13:] = 0
    known = by_derivation(of_pet(array, labels), codes.PEAK)
    # The voxel without value lies 12 mm from the hottest, 5.8 mm beyond the sphere.
    assert known.points_mm[0][0] == pytest.approx(-90 + 11 * 4.0)
    array[9, 10, 12] = np.nan
    labels[9, 10, 12] = 0
    beside = by_derivation(of_pet(array, labels), codes.PEAK)
    assert np.isfinite(beside.value)
    assert beside.value < known.value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_lesion_with_a_voxel_that_is_no_number_has_no_intensities(value: float) -> None:
    array, labels = hot()
    array[9, 10, 11] = value
    found = of_pet(array, labels)
    assert not found.measurements
    assert len(found.absent) == 5 + 1 + 4
    assert {row.reason.value for row in found.absent} == {"114000"}
    assert {row.text for row in found.absent} == {
        f"1 of {np.count_nonzero(labels)} voxels have no finite value, needed all of them"
    }


def test_organs_in_pet_and_lesions_in_ct_have_the_five_statistics_alone() -> None:
    array, labels = hot()
    organ = segmentation_of(labels, GRID_MM, described=1)
    assert len(intensity.measure(volume_of(array, GRID_MM), organ, "PT", SUV).measurements) == 5
    assert len(intensity.measure(volume_of(array, GRID_MM), lesions(labels), "CT").measurements) == 5
    assert len(intensity.measure(volume_of(array, GRID_MM), lesions(labels), "MR", "um2/s").measurements) == 5


@pytest.mark.parametrize("name", ["0_0", "1_0", "2_0", "2_4", "3_0", "3_1", "4_0", "4_1"])
def test_the_digital_reference_objects_have_their_uptake_within_a_thousandth(real_data: Path, name: str) -> None:
    folder = real_data / "ibsi_suv_dro" / "DRO" / f"DRO_{name}"
    source = read_series(sorted((folder / "PT").iterdir()))
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "mask" / "DRO_mask.nii.gz")))
    affine = np.asarray(source.volume.affine)
    if affine[2, 0] < 0:
        mask = mask[::-1]
    labels = Volume(array=(mask > 0).astype(np.uint8), affine=affine, coordinate_system="PATIENT")
    described = segmentation_of(np.ones((1, 1, 1), dtype=np.uint8), described=1, subject=Subject.LESION).segments
    found = intensity.measure(source.volume, Segmentation(volume=labels, segments=described), "PT", source.unit)
    expected = ((codes.MINIMUM, 0.2), (codes.MEDIAN, 1.0), (codes.MAXIMUM, 4.0))
    for derivation, value in expected:
        assert by_derivation(found, derivation).value == pytest.approx(value, rel=1e-3)
    assert by_derivation(found, codes.PEAK).value <= 4.0 * 1.001
