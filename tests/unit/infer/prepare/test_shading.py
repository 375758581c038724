"""N4 on few voxels, and its field in slabs, against SimpleITK's own on the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare import shading
from tests.unit.infer.prepare.conftest import image

#: SimpleITK, whose functions carry no types.
ITK: Any = SimpleITK


def shaded(shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Two tissues under smooth shading with noise; nothing is below 0."""
    indices = np.indices(shape)
    middle = np.array(shape).reshape(3, 1, 1, 1) / 2
    tissue = np.where(((indices - middle) ** 2).sum(axis=0) < 400, 160, 60)
    shade = np.exp(0.4 * np.sin(indices[2] / 20) + 0.2 * np.cos(indices[1] / 16))
    noise = np.random.default_rng(1).normal(0, 2, shape)
    found: npt.NDArray[np.float32] = (tissue * shade + noise).clip(0).astype(np.float32)
    return found


def of_simpleitk(
    array: npt.NDArray[np.float32], over: str, shrink: int, iterations: list[int]
) -> npt.NDArray[np.float32]:
    whole = ITK.GetImageFromArray(array)
    ones = ITK.GetImageFromArray(np.ones(array.shape, dtype=np.uint8))
    mask = ITK.OtsuThreshold(whole, 0, 1, 200) if over == "otsu" else ones
    corrector = ITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(iterations)
    corrector.Execute(ITK.Shrink(whole, [shrink] * 3), ITK.Shrink(mask, [shrink] * 3))
    found: npt.NDArray[np.float32] = array / np.exp(ITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(whole)))
    return found


@pytest.mark.parametrize("over", ["otsu", "whole"])
@pytest.mark.parametrize(
    ("shape", "shrink", "iterations"),
    [((20, 45, 50), 2, [20, 20]), ((13, 64, 70), 4, [10, 10, 10, 10]), ((9, 30, 31), 3, [10])],
)
def test_the_corrected_image_is_that_of_simpleitk(
    shape: tuple[int, int, int], shrink: int, iterations: list[int], over: str
) -> None:
    array = shaded(shape)
    wanted = of_simpleitk(array, over, shrink, iterations)
    found = shading.bias_field(image(array), over=over, shrink=shrink, iterations=iterations).array
    # The field is found in float32 and its threads add up in any order: 3e-5 were seen.
    assert np.abs(found / wanted - 1).max() < 2e-4
    assert np.abs(wanted / array - 1).max() > 0.05


@pytest.mark.parametrize(("shape", "shrink"), [((20, 45, 50), 2), ((13, 64, 71), 4), ((9, 31, 30), 3)])
def test_the_voxels_that_are_looked_at_are_those_of_simpleitk(shape: tuple[int, int, int], shrink: int) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    wanted = ITK.GetArrayFromImage(ITK.Shrink(ITK.GetImageFromArray(array), [shrink] * 3))
    assert np.array_equal(array[shading.every_nth(image(array).grid, shrink)], wanted)


def test_the_threshold_is_that_of_simpleitk_to_a_bin() -> None:
    array = shaded((20, 45, 50))
    otsu = ITK.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(shading.OTSU_BINS)
    otsu.Execute(ITK.GetImageFromArray(array))
    found = shading.otsu_threshold(image(array))
    assert found == pytest.approx(otsu.GetThreshold(), abs=float(np.ptp(array)) / shading.OTSU_BINS)


@pytest.mark.parametrize("slices", [2, 3, 5, 7])
def test_few_slices_are_shrunk_less_so_that_two_are_left(slices: int) -> None:
    array = shaded((slices, 40, 41))
    found = shading.bias_field(image(array), over="whole", iterations=(5, 5)).array
    assert np.isfinite(found).all()
    assert found.std() < array.std()


def test_what_n4_cannot_do_is_told() -> None:
    array = shaded((4, 20, 21))
    with pytest.raises(Unsuitable, match="needed 2 along every axis"):
        shading.bias_field(image(array[:1]))
    with pytest.raises(Unsuitable, match="no voxel is body"):
        shading.bias_field(image(array, body=np.zeros(array.shape, dtype=bool)), over="body")
    array[0, 0, 0] = np.nan
    with pytest.raises(Unsuitable, match="needed finite numbers"):
        shading.bias_field(image(array))


def test_the_source_is_not_written_into() -> None:
    array = shaded((6, 20, 21))
    before = array.copy()
    shading.bias_field(image(array), over="whole", iterations=(5,))
    assert np.array_equal(array, before)
