"""The step that equalises within a moving square, by interpolation between squares that touch every cell of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dicomnode.infer.prepare.image import Floats, Image
from dicomnode.infer.prepare.interpolate import slabs
from dicomnode.infer.prepare.statistics import spread

#: Values are told apart at so many levels over the range of the image, as many as 16 bits have.
LEVELS = 1 << 16

#: Levels are joined to so many bins that hold as many voxels of the image each: the order of values is all that
#: equalising depends on. A rank is right to one part in twice this where values are spread like the image's.
BINS = 256


def equalise_locally(image: Image, *, radius: int, strength: float = 1.0) -> Image:
    """Give every voxel its rank among those of a square round it in its slice, 0..1; equal values have the middle rank.

    Ranks are taken in squares round the corners of cells of a slice, and interpolated linearly between the four at the
    corners of a voxel's cell: the interpolated adaptive equalisation of Pizer 1987 (Comput. Vision Graph. Image
    Process. 39:355).

    Parameters
    ----------
    radius
        How far the square reaches, in voxels; as long as a cell at most.
    strength
        From 0, which leaves the image as it is but for its range of 0..1, to 1, which equalises fully; linearly.
    """
    low, high = spread(image, "whole", "equalise_locally")
    factor = np.float32((LEVELS - 1) / (high - low))
    binned = _bins_of_levels(image, low, factor)
    cells = [_Cells.of(size, radius) for size in image.grid.shape[1:]]
    result = image.array if image.owned and image.array.dtype == np.float32 else np.empty(image.array.shape, np.float32)
    for number, slice_ in enumerate(image.array):
        levels = _levels(slice_, low, factor)
        ranks = _ranks(binned[levels], cells[0], cells[1])
        scaled = (slice_.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        result[number] = scaled + np.float32(strength) * (ranks - scaled)
    return image.holding(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """How an axis is divided into cells of the same length.

    Attributes
    ----------
    count
        Of cells.
    first
        Number of the first voxel of every cell, and one past the last voxel.
    of_voxel
        The cell of every voxel.
    place
        Where a voxel lies in its cell, from 0 to 1.
    """

    count: int
    first: npt.NDArray[np.intp]
    of_voxel: npt.NDArray[np.intp]
    place: Floats

    @classmethod
    def of(cls, size: int, longest: int) -> _Cells:
        count = -(-size // longest)
        places = (np.arange(size) + 0.5) * count / size
        of_voxel = np.floor(places).astype(np.intp)
        first = np.searchsorted(of_voxel, np.arange(count + 1))
        return cls(count=count, first=first, of_voxel=of_voxel, place=(places - of_voxel).astype(np.float32))


def _levels(part: npt.NDArray[np.generic], low: float, factor: np.float32) -> npt.NDArray[np.int32]:
    return ((part.astype(np.float32) - np.float32(low)) * factor).astype(np.int32)


def _bins_of_levels(image: Image, low: float, factor: np.float32) -> npt.NDArray[np.int32]:
    """The bin of every level."""
    counts = np.zeros(LEVELS, dtype=np.int64)
    for part in slabs(image.grid.shape):
        counts += np.bincount(_levels(image.array[part], low, factor).ravel(), minlength=LEVELS)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    found: npt.NDArray[np.int32] = (middle * BINS).astype(np.int32)
    return found


def _ranks(bins: npt.NDArray[np.int32], rows: _Cells, columns: _Cells) -> Floats:
    """Ranks of a slice, 0..1, (row, column)."""
    result = np.empty(bins.shape, dtype=np.float32)
    offset = (columns.of_voxel * BINS).astype(np.int32)
    left, right = (1 - columns.place), columns.place
    counts = _counts(bins[: rows.first[1]], offset, columns.count)
    above = _ranks_of_bins(counts)
    for cell, (begin, end) in enumerate(pairwise(rows.first)):
        # Below the last row of cells there is none, and no count.
        beneath = _counts(bins[end : rows.first[min(cell + 2, rows.count)]], offset, columns.count)
        below = _ranks_of_bins(counts + beneath)
        at = bins[begin:end] + offset
        down = rows.place[begin:end, np.newaxis]
        upper = above[at] * left + above[at + BINS] * right
        lower = below[at] * left + below[at + BINS] * right
        result[begin:end] = upper + (lower - upper) * down
        above, counts = below, beneath
    return result


def _counts(bins: npt.NDArray[np.int32], offset: npt.NDArray[np.int32], cells: int) -> Floats:
    """How many voxels of a row of cells, and of the cell beside it, have each bin, (corner, bin)."""
    own = np.bincount((bins + offset).ravel(), minlength=cells * BINS).reshape(cells, BINS)
    found = np.zeros((cells + 1, BINS), dtype=np.float32)
    found[:-1] += own
    found[1:] += own
    return found


def _ranks_of_bins(counts: Floats) -> Floats:
    """The middle rank of every bin at every corner, 0..1, one corner after the other."""
    up_to = np.cumsum(counts, axis=1)
    found: Floats = ((up_to - counts / 2) / up_to[:, -1:]).ravel().astype(np.float32, copy=False)
    return found
