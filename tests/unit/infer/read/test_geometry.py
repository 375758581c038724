"""Generated geometries: whatever way a volume is cut, sent and tilted, it is read where it lies."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.geometry import gaps_are_even
from dicomnode.infer.read.tilt import shifted_into
from dicomnode.infer.read.volume import read_series

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]

SHAPE = (6, 9, 11)

#: Fixtures that make files anew at every call may serve all examples.
generated = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)

spacings = st.tuples(st.floats(0.5, 8), st.floats(0.3, 3), st.floats(0.3, 3))
angles = st.tuples(*[st.floats(-180, 180)] * 3)
decimals = st.sampled_from([6, 5, 4])


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Any orientation, handedness, spacing and origin; no two voxels alike."""
    axes = Rotation.from_euler("xyz", draw(angles), degrees=True).as_matrix()
    axes[:, 0] *= draw(st.sampled_from([1, -1]))
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(draw(spacings))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    array = np.random.default_rng(5).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid="1.2.3")


def written(images: list[Dataset], digits: int) -> list[Dataset]:
    """Geometry rounded as a writer of few decimals would."""
    for ds in images:
        ds.ImagePositionPatient = [round(float(value), min(digits, 4)) for value in ds.ImagePositionPatient]
        ds.ImageOrientationPatient = [round(float(value), digits) for value in ds.ImageOrientationPatient]
    return images


def indices(found: Volume, truth: Volume) -> np.ndarray[Any, Any]:
    """Where the voxels found lie in the truth, (slice, row, column), in voxels."""
    grid = np.stack(np.meshgrid(*[np.arange(size) for size in found.array.shape], indexing="ij"), axis=-1)
    world = grid @ found.affine[:3, :3].T + found.affine[:3, 3]
    inverse = np.linalg.inv(truth.affine)
    return np.asarray(world @ inverse[:3, :3].T + inverse[:3, 3])


@generated
@given(
    volume=volumes(), digits=decimals, order=st.permutations(range(6)), twice=st.lists(st.integers(0, 5), max_size=2)
)
def test_any_stack_is_read_where_it_lies(
    slices: Slices, saved: Saved, volume: Volume, digits: int, order: list[int], twice: list[int]
) -> None:
    images = written(slices(volume), digits)
    again = [deepcopy(images[index]) for index in twice]
    for ds in again:
        ds.SOPInstanceUID = generate_uid()
    sent = [*(images[index] for index in order), *again]
    found = read_series(saved(sent))
    places = indices(found.volume, volume)
    assert np.abs(places - places.round()).max() < 0.02
    whole = places.round().astype(int)
    assert np.array_equal(found.volume.array, volume.array[whole[..., 0], whole[..., 1], whole[..., 2]])
    assert found.tilt is None
    normal = np.cross(found.volume.affine[:3, 2], found.volume.affine[:3, 1])
    assert normal @ found.volume.affine[:3, 0] > 0


