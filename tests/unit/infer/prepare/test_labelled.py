"""Labels of a coarse model reach the network as nnU-Net brings them there, by the arithmetic of its functions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from scipy import ndimage

from dicomnode.domain.model import ModelSpec, Step
from dicomnode.infer.prepare.labelled import labelled, relabelled
from dicomnode.infer.prepare.pipeline import prepare
from tests.unit.infer.prepare.conftest import image, step

Array = npt.NDArray[Any]
AXIAL = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])


def zoomed(array: Array, shape: tuple[int, ...], order: int) -> Array:
    """What `skimage.transform.resize(order, mode="edge", clip=True, anti_aliasing=False)` returns, by its source."""
    zoom: Any = ndimage.zoom
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    return np.asarray(zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True))


def voted(labels: Array, shape: tuple[int, ...]) -> Array:
    """batchgenerators' `resize_segmentation` of order 1, by its description: most wins, of equals the nearest."""
    nearest = np.round(zoomed(labels, shape, 0))
    known = np.unique(labels)
    shares = np.stack([zoomed(labels == label, shape, 1) for label in known])
    best = shares.max(axis=0)
    first = known[(shares >= best - 1e-9).argmax(axis=0)]
    own = np.take_along_axis(shares, np.searchsorted(known, nearest)[None].astype(int), axis=0)[0]
    found: Array = np.where(own >= best - 1e-9, nearest, first)
    return found


def blobs(shape: tuple[int, int, int], labels: int) -> Array:
    """Regions with smooth borders, where three and more meet."""
    rng = np.random.default_rng(11)
    fields = [ndimage.gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(labels)]
    found: Array = np.argmax(fields, axis=0).astype(np.int16) - 1
    return found


@pytest.mark.parametrize("shape", [(9, 31, 20), (14, 12, 33), (20, 42, 34), (5, 7, 6), (10, 21, 5)])
def test_every_voxel_gets_the_label_that_takes_most_of_it(shape: tuple[int, int, int]) -> None:
    labels = blobs((10, 21, 17), 5)
    assert {*np.unique(labels)} == {-1, 0, 1, 2, 3}
    found, expected = relabelled(labels, shape, None), voted(labels, shape)
    assert found.dtype == np.int16
    # Places that differ by rounding alone may be nearest to another voxel where shares are equal.
    assert (found != expected).mean() <= 1e-4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_an_axis_apart_the_nearest_plane_is_taken_after_that(axis: int) -> None:
    labels, shape = blobs((6, 9, 11), 3), [13, 18, 9]
    shape[axis] = labels.shape[axis] * 3 // 2
    planes = [voted(plane, tuple(np.delete(shape, axis))) for plane in np.moveaxis(labels, axis, 0)]
    places = (np.arange(shape[axis]) + 0.5) * labels.shape[axis] / shape[axis] - 0.5
    chosen = np.clip(np.floor(places + 0.5), 0, labels.shape[axis] - 1).astype(int)
    expected = np.take(np.stack(planes, axis=axis), chosen, axis=axis)
    np.testing.assert_array_equal(relabelled(labels, (shape[0], shape[1], shape[2]), axis), expected)


def test_labels_on_a_grid_of_the_same_shape_stay() -> None:
    labels = blobs((4, 5, 6), 4)
    np.testing.assert_array_equal(relabelled(labels, (4, 5, 6), None), labels)


def test_what_is_labelled_counts_as_not_zero_and_the_rest_has_a_label_of_its_own() -> None:
    nonzero = np.array([[[True, True, False, False]]])
    found = labelled(image(np.array([[[0, 2, 1, 0]]], dtype=np.uint8), nonzero=nonzero))
    # nnU-Net: seg[(seg == 0) & ~nonzero] = -1, and normalisation within seg >= 0.
    assert found.array.tolist() == [[[0, 2, 1, -1]]]
    assert found.mask("nonzero").tolist() == [[[True, True, True, False]]]


def fed(*steps: Step, channels: tuple[int, ...] = (1, 2)) -> ModelSpec:
    """What `prepare` reads of a model with labels for channels."""
    spec = SimpleNamespace(inputs=(SimpleNamespace(name="mr"),), prepare=steps, labelled=channels)
    return cast(ModelSpec, spec)


def brain() -> tuple[Volume, Array]:
    """Values in a box of zeros, and labels of which some lie among the zeros."""
    array = np.zeros((6, 12, 14), dtype=np.float32)
    array[1:5, 2:10, 3:12] = np.random.default_rng(2).normal(500, 80, (4, 8, 9))
    array[1:5, 2:5, 3:6] = 0
    labels = np.zeros(array.shape, dtype=np.uint8)
    labels[2:4, 4:8, 4:8], labels[3, 7:9, 9:11] = 1, 2
    return Volume(array=array, affine=AXIAL, coordinate_system="PATIENT"), labels


def test_labels_go_where_the_image_goes_and_follow_it_as_channels() -> None:
    volume, labels = brain()
    steps = (
        step("reorient", orientation="HAR"),
        step("transpose", axes=(2, 0, 1)),
        step("nonzero"),
        step("crop_to_mask", around="nonzero"),
        step("labelled"),
    )
    found = prepare([volume], fed(*steps, channels=(2, 0, 1)), labels=labels).array
    inside = np.s_[1:5, 2:10, 3:12]
    moved = labels[inside][:, ::-1, ::-1].transpose(2, 0, 1)
    assert found.shape == (4, 9, 4, 8)
    np.testing.assert_array_equal(found[0], volume.array[inside][:, ::-1, ::-1].transpose(2, 0, 1))
    np.testing.assert_array_equal(found[1:], [moved == 2, np.zeros_like(moved), moved == 1])


def test_the_second_stage_is_normalised_within_what_is_not_zero_or_labelled_and_then_resampled() -> None:
    volume, labels = brain()
    steps = (
        step("nonzero"),
        step("crop_to_mask", around="nonzero"),
        step("labelled"),
        step("zscore", over="nonzero", outside=0.0),
        step("respace", spacing_mm=(3.0, 0.7, 1.6), interpolation="linear", apart_above=3.0, apart="nearest"),
    )
    found = prepare([volume], fed(*steps), labels=labels).array
    # nnU-Net's order by hand: crop, -1 where neither image nor labels are, normalise within the rest, resample.
    inside = np.s_[1:5, 2:10, 3:12]
    values, seg = volume.array[inside].astype(np.float64), labels[inside].astype(int)
    seg[(seg == 0) & (values == 0)] = -1
    within = values[seg >= 0]
    values = np.where(seg >= 0, (values - within.mean()) / within.std(), 0)
    shape = (8 * 1.0 / 0.7, 9 * 1.0 / 1.6)
    planes = (round(shape[0]), round(shape[1]))
    expected = np.stack([zoomed(plane, planes, 1) for plane in values])
    resampled = np.stack([voted(plane, planes) for plane in seg])
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    np.testing.assert_array_equal(found[1:], [resampled == 1, resampled == 2])
