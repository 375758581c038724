"""Tiles in MONAI's manner lie, weigh and are filled up as its sliding window does, by the definition of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from dicomnode.domain.model import TileSpec
from dicomnode.infer.network.blend import predict
from dicomnode.infer.network.tiles import starts

Floats = npt.NDArray[np.float32]


def answer(tile: Floats) -> Floats:
    """Depends on where in its tile a voxel lies, so that wrong weights or places show."""
    slices, rows, columns = np.indices(tile.shape[-3:])
    return (tile * (1 + slices + 2 * rows * columns) + slices).astype(np.float32)


def weights_of(shape: tuple[int, ...], gaussian: bool) -> npt.NDArray[np.float64]:
    """`compute_importance_map` of MONAI 1.6, by its source."""
    if not gaussian:
        return np.ones(shape)
    weight = np.ones(())
    for side in shape:
        place = np.arange(side) - (side - 1) / 2
        weight = weight[..., None] * np.exp(-(place**2) / (2 * (0.125 * side) ** 2))
    found: npt.NDArray[np.float64] = np.maximum(weight, max(weight.min(), 1e-3))
    return found


def slid(volume: Floats, shape: tuple[int, ...], overlap: float, gaussian: bool) -> npt.NDArray[np.float64]:
    """`sliding_window_inference` of MONAI 1.6, by its source."""
    missing = [max(side - length, 0) for side, length in zip(shape, volume.shape, strict=True)]
    padded = np.pad(volume, [(count // 2, count - count // 2) for count in missing])
    weight = weights_of(shape, gaussian)
    total, count = np.zeros(padded.shape), np.zeros(padded.shape)
    places = []
    for length, side in zip(padded.shape, shape, strict=True):
        step = side if length == side else max(1, int(side * (1 - overlap)))
        number = next(n for n in range(length) if n * step + side >= length) + 1
        places.append([min(n * step, length - side) for n in range(number)])
    for start in product(*places):
        part = tuple(slice(begin, begin + side) for begin, side in zip(start, shape, strict=True))
        total[part] += answer(padded[part]) * weight
        count[part] += weight
    inner = tuple(slice(gap // 2, gap // 2 + length) for gap, length in zip(missing, volume.shape, strict=True))
    found: npt.NDArray[np.float64] = (total / count)[inner]
    return found


@pytest.mark.parametrize("weights", ["gaussian", "even"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(6, 8, 10), (30, 8, 9), (14, 9, 40), (20, 30, 40)])
def test_blending_is_that_of_monai(shape: tuple[int, int, int], overlap: float, weights: str) -> None:
    volume = np.random.default_rng(1).normal(size=(17, 21, 23)).astype(np.float32)
    tile = TileSpec(shape=shape, overlap=overlap, batch=2, manner="monai", weights=weights)

    def run(batches: Iterable[Floats]) -> Iterator[Floats]:
        return map(answer, batches)

    out = np.full((1, *volume.shape), np.nan, dtype=np.float32)
    found = predict(volume[None], tile, run, out, batch=2)
    expected = slid(volume, shape, overlap, weights == "gaussian")
    # Sums in float32 of numbers up to a thousand.
    np.testing.assert_allclose(found[0], expected, atol=2e-4 * np.abs(expected).max())


def test_tiles_start_at_multiples_of_a_step_but_for_the_last() -> None:
    assert starts(100, 32, 0.25, "monai") == (0, 24, 48, 68)
    assert starts(100, 32, 0.25) == (0, 23, 45, 68)
    assert starts(20, 32, 0.25, "monai") == (0,)
