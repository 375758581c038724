"""Steps that smooth: Gaussian and median."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from scipy import ndimage

from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.interpolate import slabs

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
    result = np.empty(image.array.shape, dtype=np.float32)
    for part in slabs(image.grid.shape):
        # With the neighbours of a slab; where it ends with the image ITK repeats the border.
        start = max(part.start - radius[0], 0)
        needed = image.array[start : part.stop + radius[0]].astype(np.float32, copy=False)
        done = ITK.GetArrayFromImage(ITK.Median(ITK.GetImageFromArray(needed), list(reversed(radius))))
        result[part] = done[part.start - start : part.stop - start]
    return image.holding(result)
