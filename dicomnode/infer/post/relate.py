"""Steps that hold one segment against another: merging, and keeping what lies inside or outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dicomnode.infer.post.pieces import Labels, Pieces
from dicomnode.infer.post.shape import Spacing, dilated, enclosed


def merge(labels: Labels, numbers: Sequence[int], into: int) -> None:
    """Give the voxels of the segments to another."""
    lookup = np.arange(256, dtype=np.uint8)
    lookup[list(numbers)] = into
    for slab in labels:
        slab[...] = lookup[slab]


def mask_by(
    labels: Labels,
    numbers: Sequence[int],
    by: int,
    *,
    inside: bool,
    margin_mm: float,
    whole: bool,
    spacing_mm: Spacing,
) -> None:
    """Drop what lies on the wrong side of another segment.

    Parameters
    ----------
    by
        The other segment; what it encloses and what lies within the margin counts as inside.
    whole
        Whether a piece that lies on the right side with any voxel stays as a whole.
    """
    region = labels == by
    region |= enclosed(region)
    if margin_mm > 0:
        region = dilated(region, margin_mm, spacing_mm)
    if not inside:
        region = ~region
    for number in numbers:
        mask = labels == number
        if whole:
            pieces = Pieces.of(mask)
            right = np.zeros(int(pieces.numbers.max()) + 1, dtype=np.bool_)
            right[np.unique(pieces.numbers[region & mask])] = True
            mask &= ~right[pieces.numbers]
        else:
            mask &= ~region
        labels[mask] = 0
