"""Masks slice by slice: dilation, erosion and opening by a disc, and filling of what they enclose."""

from __future__ import annotations

from math import isqrt

import numpy as np
from scipy import ndimage

from dicomnode.infer.prepare.image import Mask

#: Neighbours within a slice only, by their edges.
IN_SLICE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))], dtype=bool)


def dilated(mask: Mask, radius: int) -> Mask:
    """All voxels that have one of the mask's within `radius` voxels in their slice (centres, Euclidean)."""
    result = np.zeros_like(mask)
    for source, target in zip(mask, result, strict=True):
        rows, columns = np.flatnonzero(source.any(axis=1)), np.flatnonzero(source.any(axis=0))
        if len(rows):
            reached = tuple(slice(max(0, each[0] - radius), each[-1] + radius + 1) for each in (rows, columns))
            _dilate(source[reached], radius, target[reached])
    return result


def _dilate(source: Mask, radius: int, target: Mask) -> None:
    # A disc is a pile of rows: widening along columns is van Herk's running maximum, whatever the width.
    rows = len(source)
    for up in range(min(radius, rows - 1) + 1):
        wide = 2 * isqrt(radius * radius - up * up) + 1
        row = ndimage.maximum_filter1d(source.view(np.uint8), wide, axis=1, mode="constant").view(np.bool_)
        target[up:] |= row[: rows - up]
        target[: rows - up] |= row[up:]


def eroded(mask: Mask, radius: int) -> Mask:
    """All voxels whose neighbours within `radius` voxels in their slice belong to the mask; beyond the edge all do."""
    return ~dilated(~mask, radius)


def opened(mask: Mask, radius: int) -> Mask:
    """The mask without what a disc of this radius does not fit into."""
    return dilated(eroded(mask, radius), radius)


def filled(mask: Mask) -> Mask:
    """The mask with all that it encloses within a slice."""
    labels, count = ndimage.label(~mask, structure=IN_SLICE)
    border = np.zeros(count + 1, dtype=bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        border[edge.ravel()] = True
    border[0] = False
    result: Mask = ~border[labels]
    return result


def pieces_of(mask: Mask, share: float) -> Mask:
    """The pieces, joined by faces, that have at least this share of the largest one's voxels."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    result: Mask = ((sizes >= share * sizes.max()) & (sizes > 0))[labels]
    return result
