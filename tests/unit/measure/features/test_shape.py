"""Mesh and diameters of large regions against pyradiomics' own code on small ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from radiomics import cShape
from scipy import ndimage

from dicomnode.measure.features import shape


@pytest.fixture(autouse=True)
def never_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape, "MOST_VERTICES_IN_C", 0)


def _check(mask: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> None:
    padded = np.pad(mask, 1)
    area, volume, diameters = cShape.calculate_coefficients(padded, spacing_mm)
    found = shape.coefficients(padded, spacing_mm)
    assert found[2] == tuple(diameters)
    # Rounding of a sum of ten thousand terms.
    assert np.allclose(found[:2], (area, volume), rtol=1e-12, atol=0)


@pytest.mark.parametrize("seed", range(12))
def test_a_random_region_has_the_diameters_of_pyradiomics_to_the_last_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=rng.integers(6, 26, 3)), rng.uniform(0.4, 3))
    mask = field > np.quantile(field, rng.uniform(0.4, 0.97))
    _check(mask[ndimage.find_objects(mask.astype(np.uint8))[0]], rng.uniform(0.4, 3.3, 3))


@pytest.mark.parametrize("extent", [(1, 2, 2), (1, 9, 40), (40, 1, 30), (2, 2, 60), (33, 40, 1)])
def test_a_flat_or_thin_region_has_the_diameters_of_pyradiomics(extent: tuple[int, int, int]) -> None:
    _check(np.ones(extent, dtype=bool), np.array((2.5, 0.7, 0.9)))


def test_an_ellipsoid_has_its_own_diameters_within_a_voxel() -> None:
    radii_mm, spacing_mm = np.array((30.0, 22.0, 14.0)), np.array((1.0, 0.5, 0.5))
    half = np.ceil(radii_mm / spacing_mm).astype(int) + 1
    z, y, x = np.ogrid[tuple(slice(-n, n + 1) for n in half)]
    steps = (z * spacing_mm[0] / radii_mm[0]) ** 2 + (y * spacing_mm[1] / radii_mm[1]) ** 2
    mask = steps + (x * spacing_mm[2] / radii_mm[2]) ** 2 < 1
    _, volume, (in_slices, in_rows, in_columns, in_space) = shape.coefficients(mask, spacing_mm)
    voxel_mm = float(np.linalg.norm(spacing_mm))
    found = np.array((in_slices, in_rows, in_columns, in_space))
    assert np.abs(found - 2 * np.array((22.0, 30.0, 30.0, 30.0))).max() < voxel_mm
    assert volume == pytest.approx(4 / 3 * np.pi * radii_mm.prod(), rel=0.01)
