"""Pixel measures: each tells a phantom with a fault from the same phantom without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from pydicom import Dataset
from scipy import ndimage

from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.infer.quality.artefact import ghosts, noise_hu, streaks_hu
from dicomnode.infer.quality.hounsfield import air_fraction, dense_object_ml, soft_tissue_fraction, truncated_rim
from dicomnode.infer.quality.pixels import MEASURES, clipped_voxels, constant_slices, grey_levels
from dicomnode.infer.read.volume import read_series

Array = npt.NDArray[Any]

SHAPE = (18, 192, 192)
SPACING_MM = 2.0
NOISE_HU = 12.0


def measure(source: SourceSeries) -> dict[str, float]:
    """All measures that apply to a series."""
    found = {name: measured(source) for name, measured in MEASURES.items()}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def series(array: Array, unit: str = "[hnsf'U]", modality: str = "CT", **tags: str) -> SourceSeries:
    header = Dataset()
    header.Modality = modality
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    volume = Volume(array=array, affine=affine, coordinate_system="PATIENT")
    return SourceSeries(volume=volume, planes=planes_of([header] * len(array)), unit=unit)


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Where an ellipse is, (row, column), in pixels."""
    row, column = np.ogrid[: SHAPE[1], : SHAPE[2]]
    distance: npt.NDArray[np.float64] = ((row - centre[0]) / radii[0]) ** 2 + ((column - centre[1]) / radii[1]) ** 2
    inside: npt.NDArray[np.bool_] = np.less_equal(distance, 1)
    return inside


@pytest.fixture(scope="module")
def trunk() -> Array:
    """A trunk in HU: fat round soft tissue, a spine, organs, a couch below, noise throughout."""
    image = np.full(SHAPE[1:], -1000.0)
    image[ellipse((96, 96), (60, 80))] = -100
    image[ellipse((96, 96), (54, 72))] = 50
    for centre, radii, hu in (((90, 60), (20, 24), 100), ((100, 130), (16, 16), 30), ((135, 96), (10, 12), 600)):
        image[ellipse(centre, radii)] = hu
    image[165:168, 20:172] = 100
    volume = np.repeat(ndimage.gaussian_filter(image, 0.7)[None], SHAPE[0], axis=0)
    noise = np.random.default_rng(4).normal(scale=NOISE_HU, size=SHAPE)
    return np.clip(volume + noise, -1024, 3071).astype(np.int16)


def streaked(array: Array, height_hu: float) -> Array:
    """Streaks that radiate from a place in the trunk, their standard deviation falling off with distance."""
    angles = ndimage.gaussian_filter1d(np.random.default_rng(5).normal(size=720), 1.0, mode="wrap")
    row, column = np.indices(SHAPE[1:]) - np.reshape((96.0, 90.0), (2, 1, 1))
    turn = (np.arctan2(row, column) / (2 * np.pi) % 1 * 720).astype(int) % 720
    fall = np.minimum(1, 30 / np.maximum(np.hypot(row, column) * SPACING_MM, 1e-3))
    faulty: Array = np.clip(array + height_hu * angles[turn] / angles.std() * fall, -1024, 3071).astype(np.int16)
    return faulty


def test_slices_without_contrast_are_counted(trunk: Array) -> None:
    assert constant_slices(series(trunk)) == 0
    empty = trunk.copy()
    empty[3:6] = -1024
    assert constant_slices(series(empty)) == pytest.approx(3 / 18)


def test_a_clipped_image_shares_its_maximum(trunk: Array) -> None:
    clean = clipped_voxels(series(trunk))
    assert clean < 1e-4
    clipped = np.minimum(trunk, 90)
    assert clipped_voxels(series(clipped)) == pytest.approx((trunk >= 90).sum() / (trunk > trunk.min()).sum())
    assert clipped_voxels(series(clipped)) > 100 * clean


def test_a_constant_image_has_one_level_and_is_not_clipped() -> None:
    flat = series(np.zeros((4, 8, 8), dtype=np.int16), unit="1", modality="MR")
    assert (clipped_voxels(flat), grey_levels(flat), constant_slices(flat)) == (0, 1, 1)


