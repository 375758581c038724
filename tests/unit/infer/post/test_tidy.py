"""Largest pieces and enclosed holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.domain.model import Step
from dicomnode.infer.post.pieces import keep_largest
from dicomnode.infer.post.shape import fill_holes
from dicomnode.infer.post.tidy import boxes_of, tidy


def step(name: str, *segments: int) -> Step:
    return Step(name=name, options={"segments": segments})


def test_only_the_largest_piece_stays() -> None:
    labels = np.zeros((3, 4, 9), dtype=np.uint8)
    labels[0, 0, :3] = 1
    labels[1:, 1:3, 5:8] = 1
    labels[0, 3, 0] = 2
    keep_largest(labels, 1)
    assert (labels == 1).sum() == 12
    assert labels[0, 3, 0] == 2


def test_pieces_that_touch_at_an_edge_only_are_two() -> None:
    labels = np.zeros((2, 2, 3), dtype=np.uint8)
    labels[0, 0, :2] = 1
    labels[1, 1, 2] = 1
    keep_largest(labels, 1)
    assert labels.sum() == 2


def test_pieces_that_touch_at_a_corner_are_one_where_corners_count() -> None:
    labels = np.zeros((2, 2, 3), dtype=np.uint8)
    labels[0, 0, :2] = 1
    labels[1, 1, 2] = 1
    tidy(labels, [Step(name="keep_largest", options={"segments": (), "pieces": 1, "touching": "corners"})])
    assert labels.sum() == 3


def test_a_hole_is_filled_and_a_bay_is_not() -> None:
    labels = np.zeros((5, 5, 5), dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[2, 2, 2] = 0
    labels[2, 2, 3] = 1
    fill_holes(labels, 1)
    assert labels[2, 2, 2] == 1
    labels[2, 2, 2:4] = 0
    fill_holes(labels, 1)
    assert (labels[2, 2, 2:4] == 0).all()


def test_a_segment_inside_another_is_not_overwritten() -> None:
    labels = np.ones((5, 5, 5), dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 0
    labels[2, 2, 2] = 2
    fill_holes(labels, 1)
    assert labels[2, 2, 2] == 2
    assert (labels == 1).sum() == 124


def test_an_island_inside_another_segment_becomes_part_of_it() -> None:
    labels = np.ones((5, 5, 12), dtype=np.uint8)
    labels[:, :, 6:] = 2
    labels[2, 2, 2] = 2
    tidy(labels, [step("keep_largest", 2), step("fill_holes", 1)])
    assert labels[2, 2, 2] == 1


def test_nothing_is_done_unasked_or_to_absent_segments() -> None:
    labels = np.zeros((2, 2, 5), dtype=np.uint8)
    labels[0, 0, [0, 2]] = 3
    before = labels.copy()
    tidy(labels, [step("keep_largest", 1), step("fill_holes", 1)])
    assert np.array_equal(labels, before)


def test_boxes_enclose_each_label() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[1:3, 2, 0:2] = 7
    assert boxes_of(labels) == {7: (slice(1, 3), slice(2, 3), slice(0, 2))}


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 0.7]))
def test_results_agree_with_scipy(seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((5, 6, 7)) < density
    labels = mask.astype(np.uint8)
    fill_holes(labels, 1)
    assert np.array_equal(labels > 0, ndimage.binary_fill_holes(mask))
    labels = mask.astype(np.uint8)
    keep_largest(labels, 1)
    pieces, count = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())[1:]
    assert labels.sum() == (sizes.max() if count else 0)
    assert ndimage.label(labels)[1] == min(count, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 5)])
def test_thin_volumes_pass(shape: tuple[int, int, int]) -> None:
    labels = np.ones(shape, dtype=np.uint8)
    tidy(labels, [step("keep_largest"), step("fill_holes")])
    assert labels.all()
