"""Images, recipes and grids for the tests of preparation."""

from __future__ import annotations

from itertools import permutations, product
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume

from dicomnode.domain.model import InputSpec, ModelSpec, Step
from dicomnode.infer.prepare.grid import Grid, shape_of
from dicomnode.infer.prepare.image import Image

#: Every order of axes with every choice of reversed ones.
ORDERS = [(axes, flips) for axes in permutations(range(3)) for flips in product((False, True), repeat=3)]


@pytest.fixture(params=ORDERS, ids=lambda order: "".join(map(str, order[0])) + "".join("-+"[not f] for f in order[1]))
def stored(request: pytest.FixtureRequest) -> Volume:
    """A random axial volume with its voxels stored in one of the 48 ways."""
    return stored_as(random_volume(), *request.param)


def random_volume() -> Volume:
    array = np.random.default_rng(5).integers(-1000, 1000, (7, 9, 11)).astype(np.int16)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = (3.0, 1.5, 1.25)
    affine[:, 3] = (-20, 30, -140, 1)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT")


def stored_as(volume: Volume, axes: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    turned = volume.permute_spatial_axes(axes)
    reversed_ = [axis for axis in range(3) if flips[axis]]
    return turned.flip_spatial(reversed_) if reversed_ else turned


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


def oblique(degrees: tuple[float, float, float], shape: tuple[int, int, int]) -> Volume:
    """A ramp in world coordinates, 3 x - 2 y + 1.5 z, on turned axes."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag([4.0, 1.5, 1.1])
    affine[:3, 3] = [10, -20, 30]
    return Volume(array=ramp(affine, shape), affine=affine, coordinate_system="PATIENT")


def ramp(affine: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    world = affine[:3, :3] @ np.indices(shape).reshape(3, -1) + affine[:3, 3:]
    return (np.array([3.0, -2.0, 1.5]) @ world).reshape(shape).astype(np.float32)


def step(name: str, *, inputs: tuple[str, ...] = (), **options: Any) -> Step:
    return Step(name=name, options=options, inputs=inputs)


def model(*steps: Step, inputs: tuple[str, ...] = ("ct",)) -> ModelSpec:
    """What `prepare` reads of a model."""
    named = tuple(InputSpec(name=name, conditions=()) for name in inputs)
    return cast(ModelSpec, SimpleNamespace(inputs=named, prepare=steps))


def image(array: Any, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0), **masks: Any) -> Image:
    """An axial image."""
    array = np.asarray(array)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[3, 3] = 1
    return Image(array=array, grid=Grid(shape=shape_of(array.shape), affine=affine), masks=masks)
