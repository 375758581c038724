"""Laplacian of Gaussian of a box against ITK's own filter on the whole block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK

from dicomnode.measure.features.laplacian import laplacian_of_gaussian

#: It carries no type information.
sitk: Any = SimpleITK


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("sigma_mm", [0.75, 3.0])
def test_a_box_has_the_values_of_the_filter_on_the_whole_block_to_the_last_bit(kind: type, sigma_mm: float) -> None:
    array: Any = (np.random.default_rng(5).normal(size=(14, 22, 31)) * 300).astype(kind)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.9, 2.5))
    box = (slice(3, 9), slice(0, 22), slice(10, 30))
    whole = sitk.LaplacianRecursiveGaussianImageFilter()
    whole.SetNormalizeAcrossScale(True)
    whole.SetSigma(sigma_mm)
    expected = sitk.GetArrayFromImage(whole.Execute(image))[box]
    assert np.array_equal(laplacian_of_gaussian(image, sigma_mm, box), expected)
