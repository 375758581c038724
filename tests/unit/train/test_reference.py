"""Contours become the masks that their author meant, and the measures of agreement are right."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.train.phantoms import LEFT, RIGHT, thorax
from dicomnode.train.reference import AxialCT, dice, filled_polygon, roi_mask, threshold_lungs

Contour = list[tuple[float, float, float]]


@pytest.fixture
def ct() -> AxialCT:
    return AxialCT(
        hounsfield=np.zeros((3, 40, 50), dtype=np.int16), spacing_mm=(3.0, 2.0, 2.0), origin_mm=(-10.0, 20.0, 100.0)
    )


def structure_set(*contours: Contour) -> Dataset:
    roi, shape = Dataset(), Dataset()
    roi.ROIName, roi.ROINumber = "Lung R", 4
    shape.ReferencedROINumber = 4
    shape.ContourSequence = []
    for points in contours:
        item = Dataset()
        item.ContourGeometricType = "CLOSED_PLANAR"
        item.ContourData = [value for point in points for value in point]
        shape.ContourSequence.append(item)
    result = Dataset()
    result.StructureSetROISequence, result.ROIContourSequence = [roi], [shape]
    return result


def square(low: float, high: float, z: float) -> Contour:
    return [(low, low + 30, z), (high, low + 30, z), (high, high + 30, z), (low, high + 30, z)]


def test_a_square_fills_the_pixels_whose_centres_it_holds(ct: AxialCT) -> None:
    mask = roi_mask(structure_set(square(-1, 21, 103)), "Lung R", ct)
    assert mask.sum() == 11 * 11
    assert mask[1].sum() == mask.sum()
    slice_, row, column = (int(index.min()) for index in np.nonzero(mask))
    assert (slice_, row, column) == (1, 5, 5)


def test_a_contour_inside_another_is_a_hole(ct: AxialCT) -> None:
    mask = roi_mask(structure_set(square(-1, 21, 103), square(5, 11, 103)), "Lung R", ct)
    assert mask.sum() == 11 * 11 - 3 * 3


def test_a_repeated_contour_counts_once(ct: AxialCT) -> None:
    once = square(-1, 21, 103)
    other_start = once[2:] + once[:2]
    more_points = [point for pair in zip(once, [*once[1:], once[0]], strict=True) for point in (pair[0], middle(*pair))]
    mask = roi_mask(structure_set(once, other_start, more_points), "Lung R", ct)
    assert mask.sum() == 11 * 11


def middle(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, a[2]


def test_contours_beyond_the_image_are_ignored(ct: AxialCT) -> None:
    assert not roi_mask(structure_set(square(-1, 21, 130)), "Lung R", ct).any()


def test_an_unknown_name_tells_which_names_there_are(ct: AxialCT) -> None:
    with pytest.raises(KeyError, match="Lung R"):
        roi_mask(structure_set(square(-1, 21, 103)), "Lung L", ct)


def test_a_polygon_that_leaves_the_image_is_cut_at_its_edge() -> None:
    mask = filled_polygon(np.array([-5.0, -5, 2.5, 2.5]), np.array([-5.0, 9, 9, -5]), (4, 6))
    assert mask[:3].all()
    assert not mask[3].any()


def test_dice_counts_what_both_hold_twice() -> None:
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert dice(a, b) == 0.5
    assert dice(a, b, exclude=np.array([False, True, True, False])) == 1.0
    assert dice(a & ~a, b & ~b) == 1.0


def test_thresholding_finds_both_lungs_of_a_healthy_phantom_on_their_sides() -> None:
    phantom = thorax(2, spacing_mm=(8.0, 2.5, 2.5), shape=(34, 150, 160), variety=0.0)
    ct = AxialCT(hounsfield=phantom.hounsfield, spacing_mm=phantom.spacing_mm, origin_mm=phantom.origin_mm)
    labels = threshold_lungs(ct)
    for side in (RIGHT, LEFT):
        assert dice(labels == side, phantom.labels == side) > 0.9
