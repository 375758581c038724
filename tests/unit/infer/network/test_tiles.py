"""Tiles cover any volume, and blending equals its definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from dicomnode.domain.model import TileSpec
from dicomnode.infer.network.blend import predict
from dicomnode.infer.network.tiles import bell, cut, holds_body, starts

Floats = npt.NDArray[np.float32]
SHAPES = st.tuples(*[st.integers(1, 20)] * 3)
TILES = st.tuples(*[st.integers(1, 9)] * 3)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.9])


def blended(
    volume: Floats,
    tile: TileSpec,
    answer: Callable[[Floats], Floats],
    channels: int,
    progress: Callable[[int, int], None] | None = None,
    blank: tuple[float, ...] = (),
) -> Floats:
    def run(batches: Iterable[Floats]) -> Iterator[Floats]:
        return map(answer, batches)

    out = np.full((channels, *volume.shape[-3:]), np.nan, dtype=np.float32)
    whole = volume if volume.ndim == 4 else volume[None]
    return predict(whole, tile, run, out, batch=tile.batch, progress=progress, blank=blank)


@given(st.integers(1, 60), st.integers(0, 300), OVERLAPS)
def test_tiles_cover_an_axis_flush_with_both_ends(tile: int, more: int, overlap: float) -> None:
    length = tile + more
    begins = starts(length, tile, overlap)
    assert begins[0] == 0
    assert begins[-1] == length - tile
    gaps = np.diff(begins)
    assert (gaps > 0).all()
    assert (gaps <= max(1, np.ceil(tile * (1 - overlap)))).all()


def test_a_volume_of_one_tile_is_one_tile() -> None:
    assert starts(16, 16, 0.25) == starts(3, 16, 0.25) == (0,)
    assert starts(17, 16, 0.25) == (0, 1)


@given(st.integers(1, 200))
def test_weights_are_symmetric_and_nowhere_zero(tile: int) -> None:
    weight = bell(tile)
    assert np.array_equal(weight, weight[::-1])
    assert weight.min() > 1e-4
    assert weight.max() <= 1


def reference(
    volume: Floats, tile: TileSpec, answer: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """The sliding window by its definition: pad, multiply every tile by a Gaussian, add, divide by the weights."""
    inputs, *lengths = volume.shape
    padded = np.zeros((inputs, *(max(pair) for pair in zip(lengths, tile.shape, strict=True))))
    padded[:, : lengths[0], : lengths[1], : lengths[2]] = volume
    grid = np.meshgrid(*[np.arange(length) - (length - 1) / 2 for length in tile.shape], indexing="ij")
    spread = [8 * axis / length for axis, length in zip(grid, tile.shape, strict=True)]
    gauss = np.exp(-sum(axis**2 for axis in spread) / 2)
    total = weights = np.zeros(1)
    every = [starts(length, size, tile.overlap) for length, size in zip(padded.shape[1:], tile.shape, strict=True)]
    for s, r, c in product(*every):
        window = np.s_[:, s : s + tile.shape[0], r : r + tile.shape[1], c : c + tile.shape[2]]
        found = answer(padded[window])
        if total.ndim == 1:
            total = np.zeros((len(found), *padded.shape[1:]))
            weights = np.zeros_like(total)
        total[window] += found * gauss
        weights[window] += gauss
    return (total / weights)[:, : lengths[0], : lengths[1], : lengths[2]]


@settings(max_examples=60, deadline=None)
@given(SHAPES, TILES, OVERLAPS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_blending_equals_its_definition(
    shape: tuple[int, int, int], tile: tuple[int, int, int], overlap: float, batch: int, inputs: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    volume = random.random((inputs, *shape), dtype=np.float32)
    mixing = random.random((3, inputs))
    place = random.random(tile)

    def answer(window: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """A network that answers by place in the tile, so that overlapping tiles disagree."""
        mixed: npt.NDArray[np.float64] = np.tanh(np.tensordot(mixing, window, axes=1) * place)
        return mixed

    spec = TileSpec(shape=tile, overlap=overlap, batch=batch)
    found = blended(
        volume, spec, lambda tiles: np.stack([answer(one.astype(np.float64)) for one in tiles]).astype(np.float32), 3
    )
    assert found.dtype == np.float32
    assert np.abs(found - reference(volume, spec, answer)).max() < 1e-5


@settings(max_examples=30, deadline=None)
@given(SHAPES, TILES, OVERLAPS, st.integers(1, 4))
def test_constant_probabilities_give_a_constant_result_and_every_tile_is_told(
    shape: tuple[int, int, int], tile: tuple[int, int, int], overlap: float, batch: int
) -> None:
    told: list[tuple[int, int]] = []

    def constant(tiles: Floats) -> Floats:
        assert tiles.shape[1:] == (1, *tile)
        assert len(tiles) <= batch
        return np.full((len(tiles), 3, *tile), 0.25, dtype=np.float32)

    found = blended(
        np.zeros(shape, dtype=np.float32),
        TileSpec(shape=tile, overlap=overlap, batch=batch),
        constant,
        3,
        lambda done, total: told.append((done, total)),
    )
    assert np.allclose(found, 0.25, atol=1e-6)
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@settings(max_examples=40, deadline=None)
@given(SHAPES, TILES, OVERLAPS, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_tiles_without_body_count_as_background(
    shape: tuple[int, int, int], tile: tuple[int, int, int], overlap: float, batch: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    volume = np.zeros((2, *shape), dtype=np.float32)
    volume[0][tuple(slice(low, low + 3) for low in random.integers(0, shape))] = 1
    volume[1] = 1
    spec = TileSpec(shape=tile, overlap=overlap, batch=batch, skip_below=0.5)
    ran: list[Floats] = []
    told: list[tuple[int, int]] = []

    def answer(tiles: Floats) -> Floats:
        ran.extend(tiles)
        return np.stack([np.zeros_like(tiles[:, 0]), np.ones_like(tiles[:, 0])], axis=1)

    def defined(window: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        body = float((window[0] > 0.5).any())
        return np.stack([np.full(tile, 1 - body), np.full(tile, body)])

    found = blended(volume, spec, answer, 2, lambda *step: told.append(step), blank=(1.0, 0.0))
    assert np.abs(found - reference(volume, spec, defined)).max() < 1e-5
    assert all((one[0] > 0.5).any() for one in ran)
    assert told[-1][0] == told[-1][1]


def test_a_volume_without_body_asks_the_network_nothing() -> None:
    def never(tiles: Floats) -> Floats:
        raise AssertionError("asked")

    told: list[tuple[int, int]] = []
    spec = TileSpec(shape=(2, 4, 4), overlap=0.5, batch=2, skip_below=0.0)
    volume = np.zeros((5, 9, 9), dtype=np.float32)
    found = blended(volume, spec, never, 2, lambda *step: told.append(step), blank=(1.0, 0.0))
    assert np.allclose(found[0], 1, atol=1e-6)
    assert (found[1] == 0).all()
    assert told[-1][0] == told[-1][1]
    assert not holds_body(volume[None], (0, 0, 0), spec)


def test_what_is_missing_to_a_tile_is_zero() -> None:
    seen: list[Floats] = []

    def look(tiles: Floats) -> Floats:
        seen.append(tiles.copy())
        return tiles

    blended(np.ones((2, 3, 4), dtype=np.float32), TileSpec(shape=(4, 4, 4), overlap=0.0, batch=1), look, 1)
    assert seen[0].sum() == 24
    assert (seen[0][0, 0, :2, :3, :] == 1).all()


def test_the_middle_of_a_tile_outweighs_the_rim_of_its_neighbour() -> None:
    number = iter(range(10))

    def count(tiles: Floats) -> Floats:
        return np.full(tiles.shape, next(number), dtype=np.float32)

    found = blended(np.zeros((1, 1, 24), dtype=np.float32), TileSpec(shape=(1, 1, 16), overlap=0.5, batch=1), count, 1)
    line = found[0, 0, 0]
    assert line[0] == 0
    assert line[-1] == 1
    assert (np.diff(line) >= -1e-6).all()
    assert line[8] < 0.1
    assert line[15] > 0.9


@pytest.mark.parametrize("neighbours", [1, 2])
def test_neighbouring_slices_come_input_by_input_and_are_repeated_at_the_edges(neighbours: int) -> None:
    # Input i is 100 · i + its slice everywhere.
    volume = (np.arange(2)[:, None] * 100 + np.arange(6)).astype(np.float32)[:, :, None, None] * np.ones((1, 1, 3, 4))
    spec = TileSpec(shape=(1, 4, 4), overlap=0.0, batch=1, neighbours=neighbours)
    for middle in range(6):
        tile = cut(volume.astype(np.float32), (middle, 0, 0), spec)
        expected = [
            100 * i + min(max(middle + offset, 0), 5) for i in range(2) for offset in range(-neighbours, neighbours + 1)
        ]
        assert tile.shape == (len(expected), 1, 4, 4)
        assert (tile[:, 0, :3] == np.array(expected).reshape(-1, 1, 1)).all()
        assert (tile[:, 0, 3:] == 0).all()


def test_in_the_manner_of_nnunet_a_tile_is_filled_up_on_both_sides_and_weighs_most_behind_its_middle() -> None:
    seen: list[Floats] = []

    def look(tiles: Floats) -> Floats:
        seen.append(tiles.copy())
        return tiles

    volume = np.arange(1, 25, dtype=np.float32).reshape(1, 4, 6)
    spec = TileSpec(shape=(4, 4, 9), overlap=0.5, batch=1, manner="nnunet")
    found = blended(volume, spec, look, 1)
    # Of 3 missing slices 1 lies in front, of 3 columns 1.
    np.testing.assert_array_equal(seen[0][0, 0, 1, :, 1:7], volume[0])
    assert seen[0].sum() == volume.sum()
    np.testing.assert_array_equal(found[0], volume)
    # compute_gaussian: a unit at voxel 16 // 2, smoothed by a sixteenth of twice that.
    unit = np.zeros(16)
    unit[8] = 1
    expected = gaussian_filter1d(unit, 2.0, mode="constant")
    np.testing.assert_allclose(bell(16, "nnunet"), expected / expected.max(), rtol=1e-5)


def test_tiles_in_nnunets_manner_keep_the_half_voxel_of_an_odd_tile() -> None:
    # As `compute_steps_for_sliding_window` of nnunetv2 2.8 answers, tile_step_size 0.5.
    assert starts(17, 5, 0.5, "nnunet") == (0, 2, 5, 7, 10, 12)
    assert starts(17, 6, 0.5, "nnunet") == (0, 3, 6, 8, 11)
    # A tile of one slice is not laid twice.
    assert starts(4, 1, 0.5, "nnunet") == (0, 1, 2, 3)
