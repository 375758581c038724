"""Diameters against a search over all pairs, pyradiomics, and what geometry says."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from radiomics import cShape
from scipy import ndimage

from dicomnode.measure.diameter import axial, longest_3d

RNG_SEED = 20261121


def outline(plane: NDArray[np.bool_], row_mm: float, column_mm: float) -> NDArray[np.float64]:
    """Every point half a step from a pixel's centre, in mm."""
    steps = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
    points: NDArray[np.float64] = (np.argwhere(plane)[:, None] + steps).reshape(-1, 2) * (row_mm, column_mm)
    return points


def all_pairs(mask: NDArray[np.bool_], row_mm: float, column_mm: float) -> tuple[float, int]:
    """Longest distance of two outline points of one part of one plane, and that plane."""
    best = (0.0, 0)
    for plane in range(len(mask)):
        parts, count = ndimage.label(mask[plane], structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            if np.count_nonzero(parts == number) < 2:
                continue
            points = outline(parts == number, row_mm, column_mm)
            longest = float(np.linalg.norm(points[:, None] - points[None], axis=-1).max())
            if longest > best[0] + 1e-6:
                best = (longest, plane)
    return best


def widest_across(points: NDArray[np.float64], along: NDArray[np.float64]) -> float:
    """Longest chord of the hull of points across `along`: at the level of every point, over all pairs of points."""
    across = np.array((-along[1], along[0]))
    flat = np.unique(points, axis=0)
    place, height = flat @ along, flat @ across
    best = 0.0
    for level in place:
        reached = [height[np.isclose(place, level)]]
        for one, other in combinations(range(len(flat)), 2):
            if (place[one] - level) * (place[other] - level) < 0:
                share = (level - place[one]) / (place[other] - place[one])
                reached.append(np.array([height[one] + share * (height[other] - height[one])]))
        values = np.concatenate(reached)
        best = max(best, float(values.max() - values.min()))
    return best


def blobs(count: int, longest: int) -> list[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Random masks from sparse to dense with random spacings."""
    rng = np.random.default_rng(RNG_SEED)
    made: list[tuple[NDArray[np.bool_], NDArray[np.float64]]] = []
    while len(made) < count:
        mask = rng.random(rng.integers(1, longest, 3)) < rng.choice([0.1, 0.4, 0.7])
        if mask.any():
            made.append((mask, rng.uniform(0.5, 3.0, 3)))
    return made


def test_the_longest_axial_diameter_of_any_blob_is_that_of_a_search_over_all_pairs() -> None:
    for mask, spacing_mm in blobs(150, 9):
        expected, plane = all_pairs(mask, *spacing_mm[1:])
        found = axial(mask, *spacing_mm[1:])
        if expected == 0:
            assert found is None
            continue
        assert found is not None
        assert found.long_mm == pytest.approx(expected, rel=1e-12)
        assert found.plane == plane
        assert np.linalg.norm((found.long[0] - found.long[1]) * spacing_mm) == pytest.approx(expected, rel=1e-12)


def test_the_short_axis_of_any_blob_is_the_longest_chord_across_that_a_search_finds() -> None:
    for mask, spacing_mm in blobs(40, 6):
        found = axial(mask, *spacing_mm[1:])
        if found is None:
            continue
        along = (found.long[1] - found.long[0])[1:] * spacing_mm[1:] / found.long_mm
        parts, _ = ndimage.label(mask[found.plane], structure=np.ones((3, 3)))
        row, column = np.clip(np.round(found.long[0, 1:] + 1e-9), 0, np.array(parts.shape) - 1).astype(int)
        near = parts[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        candidates = [outline(parts == number, *spacing_mm[1:]) for number in np.unique(near[near > 0])]
        end = found.long[0, 1:] * spacing_mm[1:]
        own = next(points for points in candidates if np.isclose(points, end).all(axis=1).any())
        assert found.short_mm == pytest.approx(widest_across(own, along), abs=1e-9)
        assert ((found.short[1] - found.short[0]) * spacing_mm)[1:] @ along == pytest.approx(0, abs=1e-9)


def test_the_longest_3d_diameter_of_any_blob_is_that_of_pyradiomics() -> None:
    for mask, spacing_mm in blobs(150, 9):
        _, _, diameters = cShape.calculate_coefficients(np.pad(mask, 1), spacing_mm)
        length, ends = longest_3d(mask, np.diag(spacing_mm))
        assert length == pytest.approx(diameters[3], rel=1e-12)
        assert np.linalg.norm((ends[0] - ends[1]) * spacing_mm) == pytest.approx(length, rel=1e-12)


def test_a_diameter_does_not_run_from_one_part_of_a_plane_to_another() -> None:
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 2, 2:6] = True
    mask[0, 17, 10:15] = True
    found = axial(mask, 1.0, 1.0)
    assert found is not None
    assert found.long_mm == 5.0
    assert found.short_mm == 1.0


def test_parts_that_touch_by_a_corner_are_one() -> None:
    found = axial(np.eye(6, dtype=bool)[None], 1.0, 1.0)
    assert found is not None
    assert found.long_mm == pytest.approx(np.hypot(5, 6))


def test_single_pixels_have_no_diameter() -> None:
    mask = np.zeros((3, 5, 5), dtype=bool)
    mask[:, 2, 2] = True
    assert axial(mask, 1.0, 1.0) is None
    assert axial(np.zeros((2, 3, 3), dtype=bool), 1.0, 1.0) is None


def test_a_disc_is_as_wide_as_it_is_long() -> None:
    y, x = np.mgrid[:101, :101]
    disc = ((y - 50.3) ** 2 + (x - 49.8) ** 2 < 40**2)[None]
    found = axial(disc, 0.5, 0.5)
    assert found is not None
    # Radius 40 pixels of 0.5 mm; a pixel's diagonal is 0.71 mm.
    assert found.long_mm == pytest.approx(40.0, abs=0.71)
    assert found.short_mm == pytest.approx(40.0, abs=0.71)


def test_a_region_as_large_as_a_lung_is_measured_within_a_second() -> None:
    z, y, x = np.ogrid[:300, :256, :256]
    lung = ((z - 150) / 95) ** 2 + ((y - 128) / 62) ** 2 + ((x - 100) / 36) ** 2 < 1
    assert np.count_nonzero(lung) > 800_000
    box = lung[np.ix_(lung.any(axis=(1, 2)), lung.any(axis=(0, 2)), lung.any(axis=(0, 1)))]
    # Processor time: other tests share the machine.
    began = time.process_time()
    found = axial(box, 0.7, 0.7)
    longest, _ = longest_3d(box, np.diag((1.0, 0.7, 0.7)))
    assert time.process_time() - began < 1.0
    assert found is not None
    assert found.long_mm == pytest.approx(2 * 62 * 0.7, abs=1.0)
    assert longest == pytest.approx(2 * 95, abs=1.5)
