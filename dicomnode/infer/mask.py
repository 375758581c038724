"""Segments volumes: preparation, tiles, network, back to the source grid, one label per voxel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.infer.maps import Maps
from dicomnode.infer.network.activation import (
    CERTAIN_LOGIT,
    LOGITS,
    NONE,
    PROBABILITIES,
    SOFTMAX,
    Floats,
    activated,
)
from dicomnode.infer.network.blend import predict
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.fit import label_count
from dicomnode.infer.network.plan import Halves, room_for, sums_for
from dicomnode.infer.network.tiles import cut
from dicomnode.infer.pool import require_body
from dicomnode.infer.post.decide import decide, decision_of
from dicomnode.infer.prepare.grid import Box
from dicomnode.infer.prepare.pipeline import prepare
from dicomnode.infer.prepare.prepared import SLAB

Progress = Callable[[int, int], None]

#: Probabilities on the source grid in hand at a time, float32; one slice is the least. Three channels of 16 slices of
#: 512 × 512 take 48 MiB.
SLAB_BYTES = 256 * 1024**2


def mask(
    volumes: Sequence[Volume],
    ensemble: Ensemble,
    box: Box | None = None,
    progress: Progress | None = None,
    maps: Maps | None = None,
    labels: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.uint8]:
    """Labels on the grid of the first volume, (slice, row, column), before the steps that tidy them.

    Parameters
    ----------
    volumes
        In the order of the model's inputs.
    box
        Where to look, half-open ranges of indices of the first volume.
    progress
        Told (tiles done, tiles in all).
    maps
        Takes the probabilities, too, where somebody wants them.
    labels
        Of a coarse model, as for `prepare`.

    Raises
    ------
    Unsuitable
        If preparation cannot be done on these values, or no tile holds body.
    ModelError
        If the network fails, or memory and disk are too small for its answer.
    """
    spec = ensemble.spec
    prepared = prepare(volumes, spec, box, labels)
    blended, background = probabilities(prepared.array, ensemble, progress)
    # What the network saw is as large as two volumes and of no more use.
    prepared = replace(prepared, array=np.empty((0, 0, 0, 0), dtype=np.float32))
    step = decision_of(spec.post, label_count(spec), background)
    decided = np.zeros(prepared.source.shape, dtype=np.uint8)
    logits = spec.network.blend == LOGITS
    if logits and spec.network.back == PROBABILITIES:
        _activate(blended, spec.activation, background)
        logits = False
    # Without a channel for the background it is what the labels leave.
    exclusive = (spec.activation == SOFTMAX and not logits) or not background
    for part, found in prepared.on_source(
        blended,
        slab=slab_of(blended, prepared.source.shape),
        exclusive=exclusive,
        outside=(-CERTAIN_LOGIT, CERTAIN_LOGIT) if logits else (0.0, 1.0),
        apart=prepared.apart(spec.network),
    ):
        # The greatest logit is that of the greatest probability.
        if logits and (maps is not None or step.name != "argmax"):
            activated(found[None], spec.activation)
        if maps is not None:
            # Deciding writes over them.
            maps.take(part, found)
        decide(found, step, decided[part])
    return decided


def _activate(blended: Halves, activation: str, background: bool) -> None:
    """Turn logits into probabilities in place, a slice at a time."""
    channels = blended if background else blended[1:]
    for index in range(blended.shape[1]):
        channels[:, index] = activated(channels[None, :, index].astype(np.float32), activation)[0]


def slab_of(blended: Halves, shape: tuple[int, ...]) -> int:
    """How many slices of the source, of this shape, come back at a time."""
    per_slice = len(blended) * shape[1] * shape[2] * np.dtype(np.float32).itemsize
    return max(1, min(SLAB, SLAB_BYTES // per_slice))


def probabilities(array: Floats, ensemble: Ensemble, progress: Progress | None = None) -> tuple[Halves, bool]:
    """Blended probabilities on the prepared grid, (channel, slice, row, column), and whether there is a background.

    Channel 0 is the background. It is left unwritten, and takes no memory, where the labels tell it (softmax) or the
    network has none.

    Parameters
    ----------
    array
        (input, slice, row, column).

    Raises
    ------
    Unsuitable
        If no tile holds body.
    """
    spec = ensemble.spec
    require_body(array, spec)
    labels = label_count(spec)
    background = ensemble.channels == labels + 1
    logits = spec.network.blend == LOGITS
    kept = labels + (background and (logits or spec.activation != SOFTMAX))
    blank = (CERTAIN_LOGIT, *(-CERTAIN_LOGIT,) * labels) if logits else (1.0, *(0.0,) * labels)
    blended = room_for(spec, labels + 1, kept, array.shape[1:], ensemble.scratch)
    predict(
        array,
        spec.tile,
        _Mean(ensemble),
        blended[labels + 1 - kept :],
        batch=ensemble.batch(lambda: cut(array, (0, 0, 0), spec.tile)),
        blank=blank if kept > labels else blank[1:],
        progress=progress,
        room=partial(sums_for, spec, ensemble.scratch),
    )
    return blended, background


class _Mean:
    """From batches of tiles to probabilities: the mean over folds and mirrors, without a background that is told."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble

    def __call__(self, batches: Iterable[Floats]) -> Iterator[Floats]:
        activation = self._ensemble.spec.activation
        if self._ensemble.spec.network.blend == LOGITS:
            activation = NONE
        total: Floats | None = None
        for reply in self._ensemble.stream(batches):
            found = activated(reply.values[0], activation)
            if activation == SOFTMAX:
                found = found[:, 1:]
            if reply.flips:
                found = np.flip(found, reply.flips)
            if total is None:
                total = found
            else:
                total += found
            if reply.last:
                if self._ensemble.replies > 1:
                    total /= self._ensemble.replies
                yield total
                total = None
