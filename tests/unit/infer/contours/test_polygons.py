"""Polygons become the pixels whose centres lie inside them, however they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from dicomnode.infer.contours.polygons import filled, united


def box(top: float, left: float, bottom: float, right: float) -> np.ndarray:
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]], dtype=float)


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    mask = filled([box(1.6, 2.4, 4.4, 5.6)], (8, 8))
    needed = np.zeros((8, 8), bool)
    needed[2:5, 3:6] = True
    assert np.array_equal(mask, needed)


def test_two_regions_that_share_an_edge_through_centres_share_no_pixel_and_leave_none_out() -> None:
    left, right = filled([box(1, 1, 5, 4)], (8, 8)), filled([box(1, 4, 5, 7)], (8, 8))
    assert not (left & right).any()
    assert np.array_equal(left | right, filled([box(1, 1, 5, 7)], (8, 8)))


@pytest.mark.parametrize("seed", range(5))
def test_random_stars_agree_with_another_library(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 40))
    corners = np.column_stack([np.sin(angles), np.cos(angles)]) * rng.uniform(5, 20, (40, 1)) + 22.3
    rows, columns = np.mgrid[:45, :45]
    inside = Outline(corners).contains_points(np.column_stack([rows.ravel(), columns.ravel()])).reshape(45, 45)
    assert np.array_equal(filled([corners], (45, 45)), inside)


def test_a_contour_in_a_contour_is_a_hole_and_one_in_that_is_full_again() -> None:
    mask = filled([box(0.5, 0.5, 9.5, 9.5), box(2.5, 2.5, 7.5, 7.5), box(4.5, 4.5, 5.5, 5.5)], (11, 11))
    assert mask.sum() == 81 - 25 + 1 and mask[5, 5] and not mask[4, 4]


@pytest.mark.parametrize("row", [5.0, 5.3])
def test_a_keyhole_leaves_no_crack_even_through_centres(row: float) -> None:
    outer, inner = box(0.5, 0.5, 9.5, 9.5), box(2.5, 2.5, 7.5, 7.5)
    channel = [[row, 0.5], [row, 2.5]]
    keyhole = np.array(
        [*outer[:1], [0.5, 9.5], [9.5, 9.5], [9.5, 0.5], channel[0], channel[1],
         [7.5, 2.5], [7.5, 7.5], [2.5, 7.5], [2.5, 2.5], channel[1], channel[0]]
    )  # fmt: skip
    assert np.array_equal(filled([keyhole], (11, 11)), filled([outer, inner], (11, 11)))


def test_a_slanted_keyhole_leaves_no_crack() -> None:
    outer = [[0.5, 0.5], [0.5, 9.5], [9.5, 9.5], [9.5, 0.5]]
    inner = [[3.0, 3.0], [7.0, 3.0], [7.0, 7.0], [3.0, 7.0]]
    keyhole = np.array([*outer, outer[0], *inner, inner[0]])
    assert np.array_equal(filled([keyhole], (11, 11)), filled([np.array(outer), np.array(inner)], (11, 11)))


def test_what_lies_beyond_the_image_is_cut_off() -> None:
    assert filled([box(-50, -50, 50, 3.5)], (6, 8)).sum() == 6 * 4
    assert not filled([box(-5, -5, -2, -2)], (6, 8)).any()
    assert not filled([box(20, 20, 30, 30)], (6, 8)).any()


def test_the_way_round_and_the_first_point_do_not_matter() -> None:
    corners = np.array([[1.2, 1.1], [2.0, 8.3], [8.7, 6.4], [5.5, 3.3], [9.1, 0.7]])
    needed = filled([corners], (11, 11))
    assert np.array_equal(filled([corners[::-1]], (11, 11)), needed)
    assert np.array_equal(filled([np.roll(corners, 2, axis=0)], (11, 11)), needed)


def test_contours_that_overlap_keep_what_they_share() -> None:
    mask, overlap = united([box(0.5, 0.5, 5.5, 5.5), box(3.5, 3.5, 8.5, 8.5)], (11, 11))
    assert mask.sum() == 25 + 25 - 4 and overlap


def test_united_contours_have_holes_and_islands_in_them_wherever_the_image_ends() -> None:
    rings = [box(4.5, 4.5, 5.5, 5.5), box(-3.5, -3.5, 9.5, 9.5), box(2.5, 2.5, 7.5, 7.5)]
    mask, overlap = united(rings, (11, 8))
    assert np.array_equal(mask, filled(rings, (11, 8))) and not overlap


def test_a_contour_drawn_twice_with_other_points_is_no_hole() -> None:
    mask, overlap = united([box(0.5, 0.5, 5.5, 5.5), box(0.6, 0.5, 5.5, 5.4)], (11, 11))
    assert mask.sum() == 25 and not overlap


def test_no_contour_has_no_pixel() -> None:
    assert not united([], (4, 5))[0].any()
    assert not united([box(20, 20, 30, 30), box(-9, -9, -5, -5)], (4, 5))[0].any()