def test_an_export_in_few_bits_has_few_grey_levels(trunk: Array) -> None:
    coarse = (np.clip((trunk + 160) / 400, 0, 1) * 63).astype(np.int16)
    assert grey_levels(series(coarse, unit="1")) <= 64
    assert grey_levels(series(trunk)) > 500


def test_air_and_soft_tissue_are_where_hounsfield_put_them(trunk: Array) -> None:
    tissue = ((trunk >= 0) & (trunk <= 120)).mean()
    assert air_fraction(series(trunk)) == pytest.approx((np.abs(trunk + 1000) <= 100).mean(), abs=0.02)
    assert soft_tissue_fraction(series(trunk)) == pytest.approx(tissue, abs=0.02)
    assert air_fraction(series((trunk + 1024).astype(np.int16))) == 0
    assert soft_tissue_fraction(series((trunk * 3 + 1500).astype(np.int16))) < 0.01


def test_padding_outside_the_field_of_view_does_not_count(trunk: Array) -> None:
    padded = np.where(ellipse((96, 96), (96, 96)), trunk, -2000).astype(np.int16)
    shown = (padded >= -1100).sum()
    assert air_fraction(series(padded)) == pytest.approx((np.abs(padded + 1000) <= 100).sum() / shown, abs=0.03)


def test_metal_inside_the_body_is_measured_and_outside_is_not(trunk: Array) -> None:
    assert dense_object_ml(series(trunk)) == 0
    outside = trunk.copy()
    outside[5:9, 10:12, 60:100] = 3071
    assert dense_object_ml(series(outside)) == 0
    outside[5:9, 90:95, 70:80] = 3071
    assert dense_object_ml(series(outside)) == pytest.approx(4 * 5 * 10 * SPACING_MM**3 / 1000)


def test_a_body_within_the_field_of_view_does_not_touch_its_rim_though_the_couch_does(trunk: Array) -> None:
    couch = trunk.copy()
    couch[:, 165:168, :] = 100
    assert truncated_rim(series(couch)) == 0


def test_a_body_cut_by_the_field_of_view_touches_its_rim(trunk: Array) -> None:
    # Columns 40 to 151 cut both sides: on each the trunk of half axes 60 and 80 is 2 · 60 · √(1 - (56/80)²) rows high.
    cut = truncated_rim(series(trunk[:, :, 40:152]))
    height = 2 * 60 * math.sqrt(1 - (56 / 80) ** 2)
    assert cut == pytest.approx(2 * height / (2 * (192 + 112)), rel=0.1)


def test_a_body_cut_by_a_circle_touches_its_rim(trunk: Array) -> None:
    circle = np.hypot(*(np.indices((112, 112)) - 55.5)) <= 56
    cut = np.where(circle, trunk[:, 40:152, 40:152], -1024).astype(np.int16)
    assert truncated_rim(series(cut)) > 0.3
    whole = np.where(ellipse((95.5, 95.5), (96, 96)), trunk, -1024).astype(np.int16)
    assert truncated_rim(series(whole)) == 0


def test_noise_is_the_standard_deviation_that_was_put_in(trunk: Array) -> None:
    assert noise_hu(series(trunk)) == pytest.approx(NOISE_HU, rel=0.15)
    quiet = np.where(trunk > -500, ndimage.median_filter(trunk, (5, 1, 1)), trunk)
    assert noise_hu(series(quiet)) < 0.8 * NOISE_HU


def test_noise_needs_soft_tissue() -> None:
    air = np.random.default_rng(6).normal(-1000, 5, size=(4, 64, 64)).astype(np.int16)
    assert math.isnan(noise_hu(series(air)))
    assert math.isnan(streaks_hu(series(air)))


def test_streaks_raise_their_score_and_noise_does_not(trunk: Array) -> None:
    clean = streaks_hu(series(trunk))
    scores = [streaks_hu(series(streaked(trunk, height))) for height in (50, 150, 400)]
    assert sorted(scores) == scores
    assert scores[1] > 2 * clean
    noise = np.random.default_rng(7).normal(scale=20, size=SHAPE)
    noisy = np.where(trunk > -500, trunk + noise, trunk).astype(np.int16)
    assert streaks_hu(series(noisy)) < 0.8 * scores[1]


