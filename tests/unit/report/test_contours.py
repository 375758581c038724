"""Polygons of masks against other implementations of filling and labelling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.path import Path
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from dicomnode.report.contours import Polygon, filled, polygons

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.booleans())


def drawn(*rows: str) -> NDArray[np.bool_]:
    """A mask from lines of text in which # is inside."""
    return np.array([[sign == "#" for sign in row] for row in rows])


def area(polygon: Polygon) -> float:
    """By the shoelace formula; positive is clockwise where rows count downwards."""
    x, y = polygon.astype(float).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def winding(polygon: Polygon, mask: NDArray[np.bool_]) -> NDArray[np.int_]:
    """How often the polygon goes round every pixel's centre: the sum of the angles, the slow way."""
    rows, columns = np.indices(mask.shape)
    to = polygon[:, None, None, :] - np.stack([columns + 0.5, rows + 0.5], axis=-1)
    angles = np.arctan2(to[..., 1], to[..., 0])
    turned = (np.roll(angles, -1, axis=0) - angles + np.pi) % (2 * np.pi) - np.pi
    times: NDArray[np.int_] = np.rint(turned.sum(axis=0) / (2 * np.pi)).astype(int)
    return times


def test_one_pixel_is_its_four_corners() -> None:
    (polygon,) = polygons(drawn("....", "...#", "...."))
    assert sorted(polygon.tolist()) == [[3, 1], [3, 2], [4, 1], [4, 2]]
    assert area(polygon) == 1


def test_an_empty_mask_has_no_polygon() -> None:
    assert polygons(np.zeros((4, 5), dtype=bool)) == []


def test_straight_lines_have_no_vertices_between_their_ends() -> None:
    (polygon,) = polygons(np.ones((40, 70), dtype=bool))
    assert sorted(polygon.tolist()) == [[0, 0], [0, 40], [70, 0], [70, 40]]


@pytest.mark.parametrize("rows", [("#.", ".#"), (".#", "#.")])
def test_pixels_that_meet_at_a_corner_alone_are_two_polygons(rows: tuple[str, str]) -> None:
    assert [area(polygon) for polygon in polygons(drawn(*rows))] == [1, 1]


def test_empty_pixels_that_meet_at_a_corner_are_one_hole() -> None:
    (polygon,) = polygons(drawn("####", "#.##", "##.#", "####"))
    assert area(polygon) == 14
    # The channel begins and ends twice: at the outer boundary, and at the hole.
    corners, counts = np.unique(polygon, axis=0, return_counts=True)
    assert corners[counts == 2].tolist() == [[1, 0], [1, 1], [2, 2]]


def test_a_hole_beside_its_way_out_is_no_hole() -> None:
    (polygon,) = polygons(drawn("##.", "#.#", "###"))
    assert area(polygon) == 7
    np.testing.assert_array_equal(filled([polygon.astype(float)], (3, 3)), drawn("##.", "#.#", "###"))


def test_a_hole_hangs_on_the_hole_above_it_and_an_island_is_a_polygon_of_its_own() -> None:
    mask = drawn("#######", "#.....#", "#.#.#.#", "#.....#", "#######", "#.....#", "#######")
    found = polygons(mask)
    assert sorted(area(polygon) for polygon in found) == [1, 1, mask.sum() - 2]
    np.testing.assert_array_equal(filled([polygon.astype(float) for polygon in found], mask.shape), mask)


@given(mask=MASKS)
def test_polygons_filled_even_odd_are_the_mask(mask: NDArray[np.bool_]) -> None:
    found = [polygon.astype(float) for polygon in polygons(mask)]
    np.testing.assert_array_equal(filled(found, mask.shape), mask)


@given(mask=MASKS)
def test_every_part_is_one_polygon_that_winds_once_round_its_pixels(mask: NDArray[np.bool_]) -> None:
    found = polygons(mask)
    parts, count = ndimage.label(mask)
    assert len(found) == count
    seen = set()
    for polygon in found:
        around = winding(polygon, mask)
        (number,) = set(parts[around != 0].tolist())
        np.testing.assert_array_equal(around, parts == number)
        assert area(polygon) == np.count_nonzero(around)
        seen.add(number)
    assert seen == set(range(1, count + 1))


@given(mask=MASKS)
def test_edges_run_along_rows_and_columns_and_none_has_no_length(mask: NDArray[np.bool_]) -> None:
    for polygon in polygons(mask):
        steps = np.roll(polygon, -1, axis=0) - polygon
        assert (np.count_nonzero(steps, axis=1) == 1).all()


@given(mask=MASKS, most=st.integers(4, 12))
def test_what_is_cut_to_fit_holds_the_same_pixels(mask: NDArray[np.bool_], most: int) -> None:
    found = polygons(mask, most)
    assert all(len(polygon) <= most for polygon in found)
    assert sum(area(polygon) for polygon in found) == np.count_nonzero(mask)
    np.testing.assert_array_equal(filled([polygon.astype(float) for polygon in found], mask.shape), mask)


def test_a_checkerboard_of_holes_is_cut_to_fit() -> None:
    mask = np.indices((200, 200)).sum(axis=0) % 2 == 0
    mask |= ndimage.binary_dilation(mask, iterations=1) & (np.indices((200, 200))[0] % 3 == 0)
    found = polygons(mask, 1000)
    assert max(map(len, found)) <= 1000
    np.testing.assert_array_equal(filled([polygon.astype(float) for polygon in found], mask.shape), mask)


@given(
    ring=arrays(
        np.float64,
        st.tuples(st.integers(3, 9), st.just(2)),
        elements=st.floats(-3, 15, allow_nan=False).map(lambda value: round(value, 3) + 0.00037),
    )
)
def test_filling_agrees_with_another_filler_on_any_polygon(ring: NDArray[np.float64]) -> None:
    shape = (12, 11)
    rows, columns = np.indices(shape)
    centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
    expected = Path(np.concatenate([ring, ring[:1]]), closed=True).contains_points(centres).reshape(shape)
    found = filled([ring], shape)
    # Where an edge passes a centre closer than rounding, either answer is right.
    differing = np.argwhere(found != expected)
    ends = np.roll(ring, -1, axis=0)
    for row, column in differing:
        along = ends - ring
        to = np.array([column + 0.5, row + 0.5]) - ring
        lengths = np.maximum((along**2).sum(axis=1), 1e-12)
        share = np.clip((to * along).sum(axis=1) / lengths, 0, 1)
        assert np.linalg.norm(to - share[:, None] * along, axis=1).min() < 1e-9


def test_a_picture_library_draws_the_same_ring() -> None:
    y, x = np.ogrid[:60, :80]
    distance = np.hypot(y - 30, x - 40)
    mask = (distance < 25) & (distance > 11)
    (polygon,) = polygons(mask)
    # Ten times enlarged, as the library fills pixels on the line as well; centres of old pixels are then far from it.
    picture = Image.new("1", (800, 600))
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for x, y in polygon * 10], fill=1)
    np.testing.assert_array_equal(np.asarray(picture)[5::10, 5::10], mask)
