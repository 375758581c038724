"""Size and place of the segments of a result, measured once for all rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from highdicom import Volume
from scipy import ndimage

from dicomnode.domain.finding import SourceSeries

Box = tuple[slice, ...]

#: Half way between air and water in Hounsfield units: the edge of the body.
BODY_HU = -500.0

#: Every how many rows and columns are looked at for the middle of the body; their mean place moves by less than one.
STRIDE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """One segment in indices (slice, row, column).

    Attributes
    ----------
    box
        The smallest box around it.
    centre_mm
        Mean of its voxels, LPS.
    """

    voxels: int
    box: Box
    centre_mm: tuple[float, float, float]


def extents_of(volume: Volume) -> dict[int, Extent]:
    """The extent of every label that occurs in a label map."""
    labels = volume.array
    # The box around all labels is found ten times faster than those of single ones, for which half the voxels remain.
    slices, plane = labels.max(axis=(1, 2)), labels.max(axis=0)
    if not slices.any():
        return {}
    around = tuple(_ends(counts) for counts in (slices, plane.max(axis=1), plane.max(axis=0)))
    boxes: Sequence[Box | None] = ndimage.find_objects(labels[around])
    return {
        number: _extent(
            volume, number, tuple(_moved(side, whole.start) for side, whole in zip(box, around, strict=True))
        )
        for number, box in enumerate(boxes, start=1)
        if box is not None
    }


def _extent(volume: Volume, number: int, box: Box) -> Extent:
    mask = volume.array[box] == number
    voxels, centre = _mean_place(mask)
    x, y, z = (volume.affine @ [*(side.start + place for side, place in zip(box, centre, strict=True)), 1.0])[:3]
    return Extent(voxels=voxels, box=box, centre_mm=(float(x), float(y), float(z)))


def _mean_place(mask: npt.NDArray[np.bool_]) -> tuple[int, tuple[float, ...]]:
    """How many voxels are set, and their mean index along every axis.

    Counted by sums, because a list of all voxels would take 24 bytes for each.
    """
    over_columns, over_slices = mask.sum(axis=2, dtype=np.int32), mask.sum(axis=0, dtype=np.int32)
    counts = (over_columns.sum(axis=1), over_slices.sum(axis=1), over_slices.sum(axis=0))
    voxels = int(counts[0].sum())
    return voxels, tuple(float(count @ np.arange(count.size)) / max(voxels, 1) for count in counts)


def _ends(counts: npt.NDArray[Any]) -> slice:
    set_ = np.flatnonzero(counts)
    return slice(int(set_[0]), int(set_[-1]) + 1)


def _moved(side: slice, by: int) -> slice:
    return slice(side.start + by, side.stop + by)


def components(labels: npt.NDArray[np.uint8], number: int, extent: Extent) -> int:
    """How many pieces a segment has that hang together by faces of voxels (6-neighbourhood, as after the network)."""
    image: Any = SimpleITK.GetImageFromArray((labels[extent.box] == number).view(np.uint8))
    pieces = SimpleITK.ConnectedComponentImageFilter()  # type: ignore[no-untyped-call]
    pieces.Execute(image)  # type: ignore[no-untyped-call]
    return int(pieces.GetObjectCount())  # type: ignore[no-untyped-call]


def middle_mm(volume: Volume, source: SourceSeries | None) -> float:
    """Where the middle of the body lies along x (LPS): of what is denser than air, else of the grid.

    Bodies lie off the middle of the grid by centimetres, so that the grid alone tells sides of lateral organs only.
    """
    centre = [(size - 1) / 2 for size in volume.spatial_shape]
    if source is not None:
        coarse = source.volume.array[:, ::STRIDE, ::STRIDE]
        voxels, place = _mean_place(coarse > (BODY_HU if source.unit == "[hnsf'U]" else float(coarse.mean())))
        if voxels:
            centre = [index * step for index, step in zip(place, (1, STRIDE, STRIDE), strict=True)]
    return float((volume.affine @ [*centre, 1.0])[0])