def test_streaks_in_a_few_slices_are_found(trunk: Array) -> None:
    some = trunk.copy()
    some[8:10] = streaked(trunk, 400)[8:10]
    assert streaks_hu(series(some)) > 3 * streaks_hu(series(trunk))


@pytest.fixture(scope="module")
def head() -> Callable[..., Array]:
    """An MR head with noise; phase errors line by line, in degrees, repeat it along an axis."""

    def make(degrees: float = 0.0, axis: int = 2) -> Array:
        image = 100.0 * ellipse((96, 96), (50, 40)) + 300.0 * ellipse((90, 96), (35, 28))
        volume = np.repeat(ndimage.gaussian_filter(image, 1.0)[None], 6, axis=0)
        random = np.random.default_rng(8)
        noise = random.normal(scale=(2, 2), size=(*volume.shape, 2)) @ (1, 1j)
        spectrum = np.fft.fftshift(np.fft.fft2(volume), axes=(1, 2))
        phase = np.radians(degrees) * random.normal(size=192)
        phase[92:101] = 0
        shape = [1, 1, 1]
        shape[axis] = 192
        moved = np.fft.ifft2(np.fft.ifftshift(spectrum * np.exp(1j * phase.reshape(shape)), axes=(1, 2)))
        return np.abs(moved + noise).astype(np.float32)

    return make


def test_motion_repeats_the_head_along_the_phase_axis(head: Callable[..., Array]) -> None:
    def score(array: Array, direction: str) -> float:
        return ghosts(series(array, unit="1", modality="MR", InPlanePhaseEncodingDirection=direction))

    for direction, axis, other in (("ROW", 2, 1), ("COL", 1, 2)):
        scores = [score(head(degrees, axis), direction) for degrees in (0, 10, 30, 60)]
        assert sorted(scores) == scores
        assert abs(scores[0]) < 0.002
        assert scores[2] > 0.02
        assert score(head(30, other), direction) < 0.002


def test_ghosts_need_the_phase_axis_and_background(head: Callable[..., Array]) -> None:
    assert math.isnan(ghosts(series(head(), unit="1", modality="MR")))
    filled = head()[:, 60:130, 60:130]
    assert math.isnan(ghosts(series(filled, unit="1", modality="MR", InPlanePhaseEncodingDirection="ROW")))


def test_every_measure_that_applies_is_reported_by_name(trunk: Array, head: Callable[..., Array]) -> None:
    ct = measure(series(trunk))
    assert set(ct) == set(MEASURES) - {"ghosts"}
    mr = measure(series(head(), unit="1", modality="MR", InPlanePhaseEncodingDirection="ROW"))
    assert set(mr) == {"constant_slices", "clipped_voxels", "grey_levels", "ghosts"}
    pet = measure(series(head(), unit="g/ml{SUVbw}", modality="PT"))
    assert set(pet) == {"constant_slices", "clipped_voxels", "grey_levels"}
    assert all(math.isfinite(value) for found in (ct, mr, pet) for value in found.values())


@pytest.mark.filterwarnings("ignore")
def test_a_clean_abdomen_measures_as_clean(real_data: Path) -> None:
    found = measure(read_series([*(real_data / "ct_liver_crlm1004").rglob("*.dcm")]))
    assert found["constant_slices"] == found["dense_object_ml"] == found["truncated_rim"] == 0
    assert found["clipped_voxels"] < 1e-5
    assert found["air_fraction"] > 0.4
    assert found["soft_tissue_fraction"] > 0.1
    assert 5 < found["noise_hu"] < 15
    assert found["streaks_hu"] < 20


@pytest.mark.filterwarnings("ignore")
def test_a_clean_head_has_no_ghosts(real_data: Path) -> None:
    found = measure(read_series([*(real_data / "mr_t1_philips_mprage").rglob("*.dcm")]))
    assert abs(found["ghosts"]) < 0.02
    assert found["grey_levels"] > 300
