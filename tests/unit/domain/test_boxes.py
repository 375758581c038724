"""Where the labels of a map lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dicomnode.domain.boxes import boxes


@pytest.mark.parametrize("most", [1, 2, 8, 40])
@pytest.mark.parametrize("seed", range(5))
def test_boxes_are_those_that_scipy_finds(most: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    labels = np.zeros((9, 17, 13), np.uint8)
    where = tuple(chance.integers(1, length - 1, 30) for length in labels.shape)
    labels[where] = chance.integers(1, most + 1, 30)
    expected = {number: box for number, box in enumerate(ndimage.find_objects(labels), start=1) if box}
    assert boxes(labels) == expected


def test_there_are_none_where_there_is_background_alone() -> None:
    assert boxes(np.zeros((4, 5, 6), np.uint8)) == {}
    assert boxes(np.zeros((0, 5, 6), np.uint8)) == {}


def test_a_label_may_fill_the_image() -> None:
    assert boxes(np.full((2, 3, 4), 200, np.uint8)) == {200: (slice(0, 2), slice(0, 3), slice(0, 4))}
