"""Added path length: how much of a reference contour somebody would still have to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicomnode.measure.agreement.overlap import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedPath:
    """What the answer lacks of the reference.

    Attributes
    ----------
    pixels
        Pixels of the reference's contour that are none of the answer's, over all slices (Vaassen et al., Phys Imaging
        Radiat Oncol 2020;13:1-6).
    length_mm
        The same, each as long as a pixel is on the average of both directions.
    voxels
        Voxels of the reference, contour and inside, that are none of the answer's: the sum over reference minus answer.
    """

    pixels: int
    length_mm: float
    voxels: int


def added_path(reference: Mask, answer: Mask, row_mm: float, column_mm: float) -> AddedPath:
    """Hold the contours of two masks against each other, slice by slice.

    Parameters
    ----------
    reference, answer
        bool, same shape (slice, row, column).
    """
    pixels = int(np.count_nonzero(contour(reference) & ~contour(answer)))
    voxels = int(np.count_nonzero(reference & ~answer))
    return AddedPath(pixels=pixels, length_mm=pixels * (row_mm + column_mm) / 2, voxels=voxels)


def contour(mask: Mask) -> Mask:
    """The voxels of a mask with one of four neighbours in their slice outside it; beyond the image is outside."""
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    inside = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    found: Mask = mask & ~inside
    return found
