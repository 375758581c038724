"""How far a lesion of the lung is from the pleura."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dicomnode.measure.region import Region

#: Half the width of the first box that is searched: most nodules lie nearer than that to the pleura. It doubles until
#: what is found is nearer than the box's own border, so it decides the time alone.
_FIRST_REACH_MM = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The shortest way from a lesion to the pleura, its end points in voxels (slice, row, column), shape (2, 3)."""

    distance_mm: float
    ends: NDArray[np.float64]


def gap(
    labels: NDArray[Any], region: Region, lungs: Iterable[int], lesions: Iterable[int], spacing_mm: tuple[float, ...]
) -> Gap | None:
    """Distance in mm from the lesion's voxels to the nearest voxel outside the lung, edge to edge.

    The pleura is where the lung ends, lung being the lungs' segments with all lesions. Voxels are boxes here: a lesion
    whose voxel touches one outside, be it by a corner, has distance 0. That distance is the one to the nearest voxel
    that touches one outside.

    Parameters
    ----------
    labels
        The whole label map, shape (slice, row, column).
    region
        The lesion.
    lungs, lesions
        Numbers of the segments of the lungs, and of the lesions in them.
    spacing_mm
        Along the axes of the label map.

    Returns
    -------
    None where the lesion does not touch a lung, or the image holds nothing outside.
    """
    lung_numbers = sorted(lungs)
    # Label maps are of bytes, so a table answers faster than a search.
    beyond = np.ones(256, dtype=bool)
    beyond[[*lung_numbers, *lesions, region.segment.number]] = False
    box, mask = _widened(region, labels.shape, (1, 1, 1))
    if not np.isin(labels[box][_grown(mask)], lung_numbers).any():
        return None
    reach_mm = _FIRST_REACH_MM
    while True:
        margin = tuple(int(np.ceil(reach_mm / length)) + 1 for length in spacing_mm)
        box, mask = _widened(region, labels.shape, margin)
        found = _nearest(beyond[labels[box]], mask, spacing_mm)
        whole = all(part.start == 0 and part.stop == length for part, length in zip(box, labels.shape, strict=True))
        if found is not None and (found.distance_mm <= reach_mm or whole):
            start = np.array([part.start for part in box], dtype=np.float64)
            return Gap(distance_mm=found.distance_mm, ends=found.ends + start)
        if whole:
            return None
        reach_mm *= 2


def _nearest(outside: NDArray[np.bool_], mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> Gap | None:
    rim = np.argwhere(_grown(outside) & ~outside).astype(np.float64)
    if not len(rim):
        return None
    lesion = np.argwhere(mask & _grown(~mask)).astype(np.float64)
    tree: Any = cKDTree(lesion * spacing_mm)
    distances, nearest = tree.query(rim * spacing_mm)
    best = int(distances.argmin())
    return Gap(distance_mm=float(distances[best]), ends=np.array([lesion[nearest[best]], rim[best]]))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with all voxels that touch it by a face, an edge or a corner: axis by axis, as a box is grown."""
    grown = mask.copy()
    for axis in range(mask.ndim):
        along = np.moveaxis(grown, axis, 0)
        before = along.copy()
        along[1:] |= before[:-1]
        along[:-1] |= before[1:]
    return grown


def _widened(
    region: Region, shape: tuple[int, ...], margin: tuple[int, ...]
) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    """The box of a region with a margin where the image has it, and the region's mask in it."""
    box = tuple(
        slice(max(0, part.start - more), min(length, part.stop + more))
        for part, length, more in zip(region.box, shape, margin, strict=True)
    )
    mask = np.zeros(tuple(part.stop - part.start for part in box), dtype=bool)
    own = tuple(
        slice(part.start - wide.start, part.stop - wide.start) for part, wide in zip(region.box, box, strict=True)
    )
    mask[own] = region.mask
    return box, mask
