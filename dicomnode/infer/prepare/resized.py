"""Resizes an array over the same extent the way scikit-image does, on which nnU-Net relies, but axis by axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.infer.prepare.separable import Apart, Line, along_one, settled

Array = npt.NDArray[Any]

#: Voxels by which the outermost values go on for a spline: so far the pole of its filter, √3 - 2, leaves 1e-7
#: (scipy.ndimage.zoom takes as many).
EDGE = 12

#: Voxels that are filtered at a time, 4 MiB as float32.
PART_VOXELS = 1 << 20


def resized(array: Array, shape: tuple[int, int, int], *, interpolation: str, apart: Apart | None = None) -> Array:
    """Values of an array at other counts of voxels over the same extent.

    Beyond the outermost centres the outermost values go on. No value leaves the range of the whole array, or with
    `apart` that of its own plane across that axis (`skimage.transform.resize(mode="edge", clip=True)`, plane by plane).

    Parameters
    ----------
    array
        (slice, row, column).
    interpolation
        `nearest`, `linear` or `bspline` (cubic).
    apart
        An axis that is interpolated after the others and in its own way.

    Returns
    -------
    ndarray of float32
        The array itself where no count changes.
    """
    if array.shape == shape:
        return array
    low, high = _limits(array, apart)
    result = array
    for axes in _stages(array.shape, shape, apart):
        result = _stretched(result, axes, shape, interpolation)
    if interpolation == "bspline" and result is not array:
        np.clip(result, low, high, out=result)
    if apart is not None:
        result = _stretched(result, (apart.axis,), shape, apart.interpolation)
    return result.astype(np.float32, copy=False)


def _limits(array: Array, apart: Apart | None) -> tuple[Array, Array]:
    """Lowest and highest value of the array, or of every plane across an axis."""
    across = tuple(axis for axis in range(3) if apart is None or axis != apart.axis)
    return array.min(axis=across, keepdims=True), array.max(axis=across, keepdims=True)


def _stages(old: tuple[int, ...], new: tuple[int, int, int], apart: Apart | None) -> list[tuple[int, ...]]:
    """Which axes are done together and in which order: rows and columns of a few slices at a time, if possible.

    Slices go first where they become fewer, so that what follows has less to do.
    """
    stages: list[tuple[int, ...]] = [(1, 2), (0,)] if new[0] >= old[0] else [(0,), (1, 2)]
    kept = (tuple(axis for axis in axes if apart is None or axis != apart.axis) for axes in stages)
    changed = (tuple(axis for axis in axes if old[axis] != new[axis]) for axes in kept)
    return [axes for axes in changed if axes]


def _stretched(array: Array, axes: tuple[int, ...], shape: tuple[int, int, int], interpolation: str) -> Array:
    """Other counts of voxels along some axes, a few planes across another at a time, since every axis needs copies."""
    if all(array.shape[axis] == shape[axis] for axis in axes):
        return array
    across = min(axis for axis in range(3) if axis not in axes)
    counts = [shape[axis] if axis in axes else array.shape[axis] for axis in range(3)]
    result = np.empty(counts, dtype=np.float32)
    few = max(1, PART_VOXELS * array.shape[across] // max(1, array.size))
    for start in range(0, array.shape[across], few):
        part = (slice(None),) * across + (slice(start, start + few),)
        values = array[part]
        for axis in axes:
            values = _along(values, axis, shape[axis], interpolation)
        result[part] = values
    return result


def _along(array: Array, axis: int, count: int, interpolation: str) -> Array:
    """Another count of voxels along one axis."""
    places = (np.arange(count) + 0.5) * (array.shape[axis] / count) - 0.5
    if interpolation != "bspline":
        line = Line(axis=axis, places=places)
        return along_one(array, settled(line) if interpolation == "nearest" else line, interpolation)
    margins = [(EDGE, EDGE) if number == axis else (0, 0) for number in range(3)]
    wide = np.pad(array, margins, mode="edge")
    wide = ndimage.spline_filter1d(wide, 3, axis=axis, output=np.float32, mode="mirror")
    return along_one(wide, Line(axis=axis, places=places + EDGE), interpolation)
