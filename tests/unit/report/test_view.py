"""Planes through a volume and the letters at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.report.view import across, along_slices, letters_of

from .conftest import COLUMN_MM, ROW_MM, SHAPE, SLICE_MM, findings_in


@pytest.mark.parametrize(
    ("direction", "letters"),
    [((1, 0, 0), "L"), ((0, -1, 0), "A"), ((0, 0, 1), "H"), ((0.94, 0.34, 0), "LP"), ((-0.3, 0, -0.95), "FR")],
)
def test_a_direction_is_named_by_its_largest_components(direction: tuple[float, ...], letters: str) -> None:
    assert letters_of(np.array(direction, dtype=float)) == letters


@pytest.mark.parametrize(
    ("name", "plane", "letters"),
    [
        ("axial", "axial", ("R", "L", "A", "P")),
        ("reversed", "axial", ("R", "L", "A", "P")),
        ("sagittal", "sagittal", ("A", "P", "H", "F")),
        ("oblique", "oblique coronal", ("RA", "LP", "H", "F")),
    ],
)
def test_slices_are_shown_as_they_are_stored(name: str, plane: str, letters: tuple[str, ...]) -> None:
    volume = findings_in(name).source.volume
    view = along_slices(volume, 4)
    assert (view.plane, view.letters) == (plane, letters)
    assert view.spacing_mm == pytest.approx((ROW_MM, COLUMN_MM))
    assert (view.of(volume.array) == volume.array[4]).all()


@pytest.mark.parametrize("name", ["axial", "reversed"])
def test_planes_across_axial_slices_have_the_head_above_and_the_right_side_to_the_left(name: str) -> None:
    volume = findings_in(name).source.volume
    coronal, sagittal = across(volume, 1, 9), across(volume, 2, 6)
    assert (coronal.plane, coronal.letters) == ("coronal", ("R", "L", "H", "F"))
    assert (sagittal.plane, sagittal.letters) == ("sagittal", ("A", "P", "H", "F"))
    assert coronal.spacing_mm == pytest.approx((SLICE_MM, COLUMN_MM))
    assert sagittal.spacing_mm == pytest.approx((SLICE_MM, ROW_MM))
    # Where slices run towards the head, the last one is the uppermost.
    order = slice(None, None, -1 if name == "axial" else 1)
    assert (coronal.of(volume.array) == volume.array[order, 9, :]).all()


def test_planes_across_sagittal_slices_are_coronal_and_axial() -> None:
    volume = findings_in("sagittal").source.volume
    views = {view.plane: view.letters for view in (across(volume, 1, 3), across(volume, 2, 3))}
    assert views == {"axial": ("R", "L", "A", "P"), "coronal": ("R", "L", "H", "F")}


@pytest.mark.parametrize("name", ["axial", "reversed", "sagittal", "oblique"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_pixel_lies_where_the_letters_say(name: str, axis: int) -> None:
    volume: Volume = findings_in(name).source.volume
    index = np.stack(np.meshgrid(*(np.arange(length) for length in SHAPE), indexing="ij"), axis=-1)
    world = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    view = along_slices(volume, 2) if axis == 0 else across(volume, axis, 2)
    plane = np.stack([view.of(world[..., coordinate]) for coordinate in range(3)], axis=-1)
    sides = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}
    for edge, step in zip(
        view.letters,
        (-plane[0, 1] + plane[0, 0], plane[0, 1] - plane[0, 0], -plane[1, 0] + plane[0, 0], plane[1, 0] - plane[0, 0]),
        strict=True,
    ):
        for letter in edge:
            coordinate, sign = sides[letter]
            assert step[coordinate] * sign > 0
    assert np.linalg.norm(plane[1, 0] - plane[0, 0]) == pytest.approx(view.spacing_mm[0])
    assert np.linalg.norm(plane[0, 1] - plane[0, 0]) == pytest.approx(view.spacing_mm[1])


def test_a_box_lies_on_its_voxels_in_every_view() -> None:
    volume = findings_in("axial").source.volume
    marked = np.zeros(SHAPE, dtype=np.uint8)
    marked[3:5, 7:12, 2:9] = 1
    low, high = (2.5, 6.5, 1.5), (4.5, 11.5, 8.5)
    for view in (along_slices(volume, 3), across(volume, 1, 8), across(volume, 2, 5)):
        top, left, bottom, right = (round(edge) for edge in view.span(low, high))
        expected = np.zeros(view.shape, dtype=np.uint8)
        expected[top:bottom, left:right] = 1
        assert (view.of(marked) == expected).all()
