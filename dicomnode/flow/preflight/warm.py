"""Runs the network of a model once, on a tile of nothing, to see that it runs and how long that takes."""

from __future__ import annotations

import time

import numpy as np

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.session import Sessions


def warmed(spec: ModelSpec, sessions: Sessions) -> str:
    """How long one tile takes, in words; a model that takes numbers beside images, or instead of them, is only loaded.

    The first run reserves memory and, on a card, chooses its kernels; the second is what every further tile takes.

    Raises
    ------
    Unsuitable, ModelError
        If the network does not run.
    """
    if spec.signature is not None or spec.features:
        return "loaded"
    ensemble = Ensemble(spec, sessions)
    tile = np.zeros((1, spec.channels, *spec.tile.shape), dtype=np.float32)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        ensemble.run(spec.weights[0], tile)
        seconds.append(time.perf_counter() - began)
    told = f"one tile in {seconds[1]:.2f} s (the first in {seconds[0]:.2f} s)"
    return "; ".join([told, *ensemble.warnings])
