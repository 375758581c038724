"""A sliding window over a volume, and the blending of what the network says about each tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product

import numpy as np
import numpy.typing as npt

from dicomnode.domain.model import TileSpec

Floats = npt.NDArray[np.float32]
Start = tuple[int, int, int]

#: Standard deviation of the Gaussian weight as a fraction of the tile (nnU-Net, Isensee et al. 2021, inference).
SIGMA_OF_TILE = 1 / 8


def starts(length: int, tile: int, overlap: float) -> tuple[int, ...]:
    """First indices of the tiles along one axis: spread evenly, the first and last flush with the ends.

    Parameters
    ----------
    length, tile
        In voxels, `length` ≥ `tile`.
    overlap
        Least overlap of neighbours as a fraction of the tile.
    """
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return tuple(round(place) for place in np.linspace(0, length - tile, count).tolist())


def bell(tile: int) -> Floats:
    """Gaussian weight along one axis of a tile, 1 in the middle, nowhere 0."""
    distance = (np.arange(tile) - (tile - 1) / 2) / (tile * SIGMA_OF_TILE)
    weight: Floats = np.exp(-(distance**2) / 2).astype(np.float32)
    return weight


def predict(
    volume: Floats,
    spec: TileSpec,
    run: Callable[[Floats], Floats],
    channels: int,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Apply a network to a volume of any size.

    A volume smaller than a tile is followed by zeros. Tiles form a product of positions per axis and their weights are
    products too, so that the sum of weights is an outer product of three vectors and needs no volume of its own.

    Parameters
    ----------
    volume
        (slice, row, column).
    run
        From tiles (batch, 1, slice, row, column) to probabilities (batch, channel, slice, row, column).
    channels
        How many channels `run` gives.
    progress
        Told (tiles done, tiles in all) after every batch.

    Returns
    -------
    ndarray of float32, (channel, slice, row, column)
        Probabilities on the grid of `volume`.
    """
    padded = _padded(volume, spec.shape)
    places = [starts(length, tile, spec.overlap) for length, tile in zip(padded.shape, spec.shape, strict=True)]
    bells = [bell(tile) for tile in spec.shape]
    weight = bells[0][:, None, None] * bells[1][:, None] * bells[2]
    blended = np.zeros((channels, *padded.shape), dtype=np.float32)
    total = len(places[0]) * len(places[1]) * len(places[2])
    done = 0
    for batch in _batches(product(places[0], places[1], places[2]), spec.batch):
        tiles = np.stack([padded[_window(start, spec.shape)] for start in batch])[:, None]
        for start, probabilities in zip(batch, run(tiles), strict=True):
            blended[(slice(None), *_window(start, spec.shape))] += probabilities * weight
        done += len(batch)
        if progress is not None:
            progress(done, total)
    for axis, (begins, curve) in enumerate(zip(places, bells, strict=True)):
        weights = np.zeros(padded.shape[axis], dtype=np.float32)
        for begin in begins:
            weights[begin : begin + len(curve)] += curve
        blended /= weights.reshape([-1 if other == axis else 1 for other in range(3)])
    slices, rows, columns = volume.shape
    return blended[:, :slices, :rows, :columns]


def _padded(volume: Floats, tile: tuple[int, int, int]) -> Floats:
    """The volume, followed by zeros along each axis on which it is smaller than a tile."""
    missing = [(0, max(0, wanted - length)) for wanted, length in zip(tile, volume.shape, strict=True)]
    return np.pad(volume, missing) if np.any(missing) else volume


def _window(start: Start, tile: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    return (
        slice(start[0], start[0] + tile[0]),
        slice(start[1], start[1] + tile[1]),
        slice(start[2], start[2] + tile[2]),
    )


def _batches(places: Iterator[Start], size: int) -> Iterator[list[Start]]:
    while batch := list(islice(places, size)):
        yield batch
