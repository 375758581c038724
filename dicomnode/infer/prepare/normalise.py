"""Steps that normalise with statistics of the image: percentiles, z-score, lowest and highest value."""

from __future__ import annotations

import numpy as np

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.body import set_outside
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.intensity import UNIT_RANGE, scale
from dicomnode.infer.prepare.statistics import Pair, mean_and_deviation, percentiles_of, spread


def clip_percentiles(image: Image, *, percentiles: Pair, over: str = "whole", outside: float | None = None) -> Image:
    """Limit the values to percentiles of those that count.

    Here and below: what does not count is treated alike, or gets the value `outside` if that is given.
    """
    image = _remembering(image, over, outside)
    low, high = percentiles_of(image, over, percentiles).astype(np.float32)
    return _blanked(image.mapped(lambda part: np.clip(part, low, high)), over, outside)


def zscore(
    image: Image,
    *,
    over: str = "whole",
    mean: float | None = None,
    deviation: float | None = None,
    outside: float | None = None,
) -> Image:
    """Subtract the mean and divide by the standard deviation: those given, or those of the values that count.

    Raises
    ------
    Unsuitable
        If the values that count are all the same.
    """
    image = _remembering(image, over, outside)
    if mean is None or deviation is None:
        mean, deviation = mean_and_deviation(image, over)
    if not deviation > 0:
        raise Unsuitable(f"zscore: every value is {mean:g}, needed an image that is not constant")
    middle, width = np.float32(mean), np.float32(deviation)
    return _blanked(image.mapped(lambda part: (part - middle) / width), over, outside)


def minmax(
    image: Image,
    *,
    over: str = "whole",
    to: Pair = UNIT_RANGE,
    percentiles: Pair | None = None,
    outside: float | None = None,
) -> Image:
    """Map lowest and highest value, or two percentiles, linearly to a range; what lies beyond them goes beyond it.

    Raises
    ------
    Unsuitable
        If both are the same.
    """
    image = _remembering(image, over, outside)
    if percentiles is None:
        ends = spread(image, over, "minmax")
    else:
        low, high = percentiles_of(image, over, percentiles)
        if not low < high:
            raise Unsuitable(f"minmax: both percentiles are {low:g}, needed an image whose percentiles differ")
        ends = (float(low), float(high))
    return _blanked(scale(image, range=ends, to=to), over, outside)


def _remembering(image: Image, over: str, outside: float | None) -> Image:
    """The image with its mask as it is before values change."""
    return image if outside is None or over == "whole" else image.with_mask(over, image.mask(over))


def _blanked(image: Image, over: str, outside: float | None) -> Image:
    return image if outside is None or over == "whole" else set_outside(image, over=over, value=outside)
