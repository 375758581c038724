"""Finds where any input holds a value, with all that this encloses, or one above 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.image import Image, Mask


def nonzero(images: Sequence[Image]) -> Mask:
    """Where any of the images is not 0, and what of the rest cannot be reached from the ends of the grid by faces.

    Raises
    ------
    Unsuitable
        If the images lie on different grids, or hold nothing but 0.
    """
    first = images[0]
    _require_one_grid(images, "nonzero")
    zero: Mask = first.array == 0
    for image in images[1:]:
        zero &= image.array == 0
    if zero.all():
        raise Unsuitable("nonzero: every value is 0, needed an image")
    ends = [zero[(slice(None),) * axis + (end,)] for axis in range(3) for end in (0, -1)]
    if not any(end.any() for end in ends):
        return np.ones_like(zero)
    # As scipy's binary_fill_holes, which dilates step by step and takes many times longer.
    regions, count = ndimage.label(zero)
    del zero, ends
    reached = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            reached[np.unique(regions[(slice(None),) * axis + (end,)])] = True
    reached[0] = False
    mask: Mask = reached[regions]
    return np.logical_not(mask, out=mask)


def positive(images: Sequence[Image]) -> Mask:
    """Where any of the images is above 0.

    Raises
    ------
    Unsuitable
        If the images lie on different grids.
    """
    _require_one_grid(images, "positive")
    mask: Mask = images[0].array > 0
    for image in images[1:]:
        mask |= image.array > 0
    return mask


def _require_one_grid(images: Sequence[Image], step: str) -> None:
    if not all(image.grid.same_as(images[0].grid) for image in images):
        raise Unsuitable(f"{step}: the inputs lie on different grids, needed one: a step align before")
