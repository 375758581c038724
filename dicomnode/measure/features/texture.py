"""Which grey levels lie beside each other in a region, counted for the matrices of texture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import cMatrices

from dicomnode.measure.features.zones import zones

Counts = NDArray[np.int64]

#: Smaller regions are counted by pyradiomics' own code sooner: all classes take 7 ms on 900 voxels and 10 ms on 2 100
#: with it, and 10 ms on either with these counts (measured on balls of noise).
LEAST_VOXELS = 2_000

#: Of the bounding box: each costs 13 bytes, one for every direction.
MOST_BOX_VOXELS = 20_000_000

#: Pairs of levels take 26 MB with these.
MOST_LEVELS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """Grey levels of a region, with an empty plane behind every axis, so that no neighbour lies beyond an edge.

    Attributes
    ----------
    present
        The grey levels that occur, ascending; their places in it, counted from 1, are the codes.
    codes
        Of every voxel, flat; 0 outside.
    inside, here
        Places of the region's voxels in `codes`, ascending, and their codes.
    voxels
        How many have each level, shape (level,).
    steps
        From a voxel to its neighbour by each direction, in the order of pyradiomics; all are positive.
    equal
        bool, shape (direction, voxel): whether a voxel of the region has the level of its neighbour.
    pairs
        Voxels of a level beside neighbours of a level, shape (direction, level, level).
    """

    present: NDArray[np.int64]
    shape: tuple[int, int, int]
    codes: NDArray[Any] = field(repr=False)
    inside: NDArray[np.intp] = field(repr=False)
    here: NDArray[Any] = field(repr=False)
    voxels: Counts = field(repr=False)
    angles: tuple[tuple[int, int, int], ...]
    steps: tuple[int, ...]
    equal: NDArray[np.bool_] = field(repr=False)
    pairs: Counts = field(repr=False)


def texture(found: NDArray[np.int64], mask: NDArray[np.bool_], present: NDArray[np.int64]) -> Texture | None:
    """What lies beside what at a distance of one voxel; None where pyradiomics' own code has to count.

    That is so where it is as fast, and where a direction has no two neighbours: then its rules for directions that do
    not count apply.

    Parameters
    ----------
    found
        Levels of the region's voxels.
    mask
        The region in its bounding box, (slice, row, column).
    present
        The levels that occur in the mask, ascending.
    """
    shape = (mask.shape[0] + 1, mask.shape[1] + 1, mask.shape[2] + 1)
    size = int(np.prod(shape))
    if len(found) < LEAST_VOXELS or size > MOST_BOX_VOXELS or len(present) > MOST_LEVELS:
        return None
    angles = tuple(
        (int(z), int(y), int(x))
        for z, y, x in cMatrices.generate_angles(np.array(mask.shape), np.array([1]), False, False, 0)
    )
    steps = tuple((z * shape[1] + y) * shape[2] + x for z, y, x in angles)
    count = len(present)
    width = count + 1
    table = np.zeros(int(present[-1]) + 1, dtype=np.min_scalar_type(width))
    table[present] = np.arange(1, width)
    here = table.take(found)
    block = np.zeros(shape, dtype=bool)
    block[:-1, :-1, :-1] = mask
    inside = np.flatnonzero(block)
    # As many zeros behind the last voxel as the longest step reaches over.
    reaching = np.zeros(size + max(steps), dtype=table.dtype)
    reaching[inside] = here
    codes = reaching[:size]
    # What lies outside is equal to nothing.
    own = np.where(codes != 0, codes, table.dtype.type(width))
    equal = np.empty((len(steps), size), dtype=bool)
    pairs = np.empty((len(steps), width, width), dtype=np.int64)
    first = here.astype(np.min_scalar_type(width * width))
    first *= width
    for row, counted, step in zip(equal, pairs, steps, strict=True):
        np.equal(own, reaching[step : step + size], out=row)
        key = first + reaching[step:].take(inside)
        counted[...] = np.bincount(key, minlength=counted.size).reshape(counted.shape)
    pairs = pairs[:, 1:, 1:]
    if not pairs.any(axis=(1, 2)).all():
        return None
    return Texture(
        present=present,
        shape=shape,
        codes=codes,
        inside=inside,
        here=here,
        voxels=np.bincount(here, minlength=count + 1)[1:],
        angles=angles,
        steps=steps,
        equal=equal,
        pairs=pairs,
    )


def runs(found: Texture) -> Counts:
    """Runs of one level by length (from 1) and direction, shape (level, length, direction)."""
    directions, size = found.equal.shape
    width = len(found.present) + 1
    starts, keys = [], []
    begins = np.empty(size, dtype=bool)
    for number, (same, step) in enumerate(zip(found.equal, found.steps, strict=True)):
        begins[:step] = same[:step]
        # Equal to the next, but not to the one before.
        np.greater(same[step:], same[:-step], out=begins[step:])
        start = np.flatnonzero(begins)
        keys.append(found.codes.take(start) + np.intp(number * width))
        starts.append(start + number * size)
    at, key = np.concatenate(starts), np.concatenate(keys)
    ahead = np.repeat(found.steps, [len(each) for each in starts])
    flat = found.equal.reshape(-1)
    # Each pair of equal neighbours makes one run of two.
    longer = [found.voxels - np.diagonal(found.pairs, axis1=1, axis2=2)]
    while len(at):
        longer.append(np.bincount(key, minlength=directions * width).reshape(directions, -1)[:, 1:])
        at += ahead
        further = np.flatnonzero(flat.take(at))
        at, ahead, key = at.take(further), ahead.take(further), key.take(further)
    ended = np.array([*longer, np.zeros_like(longer[0])])
    exact: Counts = (ended[:-1] - ended[1:]).transpose(2, 0, 1)
    return exact


def dependences(found: Texture) -> Counts:
    """Voxels of a level by how many of their neighbours have it, from none on, shape (level, neighbours)."""
    size = found.codes.size
    alike = np.zeros(size, dtype=np.uint8)
    for same, step in zip(found.equal.view(np.uint8), found.steps, strict=True):
        alike += same
        alike[step:] += same[: size - step]
    width = 2 * len(found.steps) + 1
    key = found.here.astype(np.intp) * width + alike.take(found.inside)
    counted: Counts = np.bincount(key, minlength=(len(found.present) + 1) * width).reshape(-1, width)[1:]
    return counted


def differences(found: Texture) -> NDArray[np.float64]:
    """Sum of what voxels of a level differ by from the mean of their neighbours, shape (level,)."""
    # The sum over 27 voxels is the greatest number.
    kind = np.min_scalar_type(-27 * int(found.present[-1]))
    own = found.present.astype(kind).take(found.here - 1)
    levels = np.zeros(found.codes.size, dtype=kind)
    levels[found.inside] = own
    total = _around(levels.reshape(found.shape)).take(found.inside) - own
    voxels = _around((found.codes != 0).view(np.uint8).reshape(found.shape)).take(found.inside) - 1
    apart = np.abs(own - total / np.maximum(voxels, 1))
    apart[voxels == 0] = 0
    # Added in the order of the voxels, as pyradiomics does.
    return np.bincount(found.here, weights=apart, minlength=len(found.present) + 1)[1:].astype(np.float64)


def sizes_of_zones(found: Texture) -> tuple[NDArray[np.int64], Counts]:
    """The sizes of zones of one level that occur, ascending, and how many zones have each, shape (level, size)."""
    size, code = zones(found.codes, found.inside, dict(zip(found.angles, found.equal, strict=True)), found.shape)
    sizes, place = np.unique(size, return_inverse=True)
    key = code.astype(np.intp) * len(sizes) + place
    counted = np.bincount(key, minlength=(len(found.present) + 1) * len(sizes)).reshape(-1, len(sizes))
    return sizes, counted[1:]


def _around(block: NDArray[Any]) -> NDArray[Any]:
    """The sum over a voxel and its 26 neighbours."""
    for axis in range(3):
        along = np.moveaxis(block, axis, 0)
        found = block.copy()
        other = np.moveaxis(found, axis, 0)
        other[1:] += along[:-1]
        other[:-1] += along[1:]
        block = found
    return block
