"""Steps that change how often values occur: matching to a reference, and equalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Floats, Image
from dicomnode.infer.prepare.statistics import percentiles_of, spread, values


def match_histogram(
    image: Image, *, percentiles: Sequence[float], reference: Sequence[float], over: str = "whole"
) -> Image:
    """Map percentiles of the image to those of a reference, linearly in between and, with the end pieces, beyond.

    The landmarks of Nyúl and Udupa (1999, Magn. Reson. Med. 42:1072); with many percentiles the histogram itself.

    Parameters
    ----------
    percentiles, reference
        Percents, rising, and the values that the reference has there.
    over
        Which values count.

    Raises
    ------
    Unsuitable
        If the image has one value at all landmarks.
    """
    own = percentiles_of(image, over, percentiles)
    places = np.unique(own)
    if len(places) < 2:
        raise Unsuitable(f"histogram matching: every landmark is {places[0]:g}, needed an image that is not constant")
    # Landmarks that fall together, as in a large background, go to the middle of what they stand for.
    targets = np.array([np.mean(np.asarray(reference)[own == place]) for place in places])
    return image.mapped(lambda part: _piecewise(part, places, targets))


def _piecewise(part: Floats, places: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> Floats:
    mapped = np.interp(part, places, targets)
    slopes = np.diff(targets) / np.diff(places)
    mapped += np.minimum(part - places[0], 0) * slopes[0]
    mapped += np.maximum(part - places[-1], 0) * slopes[-1]
    result: Floats = mapped.astype(np.float32)
    return result


def equalise(image: Image, *, bins: int = 256, over: str = "whole") -> Image:
    """Map every value to the share of values that count and are not above it, 0..1, linearly between bins."""
    low, high = spread(image, over, "equalise")
    edges = np.linspace(low, high, bins + 1)
    counts = sum(np.histogram(part, edges)[0] for part in values(image, over))
    share = np.concatenate([[0], np.cumsum(counts)]) / np.sum(counts)
    return image.mapped(lambda part: np.interp(part, edges, share))
