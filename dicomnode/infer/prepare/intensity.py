"""Steps that map every value on its own: limits, windows, ranges, powers, logarithms, bins and fillings."""

from __future__ import annotations

import numpy as np

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Floats, Image
from dicomnode.infer.prepare.statistics import extremes, spread

Pair = tuple[float, float]
UNIT_RANGE = (0.0, 1.0)


def clip(image: Image, *, range: Pair) -> Image:
    """Limit the values."""
    low, high = np.float32(range[0]), np.float32(range[1])
    return image.mapped(lambda part: np.clip(part, low, high))


def scale(image: Image, *, range: Pair, to: Pair = UNIT_RANGE) -> Image:
    """Map one range linearly to another; values beyond it go beyond the other."""
    low, width = np.float32(range[0]), np.float32(range[1] - range[0])
    first, spread = np.float32(to[0]), np.float32(to[1] - to[0])
    if to == UNIT_RANGE:
        return image.mapped(lambda part: (part - low) / width)
    return image.mapped(lambda part: (part - low) / width * spread + first)


def window(image: Image, *, centre: float, width: float, to: Pair = UNIT_RANGE) -> Image:
    """Map the window linearly and limit what lies beyond it (LINEAR_EXACT, PS3.3 C.11.2.1.3.2)."""
    low = centre - width / 2
    return clip(scale(image, range=(low, low + width), to=to), range=to)


def gamma(image: Image, *, exponent: float, over: str = "whole") -> Image:
    """Raise values, seen as fractions of their range, to a power; the range stays."""
    low, high = spread(image, over, "gamma")
    width = np.float32(high - low)
    power = np.float32(exponent)
    return image.mapped(lambda part: np.clip((part - np.float32(low)) / width, 0, 1) ** power * width + np.float32(low))


def log(image: Image, *, offset: float = 0.0) -> Image:
    """The natural logarithm of value + offset.

    Raises
    ------
    Unsuitable
        If that is not positive everywhere.
    """
    lowest, _ = extremes(image, "whole")
    if lowest + offset <= 0:
        raise Unsuitable(f"logarithm: lowest value {lowest:g} with offset {offset:g}, needed a sum above 0")
    return image.mapped(lambda part: np.log(part + np.float32(offset)))


def bins(image: Image, *, count: int | None = None, width: float | None = None, range: Pair | None = None) -> Image:
    """Numbers from 0 of bins of equal width; what lies beyond the range falls into the outermost bins.

    Parameters
    ----------
    count, width
        How many bins, or how wide they are: exactly one is given (fixed bin number and fixed bin size, IBSI 2.7,
        there counted from 1).
    range
        Lower edge of the first and upper edge of the last bin; the image's own extremes where it is None.
    """
    low, high = spread(image, "whole", "bins") if range is None else range
    size = (high - low) / count if count is not None else float(width or 1)
    last = np.float32(count - 1 if count is not None else max(np.ceil((high - low) / size) - 1, 0))

    def numbers(part: Floats) -> Floats:
        found: Floats = np.floor((part - np.float32(low)) / np.float32(size))
        return np.clip(found, np.float32(0), last, out=found)

    return image.mapped(numbers)


def fill(image: Image, *, value: float, below: float | None = None) -> Image:
    """Give a value to what is not a finite number, or lies below a limit as padding does."""
    limit = -np.inf if below is None else below

    def filled(part: Floats) -> Floats:
        return np.where(np.isfinite(part) & (part >= np.float32(limit)), part, np.float32(value))

    return image.mapped(filled)
