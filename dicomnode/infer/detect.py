"""Finds things as boxes with scores: the boxes of all tiles, each thing once, in source voxels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from dicomnode.domain.finding import Detection
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.activation import Floats, activated
from dicomnode.infer.network.ensemble import Ensemble, Reply
from dicomnode.infer.network.tiles import Start, cut
from dicomnode.infer.pool import worthwhile
from dicomnode.infer.prepare.prepared import Prepared
from dicomnode.infer.suppress import MOST_BOXES, Points, best_of, joined


def detected(
    prepared: Prepared, ensemble: Ensemble, progress: Callable[[int, int], None] | None = None
) -> tuple[tuple[Detection, ...], tuple[str, ...]]:
    """What a detector finds, by falling score, and what was left out that a reader has to know.

    The network gives for one tile `boxes`, (n, 6) as (low slice, low row, low column, high slice, high row, high
    column) in voxels of the tile, edges included: a box round voxel i alone goes from i - 0.5 to i + 0.5. And
    `scores`, (n, labels), where softmax wants a background in front. A box counts once for every label whose score
    suffices. Folds and mirrors add their boxes to each other's. With tiles of one slice, boxes of consecutive slices
    that overlap in the plane are one thing.

    Raises
    ------
    Unsuitable
        If no tile holds body.
    ModelError
        If the network fails.
    """
    spec, array = ensemble.spec, prepared.array
    starts = worthwhile(array, ensemble)
    tables: list[Points] = []
    done = 0
    for reply in ensemble.stream(cut(array, start, spec.tile)[None] for start in starts):
        tables.append(_candidates(reply, starts[done], spec))
        done += reply.last
        if progress is not None and reply.last:
            progress(done, len(starts))
    table, overfull = best_of(np.concatenate(tables), spec.network.iou)
    if spec.tile.shape[0] == 1:
        table = joined(table, spec.network.iou)
    low, high = _on_source(prepared, table[:, 2:5], table[:, 5:8])
    segments = {segment.number: segment for segment in spec.segments}
    inside = (high > low).all(axis=1)
    warnings = tuple(
        f"{segments[label].label}: more than {MOST_BOXES} boxes, of which those of the highest scores were kept"
        for label in overfull
    )
    found = tuple(
        Detection(
            number=number,
            segment=segments[int(label)],
            # Six digits are what a network's float32 holds; more would print 0.9 as 0.899999976158142.
            score=float(f"{score:.6g}"),
            low=_corner(low[row]),
            high=_corner(high[row]),
        )
        for number, (row, (label, score)) in enumerate(
            ((row, table[row, :2]) for row in np.flatnonzero(inside)), start=1
        )
    )
    return found, warnings


def _candidates(reply: Reply, start: Start, spec: ModelSpec) -> Points:
    """Boxes of one tile in voxels of the prepared volume whose score suffices, as `best_of` takes them."""
    boxes, logits = reply.values
    scores: Floats = activated(logits, spec.activation)
    first = scores.shape[1] - len(spec.segments)
    corners = boxes.astype(np.float64).reshape(-1, 2, 3)
    for axis in (flip - 2 for flip in reply.flips):
        corners[:, :, axis] = spec.tile.shape[axis] - 1 - corners[:, ::-1, axis]
    corners += start
    rows, columns = np.nonzero(scores[:, first:] >= spec.network.score_at_least)
    best = scores[rows, first + columns]
    return np.concatenate([columns[:, None] + 1, best[:, None], corners[rows].reshape(-1, 6)], axis=1)


def _on_source(prepared: Prepared, low: Points, high: Points) -> tuple[Points, Points]:
    """The boxes round the eight corners of each box in voxels of the source, cut at its edges."""
    ends = np.stack([low, high])
    corners = np.stack(
        [np.stack([ends[s, :, 0], ends[r, :, 1], ends[c, :, 2]], axis=1) for s, r, c in product((0, 1), repeat=3)]
    )
    found = prepared.index_to_source(corners.reshape(-1, 3)).reshape(corners.shape)
    most = np.array(prepared.source.shape) - 0.5
    return np.clip(found.min(axis=0), -0.5, most), np.clip(found.max(axis=0), -0.5, most)


def _corner(point: Any) -> tuple[float, float, float]:
    slice_, row, column = (float(place) for place in point)
    return (slice_, row, column)
