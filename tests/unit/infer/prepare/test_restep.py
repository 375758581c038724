"""Steps that MONAI's transforms become: another spacing from the first voxel on, what is positive, and percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.pipeline import prepare
from tests.unit.infer.prepare.conftest import model, random_volume, step


def volume(array: Any, spacing_mm: tuple[float, float, float] = (2.0, 1.0, 0.5)) -> Volume:
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = (-20, 30, -140)
    return Volume(array=np.asarray(array), affine=affine, coordinate_system="PATIENT")


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (5.0, 0.7, 0.5), (2.0, 2.2, 1.1)])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_restep_begins_at_the_first_voxel_and_goes_on_beyond_the_last(
    spacing_mm: tuple[float, float, float], interpolation: str
) -> None:
    source = random_volume()
    found = prepare([source], model(step("restep", spacing_mm=spacing_mm, interpolation=interpolation)))
    # MONAI 1.6, `compute_shape_offset` with scale_extent=False.
    old = np.array(source.spacing)
    shape = np.round((np.array(source.spatial_shape) - 1) * old / np.array(spacing_mm) + 1).astype(int)
    assert found.shape == tuple(shape)
    np.testing.assert_allclose(found.affine[:3, 3], source.affine[:3, 3])
    np.testing.assert_allclose(np.linalg.norm(found.affine[:3, :3], axis=0), spacing_mm)
    places = np.meshgrid(
        *(np.arange(count) * new / was for count, new, was in zip(shape, spacing_mm, old, strict=True)), indexing="ij"
    )
    order = 1 if interpolation == "linear" else 0
    sampled: Any = ndimage.map_coordinates
    expected = sampled(source.array.astype(np.float64), places, order=order, mode="nearest")
    np.testing.assert_allclose(found.array[0], expected, atol=1e-3)


def test_the_way_back_from_a_coarser_grid_reaches_the_last_voxel() -> None:
    source = volume(np.arange(5 * 6 * 7).reshape(5, 6, 7))
    found = prepare([source], model(step("restep", spacing_mm=(3.0, 1.7, 0.9), interpolation="linear")))
    ones = np.ones((2, *found.shape), dtype=np.float32)
    for _, part in found.on_source(ones, outside=(0.0, 0.0)):
        assert (part == 1).all()


def test_positive_takes_what_is_above_0_in_any_input() -> None:
    first = np.full((4, 5, 6), -3.0)
    second = first.copy()
    first[1, 2, 3], second[2, 1, 4] = 1, 2
    spec = model(step("positive"), step("crop_to_mask", around="positive", margin_mm=0.0), inputs=("a", "b"))
    found = prepare([volume(first), volume(second)], spec)
    assert found.shape == (2, 2, 2)
    assert found.array[0].max() == 1 and found.array[1].max() == 2


def test_positive_refuses_inputs_on_different_grids() -> None:
    with pytest.raises(Unsuitable, match="positive: the inputs lie on different grids"):
        prepare([volume(np.ones((4, 5, 6))), volume(np.ones((4, 5, 7)))], model(step("positive"), inputs=("a", "b")))


def test_two_percentiles_are_mapped_to_a_range_and_what_lies_beyond_goes_beyond() -> None:
    array = np.random.default_rng(2).normal(5, 3, (9, 9, 9)).astype(np.float32)
    found = prepare([volume(array)], model(step("minmax", percentiles=(2.0, 98.0), to=(0.0, 10.0))))
    low, high = np.percentile(array, [2, 98])
    np.testing.assert_allclose(found.array[0], (array - low) / (high - low) * 10, atol=1e-5)
    assert found.array.min() < 0 and found.array.max() > 10


def test_percentiles_that_are_the_same_are_refused() -> None:
    array = np.zeros((9, 9, 9))
    array[0, 0, 0] = 1
    with pytest.raises(Unsuitable, match="both percentiles are 0"):
        prepare([volume(array)], model(step("minmax", percentiles=(2.0, 98.0))))
