"""The random source of a phantom: every anatomical number is drawn here, around a textbook value."""

from __future__ import annotations

import zlib

import numpy as np


class Draw:
    """Random numbers around textbook values; `variety` 0 gives the textbook, 1 the full spread.

    Parameters
    ----------
    seed : int
        Seed of the phantom.
    name : str
        Name of the part drawn (``"chest"``, ``"vessels"``); each part has a stream of its own, so that a change in one
        part leaves the others as they were.
    variety : float
        Scale of the spread and of the probability of whatever is not in a healthy textbook thorax, 0 to 1.
    """

    def __init__(self, seed: int, name: str, variety: float = 1.0) -> None:
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self.variety = variety

    def around(self, middle: float, spread: float) -> float:
        """Uniform in ``middle ± spread``, the spread scaled by the variety."""
        return middle + self.variety * spread * float(self.rng.uniform(-1.0, 1.0))

    def between(self, low: float, high: float) -> float:
        """Uniform in ``[low, high]`` whatever the variety."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with this probability, scaled by the variety."""
        return bool(self.rng.random() < probability * self.variety)