@generated
@given(
    volume=volumes(),
    tilt=st.floats(2, 40),
    direction=st.sampled_from([(1, 0), (-1, 0), (0, 1), (0, -1), (0.6, 0.8)]),
    order=st.permutations(range(6)),
)
def test_any_tilted_stack_goes_upright_and_its_labels_come_back(
    slices: Slices, saved: Saved, volume: Volume, tilt: float, direction: tuple[float, float], order: list[int]
) -> None:
    down, along = volume.affine[:3, 1] / volume.spacing[1], volume.affine[:3, 2] / volume.spacing[2]
    step = np.tan(np.radians(tilt)) * volume.spacing[0] * (direction[0] * down + direction[1] * along)
    # A displacement that no pixel shows is left alone.
    shown = [abs(share) * 5 * np.tan(np.radians(tilt)) * volume.spacing[0] for share in direction if share]
    assume(min(shown) > min(volume.spacing[1:]))
    images = slices(volume)
    for index, ds in enumerate(images):
        ds.ImagePositionPatient = (np.array(ds.ImagePositionPatient, dtype=float) + index * step).round(6).tolist()
    found = read_series(saved([images[index] for index in order]))
    assert found.tilt is not None
    assert found.tilt.degrees == pytest.approx(tilt, abs=0.01)
    assert f"tilted by {found.tilt.degrees:.1f}°" in found.warnings[0]
    matrix = found.volume.affine[:3, :3] / np.array(found.volume.spacing)
    assert np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-5)
    assert min(min(start) for start in found.tilt.starts) == pytest.approx(0)
    for index, (plane, start) in enumerate(zip(found.planes, found.tilt.starts, strict=True)):
        assert np.allclose((found.volume.affine @ [index, *start, 1])[:3], plane.position_mm, atol=1e-3)
        rows, columns = found.tilt.shape
        assert start[0] + rows <= found.volume.array.shape[1] + 1e-9
        assert start[1] + columns <= found.volume.array.shape[2] + 1e-9
    # What a label map shows on the images is the nearest voxel, half a pixel away at most.
    rows_of = np.broadcast_to(np.arange(found.volume.array.shape[1])[:, None], found.volume.array.shape[1:])
    labels = np.broadcast_to(rows_of, found.volume.array.shape).astype(np.uint8)
    back = found.on_planes(labels)
    for plane_labels, (row, _) in zip(back, found.tilt.starts, strict=True):
        assert np.abs(plane_labels[:, 0] - (row + np.arange(SHAPE[1]))).max() <= 0.5 + 1e-9


def test_a_linear_image_stays_linear_when_it_is_put_upright(phantom: Volume, slices: Slices, saved: Saved) -> None:
    ramp = np.broadcast_to(np.arange(24)[:, None] * 10, phantom.array.shape).astype(np.int16)
    images = slices(phantom.with_array(ramp))
    for index, ds in enumerate(images):
        ds.ImagePositionPatient[1] += 0.5 * index
    found = read_series(saved(images))
    assert found.tilt is not None
    assert found.tilt.degrees == pytest.approx(np.degrees(np.arctan2(0.5, 2.0)))
    assert found.volume.array.dtype == np.int16
    for index, (row, _) in enumerate(found.tilt.starts):
        inside = np.arange(int(np.ceil(row)), int(row) + 23)
        assert np.abs(found.volume.array[index, inside, 5] - 10 * (inside - row)).max() <= 0.5
        far = [voxel for voxel in range(found.volume.array.shape[1]) if voxel < row - 0.5 or voxel > row + 23.5]
        assert (found.volume.array[index, far] == -1024).all()


@pytest.mark.parametrize("start", [(0.0, 0.0), (0.5, 1.5), (2.3, 0.0), (1.7, 2.0)])
def test_a_shifted_plane_can_be_read_back_from_its_nearest_voxels(start: tuple[float, float]) -> None:
    plane = np.full((5, 6), 100, dtype=np.int16)
    out = np.zeros((8, 9), dtype=np.int16)
    shifted_into(out, plane, start, -7)
    top, left = (round(first) for first in start)
    assert (out[top : top + 5, left : left + 6] == 100).all()
    assert out[-1, -1] == -7


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_a_step_that_is_not_constant_is_no_tilt(phantom: Volume, slices: Slices, saved: Saved, jitter: float) -> None:
    images = slices(phantom)
    for index, ds in enumerate(images):
        ds.ImagePositionPatient[0] += 0.05 * index**2
        ds.ImagePositionPatient[1] += jitter * (index % 2)
    with pytest.raises(Unsuitable, match="off the even steps of a gantry tilt"):
        read_series(saved(images))


def test_gaps_are_even_within_rounding() -> None:
    assert gaps_are_even(np.round(np.arange(20) * 1.25, 1))
    assert not gaps_are_even(np.array([0.0, 2.0, 4.0, 8.0]))
    assert gaps_are_even(np.array([3.0]))
