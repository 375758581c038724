"""Every step that changes the grid: the right body on it, and the way back to the voxels of the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import PatientOrientationValuesBiped, Volume
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import Step
from dicomnode.infer.prepare.grid import Grid, corners
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.interpolate import image_of, resampled, taken
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.prepare.prepared import Prepared
from dicomnode.infer.prepare.spatial import crop_or_pad, crop_to_mask, reorient, resample, resize
from tests.unit.infer.prepare.conftest import image, model, oblique, ramp, random_volume, step

EXACT = {
    "axial": [step("reorient", orientation="axial")],
    "sagittal": [step("reorient", orientation="sagittal")],
    "letters": [step("reorient", orientation="RAS")],
    "own-spacing": [step("reorient", orientation="axial"), step("resample", spacing_mm=(3.0, 1.5, 1.25))],
    "pad": [step("crop_or_pad", shape=(15, 16, 17), outside=0.0)],
    "pad-and-turn": [step("crop_or_pad", shape=(20, 0, 14), outside=0.0), step("reorient", orientation="coronal")],
}


def back(prepared: Prepared, channels: Sequence[npt.NDArray[Any]], slab: int = 3) -> npt.NDArray[np.float32]:
    return np.concatenate([found for _, found in prepared.on_source(np.stack(channels), slab=slab)], axis=1)


@pytest.mark.parametrize("steps", EXACT.values(), ids=EXACT)
def test_values_come_back_unchanged_where_voxels_coincide(stored: Volume, steps: Sequence[Step]) -> None:
    prepared = prepare([stored], model(*steps))
    assert np.array_equal(back(prepared, [prepared.array[0], prepared.array[0]])[1], stored.array)


def test_a_crop_gives_back_what_it_kept_and_background_elsewhere(stored: Volume) -> None:
    prepared = prepare([stored], model(step("reorient", orientation="axial"), step("crop_or_pad", shape=(3, 4, 5))))
    assert prepared.shape == (3, 4, 5)
    found = back(prepared, [np.zeros(prepared.shape), np.ones(prepared.shape)])
    assert found[1].sum() == 60
    assert np.array_equal(found[0], 1 - found[1])
    kept = back(prepared, [prepared.array[0]] * 2)[1]
    assert np.array_equal(kept[found[1] == 1], stored.array[found[1] == 1])


@pytest.mark.parametrize("letters", ["HPL", "RAF", "FPR", "LPH"])
def test_reorientation_is_that_of_highdicom(stored: Volume, letters: str) -> None:
    names = tuple(PatientOrientationValuesBiped(letter) for letter in letters)
    expected = stored.to_patient_orientation(names)
    prepared = prepare([stored], model(step("reorient", orientation=letters)))
    assert np.array_equal(prepared.array[0], expected.array)
    assert np.allclose(prepared.affine, expected.affine)


def test_an_oblique_volume_is_turned_to_the_nearest_axes() -> None:
    volume = oblique((8.0, -12.0, 20.0), (4, 5, 6))
    found = reorient(Image(array=volume.array, grid=Grid.of(volume)), orientation="axial")
    cosines = found.affine[:3, :3] / found.spacing_mm
    assert (np.diag(np.fliplr(cosines)) > 0.8).all()


MOVING = {
    "isotropic": [step("resample", spacing_mm=(2.0,), outside=0.0)],
    "in-plane": [step("resample", spacing_mm=(1.0, 0.9), axes="source", outside=0.0)],
    "source-axes": [step("resample", spacing_mm=(2.5, 2.0, 0.8), axes="source", outside=0.0)],
    "bspline": [step("resample", spacing_mm=(2.0, 1.0, 1.0), axes="source", interpolation="bspline", outside=0.0)],
    "resize": [step("resize", shape=(9, 0, 20))],
    "all": [
        step("reorient", orientation="coronal"),
        step("resample", spacing_mm=(1.5,), axes="source", outside=0.0),
        step("crop_or_pad", shape=(40, 40, 40), outside=0.0),
    ],
}


@pytest.mark.parametrize("steps", MOVING.values(), ids=MOVING)
@settings(max_examples=12, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.integers(4, 12)] * 3))
def test_a_ramp_stays_itself_there_and_back_again(
    steps: Sequence[Step], degrees: tuple[float, float, float], shape: tuple[int, int, int]
) -> None:
    volume = oblique(degrees, shape)
    prepared = prepare([volume], model(*steps))
    # Linear interpolation keeps a linear function wherever it does not reach beyond the outermost centres.
    true = ramp(prepared.affine, prepared.shape)
    there = inner(Grid.of(volume), prepared.grid)
    # A cubic spline mirrors the ramp at its ends, and rings there.
    if steps[0].options.get("interpolation") != "bspline":
        assert np.abs(prepared.array[0] - true)[there].max(initial=0) < 0.02
    found = back(prepared, [true, true])[1]
    here = inner(prepared.grid, Grid.of(volume))
    assert np.abs(found - volume.array)[here].max(initial=0) < 0.02
    places = corners(prepared.shape)[:3].T
    world = prepared.affine[:3, :3] @ places.T + prepared.affine[:3, 3:]
    index = prepared.index_to_source(places)
    assert np.allclose(volume.affine[:3, :3] @ index.T + volume.affine[:3, 3:], world, atol=1e-6)


def inner(grid: Grid, of: Grid) -> npt.NDArray[np.bool_]:
    """Which voxels of one grid lie between the outermost centres of another."""
    index = grid.from_(of)[:3] @ np.vstack([np.indices(of.shape).reshape(3, -1), np.ones(np.prod(of.shape))])
    last = np.array(grid.shape)[:, None] - 1
    within: npt.NDArray[np.bool_] = ((index >= 0) & (index <= last)).all(axis=0).reshape(of.shape)
    return within


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["nearest", "linear", "bspline"]),
    st.permutations(range(3)),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.integers(5, 12)] * 3),
    st.tuples(*[st.floats(0.4, 3)] * 3),
    st.tuples(*[st.floats(-4, 4)] * 3),
)
def test_parallel_axes_give_what_simpleitk_gives(
    interpolation: str,
    order: list[int],
    flips: tuple[bool, ...],
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, ...],
    shift_mm: tuple[float, ...],
) -> None:
    array = np.random.default_rng(3).integers(-1000, 1000, (8, 9, 10)).astype(np.int16)
    grid = Grid(shape=(8, 9, 10), affine=np.diag([1.3, 0.9, 1.1, 1.0]))
    affine = np.zeros((4, 4))
    affine[order, range(3)] = np.where(flips, -1, 1) * spacing_mm
    # No place half-way between voxels, where rounding decides.
    affine[:3, 3] = np.where(np.array(flips)[np.argsort(order)], 9, 0) + np.array(shift_mm) + 0.01234567
    affine[3, 3] = 1
    onto = Grid(shape=shape, affine=affine)
    found = taken(array, grid, onto, outside=-5.0, interpolation=interpolation)
    expected = resampled(image_of(array, grid.affine), shape, affine, outside=-5.0, interpolation=interpolation)
    assert found.dtype == (np.int16 if interpolation == "nearest" else np.float32)
    index = grid.from_(onto)[:3, :3] @ np.indices(shape).reshape(3, -1) + grid.from_(onto)[:3, 3:]
    clear = (np.abs(index - np.floor(index) - 0.5) > 1e-3).all(axis=0).reshape(shape)
    assert np.abs(found - expected)[clear].max(initial=0) < 0.02


def test_an_oblique_spline_is_that_of_the_whole_image() -> None:
    volume = random_volume()
    grid = Grid.of(volume)
    onto = Grid(shape=(10, 12, 8), affine=oblique((20, 30, 40), (3, 3, 3)).affine + np.eye(4, k=3) * -10)
    found = taken(volume.array, grid, onto, outside=0.0, interpolation="bspline")
    whole = image_of(volume.array.astype(np.float32), grid.affine)
    expected = resampled(whole, onto.shape, onto.affine, outside=0.0, interpolation="bspline")
    assert np.abs(found - expected).max() < 0.02


def test_a_volume_too_thin_for_a_spline_is_refused() -> None:
    thin = Volume(array=random_volume().array[:3], affine=random_volume().affine, coordinate_system="PATIENT")
    with pytest.raises(Unsuitable, match="needed 4 along every axis"):
        prepare([thin], model(step("resample", spacing_mm=(1.0,), interpolation="bspline")))


def test_a_new_spacing_covers_the_volume_round_its_centre() -> None:
    grid = resample(image(np.zeros((10, 20, 30)), (3.0, 0.7, 0.7)), spacing_mm=(1.0, 1.0), axes="source")
    assert grid.shape == (10, 14, 21)
    assert np.allclose(grid.spacing_mm, [3, 1, 1])
    assert np.allclose(grid.affine @ [4.5, 6.5, 10, 1], [0.7 * 14.5, 0.7 * 9.5, 13.5, 1])


def test_a_resized_grid_keeps_the_extent() -> None:
    grid = resize(image(np.zeros((10, 20, 30)), (3.0, 0.7, 0.7)), shape=(0, 40, 10))
    assert grid.shape == (10, 40, 10)
    assert np.allclose(grid.spacing_mm, [3, 0.35, 2.1])
    assert np.allclose(grid.affine @ [-0.5, -0.5, -0.5, 1], [-0.35, -0.35, -1.5, 1])


def test_a_crop_lies_round_the_mask_that_it_names() -> None:
    body = np.zeros((4, 20, 20), dtype=bool)
    body[1:3, 2:6, 11:15] = True
    masked = image(np.zeros((4, 20, 20)), (1.0, 2.0, 2.0), body=body)
    assert crop_or_pad(masked, shape=(0, 4, 4), around="body").affine[:3, 3].tolist() == [22, 4, 0]
    found = crop_to_mask(masked, around="body", margin_mm=3.0)
    assert found.shape == (4, 8, 8)
    assert found.affine[:3, 3].tolist() == [18, 0, 0]
    with pytest.raises(Unsuitable, match="no voxel is body"):
        crop_to_mask(image(np.zeros((4, 20, 20)), body=body & False), around="body")


def test_integers_stay_integers_until_values_are_interpolated() -> None:
    volume = random_volume()
    one = Image(array=volume.array, grid=Grid.of(volume))
    assert one.onto(reorient(one, orientation="LFP")).array.base is not None
    assert one.onto(crop_or_pad(one, shape=(9, 9, 9)), outside=-2000.0).array.dtype == np.int16
    nearest = one.onto(resample(one, spacing_mm=(1.0,)), interpolation="nearest")
    assert nearest.array.dtype == np.int16
    assert one.onto(resample(one, spacing_mm=(1.0,)), outside=-0.5, interpolation="nearest").array.dtype == np.float32
    assert one.onto(resample(one, spacing_mm=(1.0,))).array.dtype == np.float32
