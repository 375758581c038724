"""Steps that normalise with statistics of the image: percentiles, z-score, lowest and highest value."""

from __future__ import annotations

import numpy as np

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.intensity import UNIT_RANGE, scale
from dicomnode.infer.prepare.statistics import Pair, mean_and_deviation, percentiles_of, spread


def clip_percentiles(image: Image, *, percentiles: Pair, over: str = "whole") -> Image:
    """Limit the values to percentiles of those that count."""
    low, high = percentiles_of(image, over, percentiles).astype(np.float32)
    return image.mapped(lambda part: np.clip(part, low, high))


def zscore(image: Image, *, over: str = "whole", mean: float | None = None, deviation: float | None = None) -> Image:
    """Subtract the mean and divide by the standard deviation: those given, or those of the values that count.

    Raises
    ------
    Unsuitable
        If the values that count are all the same.
    """
    if mean is None or deviation is None:
        mean, deviation = mean_and_deviation(image, over)
    if not deviation > 0:
        raise Unsuitable(f"zscore: every value is {mean:g}, needed an image that is not constant")
    middle, width = np.float32(mean), np.float32(deviation)
    return image.mapped(lambda part: (part - middle) / width)


def minmax(image: Image, *, over: str = "whole", to: Pair = UNIT_RANGE) -> Image:
    """Map lowest and highest value linearly to a range; values outside the mask go beyond it."""
    return scale(image, range=spread(image, over, "minmax"), to=to)
