"""Segments a single series, for callers that want nothing but the mask."""

from __future__ import annotations

from collections.abc import Callable

from dicomnode.domain.finding import Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.answer import answer
from dicomnode.infer.network.session import Sessions


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
        The series; `quality.gate` says whether it suits the model.
    progress
        Told (tiles done, tiles in all).

    Returns
    -------
    Segmentation
        uint8 on the grid of the source, whatever its orientation.

    Raises
    ------
    Unsuitable
        If the series cannot be prepared.
    ModelError
        If the network is not the declared one or fails.
    """
    return answer([source], spec, sessions, progress=progress).segmentation
