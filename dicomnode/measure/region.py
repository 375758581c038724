"""The part of a volume that one segment occupies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.model import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Bounding box of one segment.

    Attributes
    ----------
    mask
        bool, shape (slice, row, column) of the box; True inside the segment.
    box
        Slices that cut the same box out of the whole volume.
    """

    segment: Segment
    mask: NDArray[np.bool_]
    box: tuple[slice, slice, slice]

    def of(self, volume: Volume) -> NDArray[Any]:
        """The box of `volume`, a view."""
        array: NDArray[Any] = volume.array
        return array[self.box]


def regions(volume: Volume, segmentation: Segmentation, margin: int = 0) -> tuple[Region, ...]:
    """The box of each present segment, wider by `margin` voxels where the volume has them.

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    array = segmentation.volume.array
    if array.shape != volume.spatial_shape:
        raise ModelError(f"segmentation: grid of {array.shape} voxels, needed the source's {volume.spatial_shape}")
    return tuple(_region(array, segment, margin) for segment in segmentation.present())


def _region(array: NDArray[Any], segment: Segment, margin: int) -> Region:
    whole = array == segment.number
    columns = whole.any(axis=0)
    extents = (whole.any(axis=(1, 2)), columns.any(axis=1), columns.any(axis=0))
    box = []
    for extent, length in zip(extents, array.shape, strict=True):
        occupied = np.flatnonzero(extent)
        box.append(slice(max(0, int(occupied[0]) - margin), min(length, int(occupied[-1]) + 1 + margin)))
    slices, rows, columns_ = box
    return Region(segment=segment, mask=whole[slices, rows, columns_], box=(slices, rows, columns_))


def voxel_volume_ml(volume: Volume) -> float:
    """Volume of one voxel from the affine, so that sheared and oblique grids count right."""
    return float(abs(np.linalg.det(np.asarray(volume.affine)[:3, :3]))) / 1000.0
