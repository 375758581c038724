"""Blends what a network says about overlapping tiles into one volume, with few slices in hand at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.model import TileSpec
from dicomnode.infer.network.tiles import (
    EVEN,
    LEAST_WEIGHT,
    MONAI,
    Floats,
    Places,
    Start,
    bell,
    cut,
    holds_body,
    lead,
    places,
)

#: Below the least normal float16 a conversion takes 60 ns a voxel instead of 2 ns; so small a probability is none.
LEAST_HALF = np.finfo(np.float16).smallest_normal

#: Gives zeros of a shape.
Room = Callable[[tuple[int, ...]], Floats]

#: From a stream of tiles (batch, channel, slice, row, column) to a stream of probabilities in the same order.
Run = Callable[[Iterable[Floats]], Iterator[Floats]]


def predict(
    volume: Floats,
    tile: TileSpec,
    run: Run,
    out: npt.NDArray[Any],
    *,
    batch: int = 1,
    blank: tuple[float, ...] = (),
    progress: Callable[[int, int], None] | None = None,
    room: Room = lambda shape: np.zeros(shape, dtype=np.float32),
) -> npt.NDArray[Any]:
    """Apply a network to a volume of any size.

    Tiles form a product of positions per axis and their weights are products too, so that the sum of weights is an
    outer product of three vectors and needs no volume of its own. They come in the order of slices: slices that no
    later tile touches are done and leave memory for `out`.

    Parameters
    ----------
    volume
        (input, slice, row, column).
    run
        Gives as many channels as `out` has.
    out
        (channel, slice, row, column) on the grid of `volume`, of any float type; is written.
    batch
        Tiles at a time.
    blank
        Probabilities of every channel where tiles are skipped because they hold no body; zeros when empty.
    progress
        Told (tiles done, tiles in all) after every batch.
    room
        Gives float32 zeros of the shape of one layer of tiles, (channel, slice of a tile, row, column).

    Returns
    -------
    ndarray
        `out`.
    """
    along = places(volume.shape[1:], tile)
    total = len(along[0]) * len(along[1]) * len(along[2])
    asked: deque[list[tuple[Start, bool]]] = deque()
    rolling = _Rolling(out, tile, along, blank, room)
    done = 0

    def batches() -> Iterator[Floats]:
        group: list[tuple[Start, bool]] = []
        tiles: list[Floats] = []
        for start in product(*along):
            worthwhile = holds_body(volume, start, tile)
            group.append((start, worthwhile))
            if worthwhile:
                tiles.append(cut(volume, start, tile))
            if len(tiles) == batch:
                asked.append(group)
                yield tiles[0][None] if batch == 1 else np.stack(tiles)
                group, tiles = [], []
        asked.append(group)
        if tiles:
            yield np.stack(tiles)

    for probabilities in run(batches()):
        answers = iter(probabilities)
        group = asked.popleft()
        for start, worthwhile in group:
            rolling.add(start, next(answers) if worthwhile else None)
        done += len(group)
        if progress is not None:
            progress(done, total)
    for start, _ in (pair for group in asked for pair in group):
        rolling.add(start, None)
        done += 1
    rolling.finish()
    if progress is not None and asked and asked[-1]:
        progress(done, total)
    return out


class _Rolling:
    """Sums of the slices that tiles still come for; finished slices go to `out`."""

    def __init__(
        self, out: npt.NDArray[Any], tile: TileSpec, along: Places, blank: tuple[float, ...], room: Room
    ) -> None:
        self._out = out
        channels, self._slices, rows, columns = out.shape
        self._extent = tuple(
            min(length, size) for length, size in zip(tile.shape, (self._slices, rows, columns), strict=True)
        )
        self._lead = [
            lead(length, size, tile.manner)
            for length, size in zip((self._slices, rows, columns), tile.shape, strict=True)
        ]
        self._even = all(len(begins) == 1 for begins in along)
        # A limit on products of weights leaves no product of sums: they are added up beside the tiles.
        limited = tile.manner == MONAI and tile.weights != EVEN and not self._even
        # Weights cancel along an axis of one tile.
        curves = [
            (
                bell(size, tile.manner)
                if tile.weights != EVEN and (limited or len(begins) > 1)
                else np.ones(size, dtype=np.float32)
            )[before : before + extent]
            for size, begins, before, extent in zip(tile.shape, along, self._lead, self._extent, strict=True)
        ]
        self._weight = curves[0][:, None, None] * curves[1][:, None] * curves[2]
        self._weights: Floats | None = None
        if limited:
            np.maximum(self._weight, LEAST_WEIGHT, out=self._weight)
            self._weights = room((1, self._extent[0], rows, columns))
        sums = [
            _sum_of(curve, begins, length)
            for curve, begins, length in zip(curves, along, (self._slices, rows, columns), strict=True)
        ]
        self._per_slice = 1 / sums[0]
        self._per_pixel = 1 / (sums[1][:, None] * sums[2])
        self._sum = room((channels, self._extent[0], rows, columns))
        self._first = 0
        self._blank = np.array(blank, dtype=np.float32).reshape(-1, 1, 1, 1) if any(blank) else None

    def add(self, start: Start, probabilities: Floats | None) -> None:
        """Take the answer for one tile, (channel, slice, row, column), or that there is none; overwrites it."""
        if start[0] > self._first:
            self._flush(start[0])
        _, depth, height, width = (0, *self._extent)
        target = self._sum[:, :, start[1] : start[1] + height, start[2] : start[2] + width]
        if self._weights is not None:
            self._weights[0, :, start[1] : start[1] + height, start[2] : start[2] + width] += self._weight
        if probabilities is None:
            if self._blank is not None:
                target += self._blank * self._weight
            return
        first, row, column = self._lead
        part = probabilities[:, first : first + depth, row : row + height, column : column + width]
        if not self._even:
            part *= self._weight
        target += part

    def finish(self) -> None:
        """Hand over what is left."""
        self._flush(self._slices)

    def _flush(self, end: int) -> None:
        """Hand over the slices before `end` and move the rest to the front."""
        depth = self._extent[0]
        leaving = min(end - self._first, depth)
        for place in range(leaving):
            index = self._first + place
            finished = self._sum[:, place]
            if self._weights is None:
                finished *= self._per_pixel * self._per_slice[index]
            else:
                finished /= self._weights[:, place]
            if self._out.dtype == np.float16:
                finished *= np.abs(finished) >= LEAST_HALF
            self._out[:, index] = finished
        # Slice by slice, because numpy would copy the whole for an overlapping move.
        for place in range(depth - leaving):
            for sums in (self._sum, self._weights):
                if sums is not None:
                    sums[:, place] = sums[:, place + leaving]
        for sums in (self._sum, self._weights):
            if sums is not None:
                sums[:, depth - leaving :] = 0
        self._first = end


def _sum_of(curve: Floats, begins: tuple[int, ...], length: int) -> Floats:
    """What the weights of all tiles along one axis add up to."""
    total = np.zeros(length, dtype=np.float32)
    for begin in begins:
        total[begin : begin + len(curve)] += curve
    return total
