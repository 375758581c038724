"""Interpolation between grids whose axes are parallel: one axis after the other, which is several times faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.infer.prepare.grid import ROUNDING_OF_VOXEL, Affine, Shape, corners

Array = npt.NDArray[Any]

#: Voxels that a tap gathers at a time, 4 MiB as float32.
TAP_VOXELS = 1 << 20

#: Digits of a place in voxels; what arithmetic with affines adds lies far behind.
_DIGITS_OF_PLACE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where the voxels of a new axis lie along an old one.

    Attributes
    ----------
    axis
        The old axis.
    places
        Their places in voxels of it.
    """

    axis: int
    places: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """An axis of the old grid that is interpolated on its own, since its voxels lie much farther apart.

    Attributes
    ----------
    axis
        The old axis.
    interpolation
        What is done along it; other axes are interpolated first.
    """

    axis: int
    interpolation: str


def apart_axis(spacing_mm: Sequence[float], other_mm: Sequence[float], above: float | None) -> int | None:
    """The axis along which one of two spacings is so much coarser that it is interpolated on its own.

    The first spacing that differs between axes by more than `above` times decides; None where two of its axes share
    the coarsest (nnU-Net, `determine_do_sep_z_and_axis`).
    """
    if above is None:
        return None
    for spacing in (np.array(spacing_mm), np.array(other_mm)):
        if spacing.max() / spacing.min() > above:
            (coarsest,) = np.nonzero(spacing.max() / spacing == 1)
            return int(coarsest[0]) if len(coarsest) == 1 else None
    return None


def lines_of(matrix: Affine, shape: Shape) -> tuple[Line, ...] | None:
    """Places of the voxels of a grid of this shape along the axes of another, or None where axes are not parallel.

    Parameters
    ----------
    matrix
        From indices of the new grid to indices of the old one, (4, 4).
    """
    axes = np.abs(matrix[:3, :3]).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    parallel = np.zeros((4, 4))
    parallel[axes, range(3)] = matrix[axes, range(3)]
    parallel[:, 3] = matrix[:, 3]
    ends = corners(shape)
    if np.abs(((matrix - parallel) @ ends)[:3]).max() > ROUNDING_OF_VOXEL:
        return None
    return tuple(
        Line(axis=int(old), places=matrix[old, new] * np.arange(shape[new]) + matrix[old, 3])
        for new, old in enumerate(axes)
    )


def along(
    array: Array, lines: tuple[Line, ...], *, outside: float, interpolation: str, apart: Apart | None = None
) -> Array:
    """Values at the crossings of three lines.

    Parameters
    ----------
    array
        (slice, row, column) of the old grid.
    outside
        Value at places more than half a voxel from the outermost centres; up to there the outermost value counts.

    Returns
    -------
    ndarray
        On the new axes; of the same type for `nearest`, else float32.
    """
    result, counts = array, array.shape
    if interpolation == "bspline":
        result = ndimage.spline_filter(array, 3, output=np.float32, mode="mirror")
    # The axis that shrinks most goes first, so that what follows has less to do; of those that grow the last axis,
    # whose neighbours are gathered one by one and not as whole rows.
    for line in sorted(lines, key=lambda line: (min(len(line.places) / counts[line.axis], 1.0), -line.axis)):
        own = apart is not None and apart.axis == line.axis
        result = along_one(
            result, settled(line) if own else line, apart.interpolation if apart and own else interpolation
        )
    result = np.transpose(result, [line.axis for line in lines])
    for new, line in enumerate(lines):
        beyond = (line.places < -0.5) | (line.places > counts[line.axis] - 0.5)
        if beyond.any():
            result[(slice(None),) * new + (beyond,)] = outside
    return result


def settled(line: Line) -> Line:
    """The line with its places rounded: what lies half-way between voxels then always goes to the same one."""
    return Line(axis=line.axis, places=np.round(line.places, _DIGITS_OF_PLACE))


def along_one(array: Array, line: Line, interpolation: str) -> Array:
    """Values at the places of one line; for `bspline` of coefficients that a filter has made."""
    count = array.shape[line.axis]
    if interpolation == "nearest":
        nearest = np.clip(np.floor(line.places + 0.5), 0, count - 1).astype(np.intp)
        return np.take(array, nearest, axis=line.axis)
    # Half a voxel beyond the outermost centres a spline goes on, while the outermost value counts for the others.
    beyond = 0.5 if interpolation == "bspline" else 0.0
    places = np.clip(line.places, -beyond, count - 1 + beyond)
    low = np.floor(places).astype(np.intp)
    t = places - low
    if interpolation == "linear":
        taps = [(low, 1 - t), (low + 1, t)]
    else:
        # Uniform cubic B-spline at distances 1 + t, t, 1 - t, 2 - t (Unser 1999, IEEE Signal Process. Mag. 16(6)).
        taps = [
            (low - 1, (1 - t) ** 3 / 6),
            (low, (4 - 6 * t**2 + 3 * t**3) / 6),
            (low + 1, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6),
            (low + 2, t**3 / 6),
        ]
    wide = [1, 1, 1]
    wide[line.axis] = len(places)
    # A few lines at a time: what the taps gather then stays small, and near.
    other = 1 if line.axis == 0 else 0
    shape = list(array.shape)
    shape[line.axis] = len(places)
    result = np.empty(shape, dtype=np.float32)
    few = max(1, TAP_VOXELS * shape[other] // max(1, result.size))
    for start in range(0, shape[other], few):
        chosen = (slice(None),) * other + (slice(start, start + few),)
        for number, (index, weight) in enumerate(taps):
            part = np.take(array[chosen], _mirrored(index, count), axis=line.axis).astype(np.float32, copy=False)
            part *= weight.astype(np.float32).reshape(wide)
            if number:
                result[chosen] += part
            else:
                result[chosen] = part
    return result


def _mirrored(index: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Indices beyond the ends mirrored about the outermost voxels, as the spline's coefficients are."""
    period = max(2 * (count - 1), 1)
    index = np.abs(index) % period
    return np.minimum(index, period - index) if count > 1 else np.zeros_like(index)
