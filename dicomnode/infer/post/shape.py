"""Holes, gaps and thin parts of a segment, measured in millimetres."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from dicomnode.infer.post.pieces import Labels, Mask, Pieces

Spacing = tuple[float, float, float]


def fill_holes(labels: Labels, number: int, slicewise: bool = False) -> None:
    """Give a segment the background that it encloses; other segments inside it stay.

    Parameters
    ----------
    slicewise
        Whether a hole is what a segment encloses in a slice, not in three dimensions.
    """
    if slicewise:
        for slab in labels:
            slab[ndimage.binary_fill_holes(slab == number) & (slab == 0)] = number
        return
    labels[enclosed(labels == number) & (labels == 0)] = number


def enclosed(mask: Mask) -> Mask:
    """What a mask encloses in three dimensions without being part of it."""
    # A rim of background joins all that is open to the outside of the box into one piece.
    pieces = Pieces.of(np.pad(~mask, 1, constant_values=True))
    inner = pieces.numbers[1:-1, 1:-1, 1:-1]
    holes: Mask = (inner != pieces.numbers[0, 0, 0]) & ~mask
    return holes


def closing(labels: Labels, number: int, radius_mm: float, spacing_mm: Spacing) -> None:
    """Close gaps of one segment that are narrower than a ball; only background is taken."""
    rims = _rims(radius_mm, spacing_mm)
    mask = np.pad(labels == number, [(rim, rim) for rim in rims])
    closed = eroded(dilated(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)
    inner = closed[tuple(slice(rim, -rim or None) for rim in rims)]
    labels[inner & (labels == 0)] = number


def opening(labels: Labels, number: int, radius_mm: float, spacing_mm: Spacing) -> None:
    """Turn what is narrower than a ball into background; beyond the edge of the volume a segment is taken to end."""
    rims = _rims(radius_mm, spacing_mm)
    mask = np.pad(labels == number, [(rim, rim) for rim in rims])
    opened = dilated(eroded(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)
    inner = opened[tuple(slice(rim, -rim or None) for rim in rims)]
    labels[(labels == number) & ~inner] = 0


def dilated(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """All voxels whose centre lies within a distance of the centre of one of the mask."""
    if not mask.any():
        return mask.copy()
    image = SimpleITK.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing([float(step) for step in reversed(spacing_mm)])  # type: ignore[no-untyped-call]
    # Outside the mask Maurer's distance is exact (squared here, to spare the roots); inside it is negative.
    squared = SimpleITK.SignedMaurerDistanceMap(  # type: ignore[no-untyped-call]
        image, squaredDistance=True, useImageSpacing=True
    )
    near: npt.NDArray[np.bool_] = SimpleITK.GetArrayViewFromImage(squared) <= radius_mm**2 * (1 + _ROUNDING)
    return near | mask


def eroded(mask: Mask, radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The voxels of a mask with no voxel outside it within a distance; beyond the array nothing is known to lie."""
    rest: Mask = ~dilated(~mask, radius_mm, spacing_mm)
    return rest


#: float32 squares of distances that are equal by construction differ by this much.
_ROUNDING = 1e-5


def _rims(radius_mm: float, spacing_mm: Spacing) -> list[int]:
    """Voxels by which a ball reaches beyond the segment along every axis."""
    return [int(radius_mm / step) + 1 for step in spacing_mm]
