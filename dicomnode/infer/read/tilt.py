"""Puts the slices of a tilted gantry upright: each is shifted in its own plane, by interpolation where need be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def shifted_into(out: npt.NDArray[Any], plane: npt.NDArray[Any], start: tuple[float, float], outside: float) -> None:
    """Write one plane into a larger slice.

    Parameters
    ----------
    out
        (row, column); an integer array takes rounded values.
    plane
        (row, column), not larger than `out`.
    start
        Place of the plane's first pixel in `out`, (row, column), in voxels, not negative.
    outside
        What the voxels more than half a pixel beyond the plane become. Nearer ones take the edge's value, so that
        the plane as a whole can be read back from its nearest voxels.
    """
    values: npt.NDArray[Any] = plane
    lowest = []
    for axis, (size, first) in enumerate(zip(out.shape, start, strict=True)):
        values, low = _along(values, axis, size, first)
        lowest.append(low)
    if np.issubdtype(out.dtype, np.integer) and not np.issubdtype(values.dtype, np.integer):
        values = np.rint(values)
    out[...] = outside
    top, left = lowest
    out[top : top + values.shape[0], left : left + values.shape[1]] = values


def _along(values: npt.NDArray[Any], axis: int, size: int, start: float) -> tuple[npt.NDArray[Any], int]:
    """Values at the whole voxels of one axis, and the first such voxel."""
    if float(start).is_integer():
        return values, int(start)
    length = values.shape[axis]
    # Voxels within half a pixel of the plane.
    voxels = np.arange(int(np.ceil(start - 0.5)), min(int(np.floor(start + length - 0.5)), size - 1) + 1)
    wanted = np.clip(voxels - start, 0, length - 1)
    below = np.minimum(wanted.astype(np.intp), length - 2) if length > 1 else np.zeros(len(wanted), dtype=np.intp)
    share = (wanted - below).astype(np.float32)
    shape = [1, 1]
    shape[axis] = len(wanted)
    share = share.reshape(shape)
    lower = np.take(values, below, axis=axis).astype(np.float32)
    upper = np.take(values, np.minimum(below + 1, length - 1), axis=axis).astype(np.float32)
    return lower + (upper - lower) * share, int(voxels[0])
