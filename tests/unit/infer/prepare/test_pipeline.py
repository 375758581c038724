"""To the network's grid and back: the same body in every orientation, and the same voxels on return."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from highdicom import Volume
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.domain.errors import ModelError, Unsuitable
from dicomnode.domain.model import ModelSpec, Step
from dicomnode.infer.prepare.grid import Grid, patient_grid
from dicomnode.infer.prepare.interpolate import image_of, resampled
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.prepare.prepared import Prepared
from tests.unit.infer.prepare.conftest import model, oblique, random_volume, rotation, step


def recipe(*, spacing_mm: tuple[float, float, float], outside: float, clip: tuple[float, float]) -> ModelSpec:
    return model(
        step("resample", spacing_mm=spacing_mm, outside=outside), step("clip", range=clip), step("scale", range=clip)
    )


SPEC = recipe(spacing_mm=(3.0, 2.0, 2.0), outside=-1000.0, clip=(-1000.0, 1000.0))


def labels_on_source(prepared: Prepared, probabilities: np.ndarray, *, exclusive: bool) -> np.ndarray:
    parts = [found.argmax(axis=0) for _, found in prepared.on_source(probabilities, exclusive=exclusive, slab=5)]
    return np.concatenate(parts)


def test_the_network_sees_the_same_body_from_every_orientation(phantom: Volume, oriented: Volume) -> None:
    expected, found = prepare([phantom], SPEC), prepare([oriented], SPEC)
    assert np.allclose(found.affine, expected.affine)
    assert np.abs(found.array - expected.array).max() < 1e-5


def test_axes_run_towards_head_posterior_and_left(oriented: Volume) -> None:
    prepared = prepare([oriented], SPEC)
    assert np.array_equal(prepared.affine[:3, :3], [[0, 0, 2.0], [0, 2.0, 0], [3.0, 0, 0]])


def test_without_resampling_values_are_only_scaled(phantom: Volume) -> None:
    prepared = prepare([phantom], recipe(spacing_mm=(2.0, 1.5, 1.25), outside=0.0, clip=(-1000.0, 1000.0)))
    assert np.allclose(prepared.affine, phantom.affine)
    assert np.allclose(prepared.array, (phantom.array + 1000) / 2000, atol=1e-6)


def test_intensities_are_clipped_to_the_range_and_scaled_to_one(phantom: Volume) -> None:
    spec = recipe(spacing_mm=(2.0, 1.5, 1.25), outside=0.0, clip=(-500.0, 500.0))
    array = prepare([phantom], spec).array
    assert sorted(np.unique(array.round(4)).tolist()) == pytest.approx([0.0, 0.6, 1.0])


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.integers(3, 12)] * 3))
@example((0.0, 11.0, 2.2e-311), (3, 3, 3))
def test_an_oblique_ramp_stays_the_same_ramp(degrees: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    volume = oblique(degrees, shape)
    affine, slope = volume.affine, np.array([3.0, -2.0, 1.5])
    prepared = prepare([volume], recipe(spacing_mm=(3.0, 2.0, 2.0), outside=-9999.0, clip=(-10000.0, 10000.0)))
    centres = np.indices(prepared.shape).reshape(3, -1)
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
    found = patient_grid(Grid(shape=shape, affine=affine), spacing_mm)
    size, grid = found.shape, found.affine
    corners = np.array(np.meshgrid(*[(0, count - 1) for count in shape])).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    index = np.linalg.solve(grid[:3, :3], world - grid[:3, 3:])
    assert (index > -0.5 - 1e-3).all()
    assert (index < np.array(size)[:, None] - 0.5 + 1e-3).all()


@pytest.mark.parametrize("exclusive", [True, False])
def test_labels_come_back_to_the_voxels_that_they_came_from(oriented: Volume, exclusive: bool) -> None:
    prepared = prepare([oriented], recipe(spacing_mm=(2.0, 1.5, 1.25), outside=-1000.0, clip=(-1000.0, 1000.0)))
    dense = (prepared.array[0] > 0.5).astype(np.float32)
    back = labels_on_source(prepared, np.stack([1 - dense, dense]), exclusive=exclusive)
    assert np.array_equal(back, oriented.array > 0)


def test_labels_from_a_coarser_grid_come_back_within_a_voxel(oriented: Volume) -> None:
    truth = oriented.array > 0
    prepared = prepare([oriented.with_array(np.where(truth, 1000, -1000).astype(np.int16))], SPEC)
    back = labels_on_source(prepared, np.concatenate([1 - prepared.array, prepared.array]), exclusive=True).astype(bool)
    neighbours = np.ones((3, 3, 3), dtype=bool)
    assert not (ndimage.binary_erosion(truth, neighbours) & ~back).any()
    assert not (back & ~ndimage.binary_dilation(truth, neighbours)).any()


def test_equal_probabilities_are_background(phantom: Volume) -> None:
    prepared = prepare([phantom], SPEC)
    half = np.full((2, *prepared.shape), 0.5, dtype=np.float32)
    assert not labels_on_source(prepared, half, exclusive=True).any()


def test_the_most_probable_of_several_labels_wins(phantom: Volume) -> None:
    prepared = prepare([phantom], SPEC)
    shares = np.array([0.2, 0.3, 0.4, 0.1], dtype=np.float32)
    field = np.broadcast_to(shares[:, None, None, None], (4, *prepared.shape)).copy()
    assert (labels_on_source(prepared, field, exclusive=True) == 2).all()


def test_an_image_keeps_its_array_order_through_simpleitk(oriented: Volume) -> None:
    image = image_of(oriented.array, oriented.affine)
    index = (3, 5, 2)
    point = image.TransformIndexToPhysicalPoint(index[::-1])
    assert np.allclose(point, oriented.affine[:3] @ [*index, 1])
    same = resampled(image, oriented.array.shape, oriented.affine, outside=-1.0)
    assert np.allclose(same, oriented.array, atol=1e-2)


def test_further_inputs_end_up_on_the_grid_of_the_first(phantom: Volume) -> None:
    coarse = oblique((0, 0, 0), (30, 30, 40))
    world = oblique((10, 20, 30), (60, 60, 80))
    shift = np.array([-40.0, -20.0, -160.0])
    for volume in (coarse, world):
        volume.affine[:3, 3] = shift
    spec = model(step("resample", spacing_mm=(3.0, 2.0, 2.0)), inputs=("ct", "pet"))
    prepared = prepare([phantom, coarse], spec)
    assert prepared.array.shape == (2, *prepared.shape)
    alone = prepare([phantom], model(step("resample", spacing_mm=(3.0, 2.0, 2.0))))
    assert np.array_equal(prepared.array[0], alone.array[0])
    assert np.allclose(prepared.affine, alone.affine)


def test_steps_that_name_inputs_treat_only_these() -> None:
    volume = random_volume()
    spec = model(
        step("scale", range=(0.0, 10.0), inputs=("pet",)),
        step("clip", range=(-100.0, 100.0), inputs=("ct",)),
        inputs=("ct", "pet"),
    )
    ct, pet = prepare([volume, volume], spec).array
    assert np.array_equal(ct, np.clip(volume.array, -100, 100))
    assert np.allclose(pet, volume.array / 10, atol=1e-4)


def test_an_input_aligned_before_its_steps_is_interpolated_once() -> None:
    ct = random_volume()
    affine = ct.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [0.5, 0.25, 0.75]
    pet = Volume(array=ct.array.astype(np.float32), affine=affine, coordinate_system="PATIENT")
    spec = model(step("align", outside=-7.0, inputs=("pet",)), inputs=("ct", "pet"))
    found = prepare([ct, pet], spec).array[1]
    index = np.indices(ct.array.shape) - np.array([0.5, 0.25, 0.75])[:, None, None, None]
    expected = ndimage.map_coordinates(pet.array, index, order=1, mode="nearest")
    assert np.allclose(found[1:, 1:, 1:], expected[1:, 1:, 1:], atol=1e-3)
    assert (found[:, :, 0] == -7).all()


def test_a_box_is_all_that_is_prepared_and_all_else_is_background() -> None:
    volume = random_volume()
    prepared = prepare([volume], model(), box=((2, 5), (1, 8), (3, 10)))
    assert np.array_equal(prepared.array[0], volume.array[2:5, 1:8, 3:10])
    probabilities = np.stack([np.zeros(prepared.shape), np.ones(prepared.shape)]).astype(np.float16)
    back = np.concatenate([found for _, found in prepared.on_source(probabilities, slab=4)], axis=1)
    inside = np.zeros(volume.array.shape)
    inside[2:5, 1:8, 3:10] = 1
    assert np.array_equal(back, np.stack([1 - inside, inside]))
    assert np.allclose(
        prepared.index_to_source(np.array([[0.0, 0, 0], [1.5, 2, 3]])), np.array([[2.0, 1, 3], [3.5, 3, 6]])
    )


def test_a_mask_of_the_first_input_serves_another_on_a_grid_of_its_own() -> None:
    ct = Volume(
        array=np.full((4, 40, 40), -1000, dtype=np.int16), affine=np.diag([5.0, 2, 2, 1]), coordinate_system="PATIENT"
    )
    ct.array[:, 10:30, 10:30] = 40
    pet = Volume(
        array=np.zeros((2, 20, 20), dtype=np.float32), affine=np.diag([10.0, 4, 4, 1]), coordinate_system="PATIENT"
    )
    pet.array[:, 5:15, 5:15] = np.random.default_rng(0).normal(5, 2, (2, 10, 10))
    upright = np.zeros((4, 4))
    upright[[2, 1, 0, 3], [0, 1, 2, 3]] = 1
    turned = [
        Volume(array=each.array, affine=upright @ np.diag(np.diag(each.affine)), coordinate_system="PATIENT")
        for each in (ct, pet)
    ]
    spec = model(step("body_mask", inputs=("ct",)), step("zscore", over="body", inputs=("pet",)), inputs=("ct", "pet"))
    found = prepare(turned, spec).array[1]
    body = pet.array[:, 5:15, 5:15]
    expected = (pet.array - body.mean()) / body.std()
    assert found[0, 20, 20] == pytest.approx(expected[0, 10, 10], abs=0.05)
    with pytest.raises(ModelError, match="mask lungs is asked for"):
        prepare(turned, model(step("zscore", over="lungs"), inputs=("ct", "pet")))


def test_values_that_are_no_numbers_never_reach_the_network() -> None:
    volume = random_volume()
    array = volume.array.astype(np.float32)
    array[3, 4, 5] = np.nan
    with pytest.raises(Unsuitable, match="not finite"):
        prepare([volume.with_array(array)], model())
    filled = prepare([volume.with_array(array)], model(step("fill", value=-1000.0))).array[0]
    assert filled[3, 4, 5] == -1000


def test_the_source_is_left_as_it_was() -> None:
    volume = random_volume()
    volume = volume.with_array(volume.array.astype(np.float32))
    before = volume.array.copy()
    prepare(
        [volume],
        model(step("reorient", orientation="axial"), step("clip", range=(-1.0, 1.0)), step("gaussian", sigma_mm=2.0)),
    )
    assert np.array_equal(volume.array, before)


@pytest.mark.parametrize(
    "steps",
    [
        [step("clip", range=(-1000.0, 400.0)), step("scale", range=(-1000.0, 400.0))],
        [step("resample", spacing_mm=(1.0, 0.8, 0.8)), step("clip", range=(-1000.0, 400.0)), step("zscore")],
        [
            step("body_mask", above=0.0, outside=-1000.0),
            step("crop_to_mask", around="body"),
            step("zscore", over="body"),
        ],
        [
            step("resample", spacing_mm=(1.0, 1.0), axes="source", interpolation="nearest"),
            step("crop_or_pad", shape=(0, 400, 400), outside=-1000.0),
            step("window", centre=-600.0, width=1500.0),
            step("bins", count=256, range=(0.0, 1.0)),
        ],
    ],
    ids=["native", "resampled", "cropped", "padded"],
)
def test_preparing_takes_four_times_the_memory_of_the_source_at_most(steps: list[Step]) -> None:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (1.0, 0.82, 0.8, 1.0)
    array = np.full((200, 400, 400), -1000, dtype=np.int16)
    array[:, 80:320, 60:340] = np.arange(200, dtype=np.int16)[:, None, None] + 1
    volume = Volume(array=array, affine=affine, coordinate_system="PATIENT")
    tracemalloc.start()
    try:
        prepare([volume], model(*steps))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak + array.nbytes < 4 * array.nbytes
