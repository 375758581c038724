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
        `whole`, `foreground` (all that is not 0), or the name of a mask that an earlier step found.

    Raises
    ------
    Unsuitable
        If no value counts.
    """
    found = False
    mask = None if over in ("whole", "foreground") else image.mask(over)
    for part in slabs(image.grid.shape):
        array = image.array[part]
        chosen = array.reshape(-1) if over == "whole" else array[array != 0 if mask is None else mask[part]]
        if chosen.size:
            found = True
            yield chosen
    if not found:
        raise Unsuitable(f"no voxel is {over}, needed some to take statistics of")


def extremes(image: Image, over: str) -> Pair:
    """Lowest and highest value."""
    ends = [(part.min(), part.max()) for part in values(image, over)]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


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
    """Percentiles, interpolated linearly between the ordered values."""
    if image.array.dtype.kind in "iu" and image.array.dtype.itemsize <= 2:
        return _counted(image, over, percents)
    chosen = np.concatenate(list(values(image, over)))
    found: npt.NDArray[np.float64] = np.percentile(chosen, percents, overwrite_input=True).astype(np.float64)
    return found


def _counted(image: Image, over: str, percents: Sequence[float]) -> npt.NDArray[np.float64]:
    """The same of 8 and 16-bit integers, by counting, which needs no copy of them."""
    lowest = int(np.iinfo(image.array.dtype).min)
    counts = np.zeros(1 << (8 * image.array.dtype.itemsize), dtype=np.int64)
    for part in values(image, over):
        counts += np.bincount(part.astype(np.int64) - lowest, minlength=len(counts))
    up_to = np.cumsum(counts)
    place = np.asarray(percents, dtype=np.float64) / 100 * (up_to[-1] - 1)
    low = np.searchsorted(up_to, np.floor(place), side="right") + lowest
    high = np.searchsorted(up_to, np.ceil(place), side="right") + lowest
    found: npt.NDArray[np.float64] = low + (high - low) * (place - np.floor(place))
    return found
