"""Numbers about the values of an image or of a part of it, taken with little memory beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.interpolate import slabs

Pair = tuple[float, float]


def values(image: Image, over: str) -> Iterator[npt.NDArray[Any]]:
    """The values that count, one-dimensional, a few slices at a time.

    Parameters
    ----------
    over
        `whole`, `foreground` (see `Image.mask`), or the name of a mask that an earlier step found.

    Raises
    ------
    Unsuitable
        If no value counts.
    """
    found = False
    mask = None if over == "whole" else image.mask(over)
    for part in slabs(image.grid.shape):
        array = image.array[part]
        chosen = array.reshape(-1) if mask is None else array[mask[part]]
        if chosen.size:
            found = True
            yield chosen
    if not found:
        raise Unsuitable(f"no voxel is {over}, needed some to take statistics of")


def extremes(image: Image, over: str) -> Pair:
    """Lowest and highest value.

    Raises
    ------
    Unsuitable
        If one is not a number: nothing that is measured by them would be.
    """
    ends = np.array([(part.min(), part.max()) for part in values(image, over)], dtype=np.float64)
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not np.isfinite([low, high]).all():
        raise Unsuitable(f"the image holds values from {low:g} to {high:g}, needed finite numbers: a step fill before")
    return low, high


def spread(image: Image, over: str, step: str) -> Pair:
    """Extremes that differ.

    Raises
    ------
    Unsuitable
        If the values that count are all the same; `step` is what cannot be done then.
    """
    low, high = extremes(image, over)
    if not low < high:
        raise Unsuitable(f"{step}: every value is {low:g}, needed an image that is not constant")
    return low, high


def mean_and_deviation(image: Image, over: str) -> Pair:
    """Mean and standard deviation (of the population: divided by n)."""
    count, total = 0, 0.0
    for part in values(image, over):
        count += part.size
        total += float(part.sum(dtype=np.float64))
    mean = total / count
    squares = 0.0
    for part in values(image, over):
        difference = part.astype(np.float64) - mean
        squares += float(difference @ difference)
    return mean, float(np.sqrt(squares / count))


def percentiles_of(image: Image, over: str, percents: Sequence[float]) -> npt.NDArray[np.float64]:
    """Percentiles, interpolated linearly between the ordered values, of which no copy is made.

    Values of 8 and 16 bits are counted. Others are taken as float32, whose bits are in the order of the values once
    those of negative ones are turned round: the upper halves of the bits are counted, then the lower halves of those
    whose upper half is that of a value asked for (a radix selection; Knuth, The Art of Computer Programming 5.2.5).
    """
    upper = np.zeros(1 << 16, dtype=np.int64)
    narrow = image.array.dtype.kind in "iu" and image.array.dtype.itemsize <= 2
    lowest = int(np.iinfo(image.array.dtype).min) if narrow else 0
    for part in values(image, over):
        upper += np.bincount(part.astype(np.int64) - lowest if narrow else _ordered(part) >> 16, minlength=1 << 16)
    up_to = np.cumsum(upper)
    place = np.asarray(percents, dtype=np.float64) / 100 * (up_to[-1] - 1)
    # The places below and above in the order, and what they hold.
    places = np.array([np.floor(place), np.ceil(place)])
    found = np.searchsorted(up_to, places, side="right")
    low, high = found + lowest if narrow else _selected(image, over, places, found, up_to - upper)
    result: npt.NDArray[np.float64] = low + (high - low) * (place - np.floor(place))
    return result


def _ordered(part: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """The bits of float32 such that their order as unsigned numbers is that of the values."""
    bits = part.astype(np.float32, copy=False).view(np.uint32)
    found: npt.NDArray[np.uint32] = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return found


def _selected(
    image: Image,
    over: str,
    places: npt.NDArray[np.float64],
    uppers: npt.NDArray[np.intp],
    before: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """The values at these places of the order, whose upper bits and the count of values before those are known."""
    wanted = np.unique(uppers)
    row = np.full(1 << 16, -1, dtype=np.int64)
    row[wanted] = np.arange(len(wanted))
    lower = np.zeros((len(wanted), 1 << 16), dtype=np.int64)
    for part in values(image, over):
        bits = _ordered(part)
        rows = row[bits >> 16]
        chosen = rows >= 0
        keys = rows[chosen] << 16 | (bits[chosen] & 0xFFFF)
        lower += np.bincount(keys, minlength=lower.size).reshape(lower.shape)
    up_to = np.cumsum(lower, axis=1)
    bits = np.empty(places.shape, dtype=np.uint32)
    for index, upper in np.ndenumerate(uppers):
        bits[index] = upper << 16 | np.searchsorted(up_to[row[upper]], places[index] - before[upper], side="right")
    turned: npt.NDArray[np.uint32] = np.where(bits >> 31, bits & np.uint32((1 << 31) - 1), ~bits)
    return turned.view(np.float32).astype(np.float64)
