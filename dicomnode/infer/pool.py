"""One vector for a whole volume: what the network says about its tiles, summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.activation import Floats, activated
from dicomnode.infer.network.ensemble import Ensemble
from dicomnode.infer.network.tiles import Start, cut, holds_body, places


def worthwhile(array: Floats, ensemble: Ensemble) -> list[Start]:
    """Where the tiles lie that hold body.

    Parameters
    ----------
    array
        (input, slice, row, column).

    Raises
    ------
    Unsuitable
        If there is none.
    """
    spec = ensemble.spec
    require_body(array, spec)
    return [start for start in product(*places(array.shape[1:], spec.tile)) if holds_body(array, start, spec.tile)]


def require_body(array: Floats, spec: ModelSpec) -> None:
    """Refuse a volume of which no tile would be run; together, tiles cover all of it.

    Raises
    ------
    Unsuitable
        If no value of the first input exceeds `skip_below`: what no network looked at is not free of findings.
    """
    limit = spec.tile.skip_below
    if limit is not None and not array[0].max() > limit:
        raise Unsuitable(
            f"model {spec.name}: {spec.input.name} has no prepared value above {limit:g}, needed some of a body "
            f"(the highest is {array[0].max():.4g})"
        )


def pooled(array: Floats, ensemble: Ensemble, progress: Callable[[int, int], None] | None = None) -> Floats:
    """The network's answer, (channel,): folds and mirrors averaged, then the mean or the maximum over tiles.

    A volume of the size of a tile is one tile.

    Parameters
    ----------
    array
        (input, slice, row, column).
    progress
        Told (tiles done, tiles in all).
    """
    spec = ensemble.spec
    starts = worthwhile(array, ensemble)
    size = ensemble.batch(lambda: cut(array, starts[0], spec.tile))

    def batches() -> Iterator[Floats]:
        for first in range(0, len(starts), size):
            yield np.stack([cut(array, start, spec.tile) for start in starts[first : first + size]])

    vectors: list[Floats] = []
    total: Floats | None = None
    for reply in ensemble.stream(batches()):
        found = activated(reply.values[0], spec.activation)
        total = found if total is None else total + found
        if reply.last:
            vectors.extend(total / ensemble.replies)
            total = None
            if progress is not None:
                progress(len(vectors), len(starts))
    table = np.stack(vectors)
    whole: Floats = table.max(axis=0) if spec.network.aggregate == "max" else table.mean(axis=0)
    return whole
