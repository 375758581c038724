"""The plane of slices by their normal."""

from __future__ import annotations

import math

import pytest

from dicomnode.domain.plane import plane_of


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [
        ((1, 0, 0), (0, 1, 0), "axial"),
        ((-1, 0, 0), (0, -1, 0), "axial"),
        ((1, 0, 0), (0, 0, -1), "coronal"),
        ((0, 1, 0), (0, 0, -1), "sagittal"),
        ((0, 0, -3), (0.5, 0, 0), "coronal"),
    ],
)
def test_slices_along_two_axes_lie_in_the_plane_of_both(
    row: tuple[float, ...], column: tuple[float, ...], plane: str
) -> None:
    assert plane_of(row, column) == plane


def test_a_head_turned_by_45_degrees_within_the_slices_leaves_them_axial() -> None:
    half = math.sqrt(0.5)
    assert plane_of((half, half, 0), (-half, half, 0)) == "axial"


@pytest.mark.parametrize(("degrees", "plane"), [(30, "axial"), (36, "axial"), (45, "oblique"), (60, "coronal")])
def test_slices_tilted_beyond_37_degrees_are_oblique(degrees: float, plane: str) -> None:
    angle = math.radians(degrees)
    assert plane_of((1, 0, 0), (0, math.cos(angle), math.sin(angle))) == plane


def test_no_direction_has_no_plane() -> None:
    assert plane_of((0, 0, 0), (0, 1, 0)) == "oblique"
    assert plane_of((1, 0, 0), (1, 0, 0)) == "oblique"
