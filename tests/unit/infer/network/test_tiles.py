"""Tiles cover any volume, and blending changes nothing that the tiles agree on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.domain.model import TileSpec
from dicomnode.infer.network.tiles import bell, predict, starts

Floats = npt.NDArray[np.float32]
SHAPES = st.tuples(*[st.integers(1, 20)] * 3)
TILES = st.tuples(*[st.integers(1, 9)] * 3)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.9])


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
    assert starts(16, 16, 0.25) == (0,)
    assert starts(17, 16, 0.25) == (0, 1)


@given(st.integers(1, 200))
def test_weights_are_symmetric_and_nowhere_zero(tile: int) -> None:
    weight = bell(tile)
    assert np.array_equal(weight, weight[::-1])
    assert weight.min() > 1e-4
    assert weight.max() <= 1


@settings(max_examples=60, deadline=None)
@given(SHAPES, TILES, OVERLAPS, st.integers(1, 4))
def test_what_the_tiles_agree_on_is_the_result(
    shape: tuple[int, int, int], tile: tuple[int, int, int], overlap: float, batch: int
) -> None:
    volume = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = predict(
        volume, TileSpec(shape=tile, overlap=overlap, batch=batch), lambda tiles: np.repeat(tiles, 2, axis=1), 2
    )
    assert found.shape == (2, *shape)
    assert np.allclose(found, volume, atol=1e-5)


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

    found = predict(
        np.zeros(shape, dtype=np.float32),
        TileSpec(shape=tile, overlap=overlap, batch=batch),
        constant,
        3,
        lambda done, total: told.append((done, total)),
    )
    assert np.allclose(found, 0.25, atol=1e-6)
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_what_is_missing_to_a_tile_is_zero() -> None:
    seen: list[Floats] = []

    def look(tiles: Floats) -> Floats:
        seen.append(tiles.copy())
        return tiles

    predict(np.ones((2, 3, 4), dtype=np.float32), TileSpec(shape=(4, 4, 4), overlap=0.0, batch=1), look, 1)
    assert seen[0].sum() == 24
    assert (seen[0][0, 0, :2, :3, :] == 1).all()


def test_the_middle_of_a_tile_outweighs_the_rim_of_its_neighbour() -> None:
    number = iter(range(10))

    def count(tiles: Floats) -> Floats:
        return np.full(tiles.shape, next(number), dtype=np.float32)

    found = predict(np.zeros((1, 1, 24), dtype=np.float32), TileSpec(shape=(1, 1, 16), overlap=0.5, batch=1), count, 1)
    line = found[0, 0, 0]
    assert line[0] == 0
    assert line[-1] == 1
    assert (np.diff(line) >= -1e-6).all()
    assert line[8] < 0.1
    assert line[15] > 0.9
