"""Rules about planes, spacing, thickness and size, each passing and failing, with its numbers in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from scipy.spatial.transform import Rotation

from dicomnode.domain.finding import SourceSeries, Tilt
from dicomnode.domain.header import Header
from dicomnode.infer.quality.geometry import RULES
from dicomnode.route.select import is_axial
from tests.headers import item, multiframe, series


def turned(row: tuple[float, ...], column: tuple[float, ...]) -> SourceSeries:
    affine = np.eye(4)
    affine[:3, 2], affine[:3, 1] = row, column
    affine[:3, 0] = np.cross(row, column)
    source = series()
    return replace(source, volume=Volume(array=source.volume.array, affine=affine, coordinate_system="PATIENT"))


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [
        ((1, 0, 0), (0, 1, 0), "axial"),
        ((-1, 0, 0), (0, -1, 0), "axial"),
        ((1, 0, 0), (0, 0, -1), "coronal"),
        ((0, 1, 0), (0, 0, -1), "sagittal"),
        ((1, 0, 0), (0, 0.7071, -0.7071), "oblique"),
        # A head turned by 45 degrees within its axial slices.
        ((0.7071, 0.7071, 0), (-0.7071, 0.7071, 0), "axial"),
    ],
)
def test_the_plane_is_that_of_the_normal(row: tuple[float, ...], column: tuple[float, ...], plane: str) -> None:
    assert RULES["orientations"](turned(row, column), (plane,)).found == f"{plane} slices"


def test_the_plane_is_the_one_that_the_router_sees() -> None:
    for matrix in Rotation.random(200, random_state=1).as_matrix():
        row, column = tuple(matrix[:, 0].tolist()), tuple(matrix[:, 1].tolist())
        header = Header.of(item(ImageOrientationPatient=[*row, *column]).to_json_dict())
        assert is_axial(header) == bool(RULES["orientations"](turned(row, column), ("axial",)).passed)


@pytest.mark.parametrize(
    ("rule", "limit", "passed", "found", "needed"),
    [
        ("orientations", ("axial", "coronal"), True, "axial slices", "axial or coronal slices"),
        ("orientations", ("sagittal",), False, "axial slices", "sagittal slices"),
        ("minimum_slices", 4, True, "4 slices", "4 or more"),
        ("minimum_slices", 5, False, "4 slices", "5 or more"),
        ("maximum_slices", 4, True, "4 slices", "4 or fewer"),
        ("maximum_slices", 3, False, "4 slices", "3 or fewer"),
        ("slice_spacing_mm", (3.004, 5), True, "3 mm", "3.004 to 5 mm"),
        ("slice_spacing_mm", (0.5, 2.5), False, "3 mm", "0.5 to 2.5 mm"),
        ("pixel_spacing_mm", (0.5, 0.8), True, "0.8 × 0.5 mm", "0.5 to 0.8 mm"),
        ("pixel_spacing_mm", (0.6, 0.8), False, "0.8 × 0.5 mm", "0.6 to 0.8 mm"),
        ("rows", (6, 6), True, "6 rows", "6 to 6 rows"),
        ("rows", (256, 512), False, "6 rows", "256 to 512 rows"),
        ("columns", (8, 9), True, "8 columns", "8 to 9 columns"),
        ("columns", (9, 9), False, "8 columns", "9 to 9 columns"),
        ("field_of_view_mm", (4, 5), True, "4.8 × 4 mm", "4 to 5 mm"),
        ("field_of_view_mm", (4.5, 5), False, "4.8 × 4 mm", "4.5 to 5 mm"),
        ("coverage_mm", (12, 20), True, "12 mm", "12 to 20 mm"),
        ("coverage_mm", (250, 400), False, "12 mm", "250 to 400 mm"),
        ("tilt_degrees", 0.0, True, "0 degrees", "0 degrees or less"),
    ],
)
def test_a_limit_of_the_grid(rule: str, limit: Any, passed: bool, found: str, needed: str) -> None:
    outcome = RULES[rule](series(), limit)
    assert (outcome.passed, outcome.found, outcome.needed) == (passed, found, needed)


@pytest.mark.parametrize(
    ("rule", "limit", "thickness", "passed", "found"),
    [
        ("slice_thickness_mm", (1, 3), 3, True, "3 mm"),
        ("slice_thickness_mm", (1, 2.5), 3, False, "3 mm"),
        ("slice_thickness_mm", (1, 3), [1, 3, 1, 5], False, "1 to 5 mm"),
        ("slice_thickness_mm", (1, 5), [1, 3, 1, 5], True, "1 to 5 mm"),
        ("slice_thickness_mm", (1, 3), None, None, "not stated"),
        ("slice_thickness_mm", (1, 3), "", None, "not stated"),
        ("slice_thickness_mm", (1, 3), 0, None, "not stated"),
        ("slice_thickness_variation_mm", 0.1, 3, True, "0 mm"),
        ("slice_thickness_variation_mm", 0.1, [3, 3, 3, 3.5], False, "0.5 mm"),
        ("slice_thickness_variation_mm", 0.1, None, None, "not stated"),
        ("slice_gap_mm", (-2, 0), 5, True, "-2 mm"),
        ("slice_gap_mm", (-1, 0), 5, False, "-2 mm"),
        ("slice_gap_mm", (-1, 0), 1, False, "2 mm"),
        ("slice_gap_mm", (0, 0.5), [3, 3, 3, 1], True, "0 mm"),
        ("slice_gap_mm", (0, 0.5), None, None, "not stated"),
    ],
)
def test_a_limit_of_thickness(rule: str, limit: Any, thickness: Any, passed: bool | None, found: str) -> None:
    outcome = RULES[rule](series(SliceThickness=thickness), limit)
    assert (outcome.passed, outcome.found) == (passed, found)


def test_a_tilted_stack_is_judged_by_its_images_and_not_by_the_upright_grid() -> None:
    tilt = Tilt(degrees=-18.5, shape=(4, 8), starts=((0, 0),) * 4)
    tilted = replace(series(), tilt=tilt)
    outcome = RULES["tilt_degrees"](tilted, 10.0)
    assert (outcome.passed, outcome.found, outcome.needed) == (False, "18.5 degrees", "10 degrees or less")
    assert RULES["rows"](tilted, (4, 4)).passed
    assert RULES["field_of_view_mm"](tilted, (3.2, 4)).found == "3.2 × 4 mm"


def test_thickness_stands_in_the_functional_groups_of_a_multi_frame_object() -> None:
    measures = [{"PixelMeasuresSequence": item(SliceThickness=thick)} for thick in (1.0, 2.0, 2.0)]
    own = RULES["slice_thickness_mm"](multiframe({}, measures), (1, 1.5))
    assert (own.passed, own.found) == (False, "1 to 2 mm")
    shared = multiframe({"PixelMeasuresSequence": item(SliceThickness=2.0)}, [{}, {}, {}])
    assert RULES["slice_thickness_mm"](shared, (1, 2.5)).found == "2 mm"
