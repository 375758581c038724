"""What a series must be for a model, and what a result must be to be believed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Segmentation, SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.quality.gate import check, plane_of
from dicomnode.infer.quality.plausible import plausible

Make = Callable[..., ModelSpec]
AsSource = Callable[[Volume], SourceSeries]


def affine(row: tuple[float, ...], column: tuple[float, ...]) -> np.ndarray:
    result = np.eye(4)
    result[:3, 2], result[:3, 1] = row, column
    result[:3, 0] = np.cross(row, column)
    return result


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [
        ((1, 0, 0), (0, 1, 0), "axial"),
        ((-1, 0, 0), (0, -1, 0), "axial"),
        ((1, 0, 0), (0, 0, -1), "coronal"),
        ((0, 1, 0), (0, 0, -1), "sagittal"),
        ((0, 0, 1), (0, 1, 0), "sagittal"),
        ((1, 0, 0), (0, 0.9, -0.4359), "axial"),
        ((1, 0, 0), (0, 0.7071, -0.7071), "oblique"),
        ((0.75, 0.6614, 0), (-0.6614, 0.75, 0), "oblique"),
    ],
)
def test_the_plane_is_that_of_rows_and_columns(row: tuple[float, ...], column: tuple[float, ...], plane: str) -> None:
    assert plane_of(affine(row, column)) == plane


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slice_spacing_mm = [0.5", "slice_spacing_mm = [2.5", "slice spacing 2 mm, toy needs 2.5 to 6 mm"),
        ("pixel_spacing_mm = [0.5, 3.0]", "pixel_spacing_mm = [0.5, 1.4]", r"pixel spacing 1\.5 × 1\.25 mm, toy needs"),
        ("minimum_slices = 4", "minimum_slices = 20", "14 slices, toy needs 20 or more"),
        (
            'orientations = ["axial", "coronal"',
            'orientations = ["coronal"',
            "axial slices, toy needs coronal or sagittal",
        ),
        ("clip = [-1000.0", "clip = [950.0", "intensities from -900 to 900, toy needs contrast between 950 and 1000"),
    ],
)
def test_a_series_outside_the_range_is_refused(
    phantom: Volume, as_source: AsSource, bundle: Make, old: str, new: str, said: str
) -> None:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    with pytest.raises(Unsuitable, match=said):
        check(as_source(phantom), bundle(edit=edit))


def test_an_image_without_contrast_is_refused(phantom: Volume, as_source: AsSource, bundle: Make) -> None:
    with pytest.raises(Unsuitable, match="contrast"):
        check(as_source(phantom.with_array(np.zeros_like(phantom.array))), bundle())


def test_a_suitable_series_carries_no_warning(phantom: Volume, as_source: AsSource, bundle: Make) -> None:
    assert check(as_source(phantom), bundle()) == ()


def test_unspecified_units_are_mentioned_and_other_units_refused(
    phantom: Volume, as_source: AsSource, bundle: Make
) -> None:
    source = as_source(phantom)
    source.datasets[0].RescaleType = "US"
    assert "may not be Hounsfield units" in check(source, bundle())[0]
    source.datasets[0].RescaleType = "MGML"
    with pytest.raises(Unsuitable, match="Rescale Type is MGML, needed HU"):
        check(source, bundle())


def test_a_ct_without_rescale_has_no_hounsfield_units(phantom: Volume, as_source: AsSource, bundle: Make) -> None:
    source = as_source(phantom)
    del source.datasets[0].RescaleSlope
    with pytest.raises(Unsuitable, match="no Rescale Slope and Intercept"):
        check(source, bundle())


def result(phantom: Volume, spec: ModelSpec, first: tuple[slice, ...], second: tuple[slice, ...]) -> Segmentation:
    labels = np.zeros(phantom.array.shape, dtype=np.uint8)
    labels[first] = 1
    labels[second] = 2
    return Segmentation(volume=phantom.with_array(labels), segments=spec.segments)


RIGHT = (slice(3, 11), slice(4, 20), slice(2, 12))
LEFT = (slice(3, 11), slice(4, 20), slice(16, 28))
NOWHERE = (slice(0, 0),) * 3


def test_sides_that_are_swapped_are_not_believed(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    assert plausible(result(phantom, spec, RIGHT, LEFT), spec) == ()
    said = r"orientation is not believed: Right thing lies at x = 7 mm and Left thing at x = -12 mm"
    with pytest.raises(Unsuitable, match=said):
        plausible(result(phantom, spec, LEFT, RIGHT), spec)


def test_sides_are_judged_in_the_patient_and_not_in_the_array(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    right = result(phantom, spec, RIGHT, LEFT)
    mirrored = Segmentation(volume=right.volume.flip_spatial(2), segments=spec.segments)
    assert plausible(mirrored, spec) == ()


def test_an_empty_segment_is_a_doubt_and_no_reason_to_disbelieve(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    assert plausible(result(phantom, spec, NOWHERE, RIGHT), spec) == ("Right thing: nothing found",)


def test_an_unusual_volume_is_a_doubt(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    speck = (slice(3, 5), slice(4, 6), slice(2, 5))
    assert plausible(result(phantom, spec, speck, LEFT), spec) == (
        "Right thing: volume 0.045 ml is unusual, expected 1 to 900 ml",
    )


def test_a_segment_on_the_outermost_slices_may_be_cut_off(phantom: Volume, bundle: Make) -> None:
    spec = bundle()
    whole = (slice(0, 14), *RIGHT[1:])
    top = (slice(9, 14), *LEFT[1:])
    assert plausible(result(phantom, spec, whole, top), spec) == (
        "Right thing: reaches the first and last slice and may be cut off there",
        "Left thing: reaches the last slice and may be cut off there",
    )
