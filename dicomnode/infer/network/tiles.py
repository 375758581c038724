"""A sliding window over a prepared volume: where its tiles lie, what they weigh, and how they are cut."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dicomnode.domain.model import TileSpec

Floats = npt.NDArray[np.float32]
Start = tuple[int, int, int]
Places = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

#: Standard deviation of the Gaussian weight as a fraction of the tile (nnU-Net, Isensee et al. 2021, inference).
SIGMA_OF_TILE = 1 / 8

#: The manner of nnU-Net v2 (`compute_gaussian`, `pad_nd_image`).
NNUNET = "nnunet"

#: The manner of MONAI (`sliding_window_inference`).
MONAI = "monai"

#: No voxel of a tile weighs less in MONAI's manner (`compute_importance_map`).
LEAST_WEIGHT = np.float32(1e-3)

#: All voxels of a tile count alike.
EVEN = "even"


def starts(length: int, tile: int, overlap: float, manner: str = "plain") -> tuple[int, ...]:
    """First indices of the tiles along one axis: spread evenly, the first and last flush with the ends.

    In MONAI's manner they are multiples of a step, but for the last (`dense_patch_slices`).

    Parameters
    ----------
    length, tile
        In voxels; one tile covers an axis that is shorter.
    overlap
        Least overlap of neighbours as a fraction of the tile.
    """
    if length <= tile:
        return (0,)
    # nnU-Net keeps the half voxel of an odd tile (`compute_steps_for_sliding_window`).
    apart = tile * (1 - overlap)
    step = max(1.0, apart if manner == NNUNET else math.floor(apart))
    count = math.ceil((length - tile) / step) + 1
    if manner == MONAI:
        return tuple(min(number * int(step), length - tile) for number in range(count))
    return tuple(round(place) for place in np.linspace(0, length - tile, count).tolist())


def places(shape: tuple[int, ...], tile: TileSpec) -> Places:
    """First indices of the tiles along (slice, row, column)."""
    slices, rows, columns = (
        starts(length, size, tile.overlap, tile.manner) for length, size in zip(shape, tile.shape, strict=True)
    )
    return slices, rows, columns


def bell(tile: int, manner: str = "plain") -> Floats:
    """Gaussian weight along one axis of a tile, 1 in the middle, nowhere 0; nnU-Net's middle is voxel tile // 2."""
    middle = tile // 2 if manner == NNUNET else (tile - 1) / 2
    distance = (np.arange(tile) - middle) / (tile * SIGMA_OF_TILE)
    weight: Floats = np.exp(-(distance**2) / 2).astype(np.float32)
    return weight


def lead(length: int, size: int, manner: str) -> int:
    """How many voxels are missing in front of a tile along an axis that is shorter than it."""
    return max(size - length, 0) // 2 if manner in (NNUNET, MONAI) else 0


def cut(volume: Floats, start: Start, tile: TileSpec) -> Floats:
    """One tile, (channel, slice, row, column).

    Channels are the inputs in order, each with its neighbouring slices from the lowest to the highest index; beyond the
    volume the first or last slice is repeated. What a tile lacks is zero: at the far end of an axis, or at both.

    Parameters
    ----------
    volume
        (input, slice, row, column).
    """
    inputs, slices = volume.shape[:2]
    near = tile.neighbours
    depth = tile.shape[0]
    window = volume[:, :, start[1] : start[1] + tile.shape[1], start[2] : start[2] + tile.shape[2]]
    cutout = np.zeros((inputs * (2 * near + 1), *tile.shape), dtype=np.float32)
    rows, columns = window.shape[2:]
    slice_, row, column = (
        lead(length, size, tile.manner) for length, size in zip(volume.shape[1:], tile.shape, strict=True)
    )
    inside = cutout[:, :, row : row + rows, column : column + columns]
    if near:
        along = np.clip(np.arange(start[0] - near, start[0] + near + 1), 0, slices - 1)
        inside[:, 0] = window[:, along].reshape(-1, rows, columns)
    else:
        part = window[:, start[0] : start[0] + depth]
        inside[:, slice_ : slice_ + part.shape[1]] = part
    return cutout


def holds_body(volume: Floats, start: Start, tile: TileSpec) -> bool:
    """Whether a tile is worth running: it holds a value above `skip_below` in the first input."""
    if tile.skip_below is None:
        return True
    inside = tuple(slice(begin, begin + length) for begin, length in zip(start, tile.shape, strict=True))
    return bool((volume[0][inside] > tile.skip_below).any())
