"""Outlines of masks against shapes whose outline is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.report.outline import outline, rectangle


def centres(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Pixel centres as (column, row) with the corner of the first pixel at (0, 0)."""
    rows, columns = np.indices(shape)
    return np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)


def test_one_pixel_is_a_diamond_round_its_centre() -> None:
    mask = np.zeros((5, 7), dtype=bool)
    mask[2, 3] = True
    line = outline(mask)
    assert sorted(map(tuple, line[:-1].tolist())) == [(3.0, 2.5), (3.5, 2.0), (3.5, 3.0), (4.0, 2.5)]
    assert (line[0] == line[-1]).all()
    assert line.dtype == np.float32


def test_a_box_at_the_edge_of_the_image_has_eight_vertices() -> None:
    line = outline(np.ones((4, 6), dtype=bool))
    assert len(line) == 9
    assert (line.min(), line[:, 0].max(), line[:, 1].max()) == (0.0, 6.0, 4.0)


def test_a_hole_and_a_smaller_part_are_left_out() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[2:12, 3:13] = True
    mask[5:9, 6:10] = False
    mask[15:18, 15:18] = True
    inside = Path(outline(mask)).contains_points(centres((20, 20))).reshape(20, 20)
    np.testing.assert_array_equal(inside, np.pad(np.ones((10, 10), dtype=bool), ((2, 8), (3, 7))))


@given(mask=arrays(bool, (9, 11), elements=st.booleans()))
def test_the_outline_of_one_part_without_holes_contains_its_pixels_and_no_others(mask: NDArray[np.bool_]) -> None:
    # Opened, so that no two pixels meet at a corner alone, where inside and outside are a matter of taste.
    opened = ndimage.binary_opening(mask, np.ones((2, 2), dtype=bool))
    parts, count = ndimage.label(opened)
    assume(count > 0)
    part = ndimage.binary_fill_holes(parts == 1)
    assert part is not None
    assume(ndimage.label(~np.pad(part, 1))[1] == 1)
    diagonal = part[:-1, :-1] & part[1:, 1:] & ~part[:-1, 1:] & ~part[1:, :-1]
    other = part[1:, :-1] & part[:-1, 1:] & ~part[:-1, :-1] & ~part[1:, 1:]
    assume(not diagonal.any() and not other.any())
    inside = Path(outline(part)).contains_points(centres(part.shape)).reshape(part.shape)
    np.testing.assert_array_equal(inside, part)


def test_an_outline_fits_into_one_value_of_explicit_vr() -> None:
    comb = np.zeros((300, 300), dtype=bool)
    comb[:, ::2] = True
    comb[0] = True
    line = outline(comb)
    assert len(line) * 8 < 2**16
    assert (line[0] == line[-1]).all()
    teeth = np.indices((2048, 64)).sum(axis=0) % 2 == 0
    teeth[:, :2] = True
    assert len(outline(teeth)) * 8 < 2**16


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ((1.5, 2.5), (3.5, 5.5), [[3, 2], [6, 2], [6, 4], [3, 4], [3, 2]]),
        ((-4.0, -0.5), (9.5, 99.0), [[0, 0], [20, 0], [20, 10], [0, 10], [0, 0]]),
    ],
)
def test_a_rectangle_is_closed_and_stays_in_the_image(
    low: tuple[float, float], high: tuple[float, float], expected: list[list[float]]
) -> None:
    assert rectangle(low, high, (10, 20)).tolist() == expected
