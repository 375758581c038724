"""Zones of one grey level: voxels that touch each other by a face, an edge or a corner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Direction = tuple[int, int, int]
Flags = NDArray[np.bool_]

_ROW: Direction = (0, 0, 1)


def zones(
    codes: NDArray[Any], inside: NDArray[np.intp], equal: Mapping[Direction, Flags], shape: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Size in voxels and grey level of every zone.

    Runs along a row are joined first. Of their connections those are left out that others imply, which leaves about
    as many as there are runs.

    Parameters
    ----------
    codes
        Of every voxel, flat; 0 outside. The last plane along every axis is outside.
    inside
        Places of the others in it, ascending.
    equal
        Direction → whether a voxel has the level of its neighbour there; directions along which the region is flat are
        left out.
    shape
        Of the block that `codes` are of.
    """
    joined = equal.get(_ROW, np.zeros(codes.size, dtype=bool))
    first = np.ones(len(inside), dtype=bool)
    np.logical_not(joined.take(inside[1:] - 1), out=first[1:])
    begins = np.flatnonzero(first)
    starts = inside.take(begins)
    length = np.diff(begins, append=len(inside))
    run = np.zeros(codes.size, dtype=np.int32)
    run[inside] = np.repeat(np.arange(len(starts), dtype=np.int32), length)
    one, other = [], []
    for step, needed in _connections(equal, joined, shape):
        at = np.flatnonzero(needed)
        one.append(run.take(at))
        other.append(run.take(at + step))
    none = np.zeros(0, dtype=np.int32)
    ends = (np.concatenate([none, *one]), np.concatenate([none, *other]))
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(len(starts), len(starts)))
    # Otherwise scipy sorts it.
    graph.has_canonical_format = True
    count, zone = connected_components(graph.tocsr(), directed=False)
    size = np.bincount(zone, weights=length, minlength=count).astype(np.int64)
    code = np.zeros(count, dtype=codes.dtype)
    code[zone] = codes.take(starts)
    return size, code


def _connections(
    equal: Mapping[Direction, Flags], joined: Flags, shape: tuple[int, int, int]
) -> Iterator[tuple[int, Flags]]:
    """The step of every direction but that of the row, and from which voxels it connects what nothing else does.

    A connection is implied by the same one a voxel earlier where both its ends go on from there; an oblique one by a
    straight one where a voxel between its ends has their level.
    """
    width = shape[2]
    none = np.zeros_like(joined)
    down = equal.get((0, 1, 0), none)
    for (z, y, x), same in equal.items():
        if (z, y, x) == _ROW:
            continue
        needed = same.copy()
        np.greater(needed[1:], same[:-1] & joined[:-1], out=needed[1:])
        if x:
            np.greater(needed, equal.get((z, y, 0), none), out=needed)
            _without(needed, joined, x, 1)
        if z and y:
            np.greater(needed, equal.get((z, 0, x), none), out=needed)
            _without(needed, down, y, width)
        elif z:
            np.greater(needed[width:], same[:-width] & down[:-width], out=needed[width:])
        yield (z * shape[1] + y) * width + x, needed


def _without(needed: Flags, same: Flags, sign: int, step: int) -> None:
    """Takes away the voxels whose neighbour on the side of `sign` has their level."""
    if sign > 0:
        np.greater(needed, same, out=needed)
    else:
        np.greater(needed[step:], same[:-step], out=needed[step:])
