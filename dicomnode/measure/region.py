"""The part of a volume that one segment occupies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray

from dicomnode.domain.boxes import boxes
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
    found = boxes(array)
    described = ((segment, found.get(segment.number)) for segment in segmentation.segments)
    return tuple(_region(array, segment, box, margin) for segment, box in described if box is not None)


def _region(array: NDArray[Any], segment: Segment, box: tuple[slice, slice, slice], margin: int) -> Region:
    slices, rows, columns = (
        slice(max(0, part.start - margin), min(length, part.stop + margin))
        for part, length in zip(box, array.shape, strict=True)
    )
    return Region(segment=segment, mask=array[slices, rows, columns] == segment.number, box=(slices, rows, columns))


def voxel_volume_ml(volume: Volume) -> float:
    """Volume of one voxel from the affine, so that sheared and oblique grids count right."""
    return float(abs(np.linalg.det(np.asarray(volume.affine)[:3, :3]))) / 1000.0
