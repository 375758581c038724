"""Steps that smooth and that even out shading: Gaussian, median and N4 bias correction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.interpolate import image_of
from dicomnode.infer.prepare.statistics import extremes

#: SimpleITK, whose functions carry no types.
ITK: Any = SimpleITK


def gaussian(image: Image, *, sigma_mm: float) -> Image:
    """Convolve with a Gaussian of this standard deviation in mm, cut off at four of them; the border is repeated."""
    # One axis after the other into the same array: scipy reads a line into a buffer before it writes it.
    result = image.array if image.owned and image.array.dtype == np.float32 else image.array.astype(np.float32)
    for axis, sigma in enumerate(sigma_mm / image.grid.spacing_mm):
        ndimage.gaussian_filter1d(result, sigma, axis=axis, output=result, mode="nearest")
    return image.holding(result)


def median(image: Image, *, radius: tuple[int, int, int]) -> Image:
    """The median of a box that reaches `radius` voxels along (slice, row, column); the border is repeated."""
    done = ITK.Median(ITK.GetImageFromArray(image.floats()), list(reversed(radius)))
    return image.holding(ITK.GetArrayFromImage(done))


def bias_field(
    image: Image, *, over: str = "otsu", shrink: int = 4, iterations: Sequence[int] = (50, 50, 50, 50)
) -> Image:
    """Divide by the slowly varying field that N4 finds (Tustison 2010, IEEE Trans. Med. Imaging 29:1310).

    Parameters
    ----------
    over
        Where to look: `otsu` for what lies above Otsu's threshold, `foreground`, `whole`, or a mask found before.
    shrink
        The field is found on every n-th voxel.
    iterations
        At most, per level of refinement.

    Raises
    ------
    Unsuitable
        If values are negative: N4 takes logarithms. Or if nothing is left to look at.
    """
    lowest, highest = extremes(image, "whole")
    if lowest < 0 or lowest == highest:
        raise Unsuitable(
            f"bias correction: values from {lowest:g} to {highest:g}, needed none below 0 and not all equal"
        )
    whole = image_of(image.floats(), image.grid.affine)
    mask = _where(image, over, whole)
    if not ITK.GetArrayViewFromImage(mask).any():
        raise Unsuitable(f"bias correction: no voxel is {over}, needed some to look at")
    factors = [min(shrink, size) for size in whole.GetSize()]
    corrector = ITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([int(count) for count in iterations])
    corrector.Execute(ITK.Shrink(whole, factors), ITK.Shrink(mask, factors))
    field = ITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(whole))
    return image.holding((image.floats() / np.exp(field)).astype(np.float32, copy=False))


def _where(image: Image, over: str, whole: Any) -> Any:
    if over == "otsu":
        return ITK.OtsuThreshold(whole, 0, 1, 200)
    if over == "whole":
        mask = np.ones(image.array.shape, dtype=np.uint8)
    elif over == "foreground":
        mask = (image.array != 0).astype(np.uint8)
    else:
        mask = image.mask(over).view(np.uint8)
    return image_of(mask, image.grid.affine)
