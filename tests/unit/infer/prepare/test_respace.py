"""The step `respace` resizes as scikit-image does, by its definition: scipy's zoom of the whole extent, then limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import NetworkSpec
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.nonzero import nonzero
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.prepare.resized import resized
from dicomnode.infer.prepare.separable import Apart, apart_axis
from tests.unit.infer.prepare.conftest import model, step

Array = npt.NDArray[np.float64]


def zoomed(array: Array, shape: tuple[int, ...], order: int) -> Array:
    """What `skimage.transform.resize(order, mode="edge", anti_aliasing=False)` returns, by its source."""
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    zoom: Any = ndimage.zoom
    found: Array = zoom(array, factors, order=order, mode="nearest", grid_mode=True)
    assert found.shape == shape
    return np.clip(found, array.min(), array.max())


def noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(3).normal(0, 1, shape).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("shape", [(9, 31, 20), (14, 12, 33), (10, 21, 7)])
@pytest.mark.parametrize(("interpolation", "order"), [("bspline", 3), ("linear", 1)])
def test_values_are_those_of_scipys_zoom(shape: tuple[int, int, int], interpolation: str, order: int) -> None:
    array = noise((10, 21, 17))
    expected = zoomed(array, shape, order)
    found = resized(array.astype(np.float32), shape, interpolation=interpolation)
    assert found.dtype == np.float32
    # float32 with a filter whose gain is 6 along each of three axes.
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_apart_is_taken_after_the_planes_and_from_the_nearest(axis: int) -> None:
    array, shape = noise((6, 9, 11)), [13, 18, 9]
    shape[axis] = array.shape[axis] * 3 // 2
    planes = [zoomed(plane, tuple(np.delete(shape, axis)), 3) for plane in np.moveaxis(array, axis, 0)]
    stacked = np.stack(planes, axis=axis)
    places = (np.arange(shape[axis]) + 0.5) * array.shape[axis] / shape[axis] - 0.5
    expected = np.take(stacked, np.clip(np.floor(places + 0.5), 0, array.shape[axis] - 1).astype(int), axis=axis)
    apart = Apart(axis=axis, interpolation="nearest")
    found = resized(array.astype(np.float32), (shape[0], shape[1], shape[2]), interpolation="bspline", apart=apart)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_an_image_of_the_same_shape_is_left_alone() -> None:
    array = noise((3, 4, 5)).astype(np.float32)
    assert resized(array, (3, 4, 5), interpolation="bspline") is array


@pytest.mark.parametrize(
    ("now", "new", "axis"),
    [
        ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),
        ((0.2, 1.0, 1.0), (9.0, 1.0, 1.0), None),
        ((1.0, 1.0, 5.0), (5.0, 1.0, 1.0), 2),
    ],
)
def test_the_first_spacing_that_is_coarse_along_one_axis_decides(
    now: tuple[float, ...], new: tuple[float, ...], axis: int | None
) -> None:
    assert apart_axis(now, new, 3.0) == axis
    assert apart_axis(now, new, None) is None


def test_counts_are_rounded_and_the_extent_stays_so_that_the_way_back_is_exact() -> None:
    affine = np.array([[0, 0, 0.8, 5], [0, 0.8, 0, -7], [5, 0, 0, 11], [0, 0, 0, 1]], dtype=float)
    ramp = np.broadcast_to(np.arange(30, dtype=np.float32), (7, 25, 30))
    volume = Volume(array=np.array(ramp), affine=affine, coordinate_system="PATIENT")
    recipe = step("respace", spacing_mm=(5.0, 1.1, 1.1), interpolation="linear", apart_above=3.0, apart="nearest")
    prepared = prepare([volume], model(recipe))
    # 25 · 0.8 / 1.1 = 18.2 and 30 · 0.8 / 1.1 = 21.8
    assert prepared.shape == (7, 18, 22)
    extent = np.array(prepared.shape) * prepared.grid.spacing_mm
    np.testing.assert_allclose(extent, [35, 20, 24])
    np.testing.assert_allclose(prepared.spacings_mm, ((5.0, 0.8, 0.8), (5.0, 1.1, 1.1)))
    apart = prepared.apart(NetworkSpec(apart_above=3.0))
    assert apart is not None
    assert (apart.axis, apart.interpolation) == (0, "nearest")
    assert prepared.apart(NetworkSpec()) is None
    back = np.concatenate([part for _, part in prepared.on_source(prepared.array, apart=apart)], axis=1)
    # A ramp comes back wherever both ways lie between centres.
    np.testing.assert_allclose(back[0, :, :, 2:-2], volume.array[:, :, 2:-2], atol=1e-4)


def test_values_apart_do_not_mix_on_the_way_back() -> None:
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    volume = Volume(array=np.zeros((12, 4, 4), dtype=np.float32), affine=affine, coordinate_system="PATIENT")
    recipe = step("respace", spacing_mm=(4.0, 1.0, 1.0), interpolation="linear", apart_above=3.0, apart="nearest")
    prepared = prepare([volume], model(recipe))
    assert prepared.shape == (3, 4, 4)
    steps = np.broadcast_to(np.arange(3, dtype=np.float32)[None, :, None, None], (1, 3, 4, 4))
    apart = prepared.apart(NetworkSpec(apart_above=3.0))
    back = np.concatenate([part for _, part in prepared.on_source(steps, apart=apart)], axis=1)
    assert back[0, :, 0, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_transposed_axes_lie_where_they_lay() -> None:
    affine = np.array([[0, 0, 0.8, 5], [0, 0.9, 0, -7], [5, 0, 0, 11], [0, 0, 0, 1]], dtype=float)
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    volume = Volume(array=array, affine=affine, coordinate_system="PATIENT")
    prepared = prepare([volume], model(step("transpose", axes=(2, 0, 1))))
    np.testing.assert_array_equal(prepared.array[0], array.transpose(2, 0, 1))
    (back,) = (part for _, part in prepared.on_source(prepared.array))
    np.testing.assert_array_equal(back[0], array)


def test_what_is_not_zero_is_found_with_its_holes_as_scipy_fills_them() -> None:
    rng = np.random.default_rng(5)
    arrays = [(rng.random((8, 20, 20)) > 0.6).astype(np.int16) for _ in range(2)]
    grid = Grid(shape=(8, 20, 20), affine=np.eye(4))
    found = nonzero([Image(array=array, grid=grid) for array in arrays])
    np.testing.assert_array_equal(found, ndimage.binary_fill_holes((arrays[0] != 0) | (arrays[1] != 0)))
    assert nonzero([Image(array=np.ones((2, 2, 2)), grid=Grid(shape=(2, 2, 2), affine=np.eye(4)))]).all()


def test_nothing_but_zeros_is_refused_and_so_are_two_grids() -> None:
    one = Image(array=np.zeros((2, 2, 2)), grid=Grid(shape=(2, 2, 2), affine=np.eye(4)))
    other = Image(array=np.ones((3, 2, 2)), grid=Grid(shape=(3, 2, 2), affine=np.eye(4)))
    with pytest.raises(Unsuitable, match="every value is 0"):
        nonzero([one])
    with pytest.raises(Unsuitable, match="different grids"):
        nonzero([one, other])
