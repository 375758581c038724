"""To the network's grid and back: the same body in every orientation, and the same voxels on return."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.domain.model import Step
from dicomnode.infer.prepare.pipeline import image_of, patient_grid, prepare, resampled


def recipe(*, spacing_mm: tuple[float, float, float], outside: float, clip: tuple[float, float]) -> tuple[Step, ...]:
    return (
        Step(name="resample", options={"spacing_mm": spacing_mm, "outside": outside}),
        Step(name="clip", options={"range": clip}),
        Step(name="scale", options={"range": clip}),
    )


SPEC = recipe(spacing_mm=(3.0, 2.0, 2.0), outside=-1000.0, clip=(-1000.0, 1000.0))


def rotation(degrees: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Rotation about x, then y, then z."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[one, two], [one, two]] = np.cos(angle)
        step[one, two], step[two, one] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def test_the_network_sees_the_same_body_from_every_orientation(phantom: Volume, oriented: Volume) -> None:
    expected, found = prepare(phantom, SPEC), prepare(oriented, SPEC)
    assert np.allclose(found.affine, expected.affine)
    assert np.abs(found.array - expected.array).max() < 1e-5


def test_axes_run_towards_head_posterior_and_left(oriented: Volume) -> None:
    prepared = prepare(oriented, SPEC)
    assert np.array_equal(prepared.affine[:3, :3], [[0, 0, 2.0], [0, 2.0, 0], [3.0, 0, 0]])


def test_without_resampling_values_are_only_scaled(phantom: Volume) -> None:
    prepared = prepare(phantom, recipe(spacing_mm=(2.0, 1.5, 1.25), outside=0.0, clip=(-1000.0, 1000.0)))
    assert np.allclose(prepared.affine, phantom.affine)
    assert np.allclose(prepared.array, (phantom.array + 1000) / 2000, atol=1e-6)


def test_intensities_are_clipped_to_the_range_and_scaled_to_one(phantom: Volume) -> None:
    spec = recipe(spacing_mm=(2.0, 1.5, 1.25), outside=0.0, clip=(-500.0, 500.0))
    array = prepare(phantom, spec).array
    assert sorted(np.unique(array.round(4)).tolist()) == pytest.approx([0.0, 0.6, 1.0])


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.integers(3, 12)] * 3))
@example((0.0, 11.0, 2.2e-311), (3, 3, 3))
def test_an_oblique_ramp_stays_the_same_ramp(degrees: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag([4.0, 1.5, 1.1])
    affine[:3, 3] = [10, -20, 30]
    slope = np.array([3.0, -2.0, 1.5])
    indices = np.indices(shape).reshape(3, -1)
    ramp = slope @ (affine[:3, :3] @ indices + affine[:3, 3:])
    volume = Volume(array=ramp.reshape(shape).astype(np.float32), affine=affine, coordinate_system="PATIENT")
    prepared = prepare(volume, recipe(spacing_mm=(3.0, 2.0, 2.0), outside=-9999.0, clip=(-10000.0, 10000.0)))
    centres = np.indices(prepared.array.shape).reshape(3, -1)
    world = prepared.affine[:3, :3] @ centres + prepared.affine[:3, 3:]
    source_index = np.linalg.solve(affine[:3, :3], world - affine[:3, 3:])
    within = ((source_index >= 0) & (source_index <= np.array(shape)[:, None] - 1)).all(axis=0)
    values = prepared.array.ravel()[within] * 20000 - 10000
    assert np.allclose(values, (slope @ world)[within], atol=0.05)
    outer = ((source_index < -0.51) | (source_index > np.array(shape)[:, None] - 0.49)).any(axis=0)
    assert np.allclose(prepared.array.ravel()[outer] * 20000 - 10000, -9999, atol=0.05)


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.tuples(*[st.floats(0.3, 6)] * 3),
    st.tuples(*[st.floats(0.5, 5)] * 3),
    st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_every_source_voxel_lies_inside_the_prepared_grid(
    shape: tuple[int, int, int],
    source_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
    degrees: tuple[float, float, float],
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(source_mm)
    size, grid = patient_grid(shape, affine, spacing_mm)
    corners = np.array(np.meshgrid(*[(0, count - 1) for count in shape])).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    index = np.linalg.solve(grid[:3, :3], world - grid[:3, 3:])
    assert (index > -0.5 - 1e-3).all()
    assert (index < np.array(size)[:, None] - 0.5 + 1e-3).all()


@pytest.mark.parametrize("exclusive", [True, False])
def test_labels_come_back_to_the_voxels_that_they_came_from(oriented: Volume, exclusive: bool) -> None:
    prepared = prepare(oriented, recipe(spacing_mm=(2.0, 1.5, 1.25), outside=-1000.0, clip=(-1000.0, 1000.0)))
    dense = (prepared.array > 0.5).astype(np.float32)
    back = prepared.labels_on_source(np.stack([1 - dense, dense]), exclusive=exclusive)
    assert np.array_equal(back, oriented.array > 0)


def test_labels_from_a_coarser_grid_come_back_within_a_voxel(oriented: Volume) -> None:
    truth = oriented.array > 0
    prepared = prepare(oriented.with_array(np.where(truth, 1000, -1000).astype(np.int16)), SPEC)
    back = prepared.labels_on_source(np.stack([1 - prepared.array, prepared.array]), exclusive=True).astype(bool)
    neighbours = np.ones((3, 3, 3), dtype=bool)
    assert not (ndimage.binary_erosion(truth, neighbours) & ~back).any()
    assert not (back & ~ndimage.binary_dilation(truth, neighbours)).any()


def test_equal_probabilities_are_background(phantom: Volume) -> None:
    prepared = prepare(phantom, SPEC)
    half = np.full((2, *prepared.array.shape), 0.5, dtype=np.float32)
    assert not prepared.labels_on_source(half, exclusive=True).any()


def test_the_most_probable_of_several_labels_wins(phantom: Volume) -> None:
    prepared = prepare(phantom, SPEC)
    shares = np.array([0.2, 0.3, 0.4, 0.1], dtype=np.float32)
    field = np.broadcast_to(shares[:, None, None, None], (4, *prepared.array.shape)).copy()
    assert (prepared.labels_on_source(field, exclusive=True) == 2).all()


def test_an_image_keeps_its_array_order_through_simpleitk(oriented: Volume) -> None:
    image = image_of(oriented.array, oriented.affine)
    index = (3, 5, 2)
    point = image.TransformIndexToPhysicalPoint(index[::-1])
    assert np.allclose(point, oriented.affine[:3] @ [*index, 1])
    same = resampled(image, oriented.array.shape, oriented.affine, outside=-1.0)
    assert np.allclose(same, oriented.array, atol=1e-2)
