"""Runs a segmentation model on a series: prepare, tiles, network, back to the source grid, tidy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.finding import Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.session import Sessions, run
from dicomnode.infer.network.tiles import predict
from dicomnode.infer.post.tidy import tidy
from dicomnode.infer.prepare.pipeline import prepare

Floats = npt.NDArray[np.float32]

SOFTMAX = "softmax"


def segment(
    source: SourceSeries,
    spec: ModelSpec,
    sessions: Sessions,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Segmentation:
    """Segment a series.

    Parameters
    ----------
    source
        The series; `quality.check` says whether it suits the model.
    progress
        Told (tiles done, tiles in all).

    Returns
    -------
    Segmentation
        uint8 on the grid of the source, whatever its orientation.

    Raises
    ------
    ModelError
        If the network is not the declared one or fails.
    """
    session = sessions.get(spec)
    prepared = prepare(source.volume, spec.prepare)
    probabilities = predict(
        prepared.array, spec.tile, partial(_probabilities, session, spec), len(spec.segments) + 1, progress
    )
    labels = prepared.labels_on_source(probabilities, exclusive=spec.activation == SOFTMAX)
    tidy(labels, spec.post)
    return Segmentation(volume=source.volume.with_array(labels), segments=spec.segments)


def _probabilities(session: Any, spec: ModelSpec, tiles: Floats) -> Floats:
    logits: Floats = run(session, spec, tiles).astype(np.float32, copy=False)
    return softmax(logits) if spec.activation == SOFTMAX else sigmoid(logits)


def softmax(logits: Floats) -> Floats:
    """Probabilities that add up to one over channels, axis 1."""
    probabilities: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def sigmoid(logits: Floats) -> Floats:
    """A probability for every channel on its own."""
    # By way of tanh, which cannot overflow.
    probabilities: Floats = 0.5 * (1 + np.tanh(0.5 * logits))
    return probabilities
