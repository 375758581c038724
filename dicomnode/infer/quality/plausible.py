"""Holds a result against what its bundle calls plausible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.model import ModelSpec, Segment
from dicomnode.infer.post.tidy import Box, boxes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extent:
    """Size and place of one segment in indices (slice, row, column)."""

    voxels: int
    centre: tuple[float, ...]
    first_slice: int
    last_slice: int


def plausible(segmentation: Segmentation, spec: ModelSpec) -> tuple[str, ...]:
    """Hold a result against what the bundle calls plausible.

    Returns
    -------
    tuple of str
        Doubts that a reader has to know: empty segments, volumes out of range, segments cut off by the first or last
        slice.

    Raises
    ------
    Unsuitable
        If a segment that must lie right of another does not: then the orientation of the images is not believed.
    """
    labels, volume = segmentation.volume.array, segmentation.volume
    extents = {number: _extent(labels, number, box) for number, box in boxes_of(labels).items()}
    centre_mm = {number: (volume.affine @ [*extent.centre, 1.0])[:3] for number, extent in extents.items()}
    volumes = {limit.segment: limit.range for limit in _limit(spec, "volume_ml")}
    names = {segment.number: segment.label for segment in segmentation.segments}
    for right, left in _limit(spec, "right_of"):
        # LPS: x grows towards the patient's left.
        if right in centre_mm and left in centre_mm and not centre_mm[right][0] < centre_mm[left][0]:
            raise Unsuitable(
                f"orientation is not believed: {names[right]} lies at x = {centre_mm[right][0]:.0f} mm and "
                f"{names[left]} at x = {centre_mm[left][0]:.0f} mm, needed {names[right]} at smaller x (LPS)"
            )
    return tuple(
        doubt
        for segment in segmentation.segments
        for doubt in _doubts(
            segment, extents.get(segment.number), volumes.get(segment.number), volume.voxel_volume, labels.shape[0]
        )
    )


def _extent(labels: npt.NDArray[np.uint8], number: int, box: Box) -> _Extent:
    mask = labels[box] == number
    # Counted along one axis at a time, because a list of all voxels would take 24 bytes for each.
    counts = [mask.sum(axis=others, dtype=np.int64) for others in ((1, 2), (0, 2), (0, 1))]
    voxels = int(counts[0].sum())
    centre = [float(count @ np.arange(side.start, side.stop)) / voxels for count, side in zip(counts, box, strict=True)]
    return _Extent(voxels=voxels, centre=tuple(centre), first_slice=box[0].start, last_slice=box[0].stop - 1)


def _limit(spec: ModelSpec, rule: str) -> Any:
    return next((check.limit for check in spec.plausible if check.rule == rule), ())


def _doubts(
    segment: Segment,
    extent: _Extent | None,
    range_ml: tuple[float, float] | None,
    voxel_volume_mm3: float,
    slices: int,
) -> Iterator[str]:
    if extent is None:
        yield f"{segment.label}: nothing found"
        return
    volume_ml = extent.voxels * voxel_volume_mm3 / 1000
    if range_ml is not None and not range_ml[0] <= volume_ml <= range_ml[1]:
        low, high = range_ml
        shown = f"{volume_ml:.0f}" if volume_ml >= 10 else f"{volume_ml:.2g}"
        yield f"{segment.label}: volume {shown} ml is unusual, expected {low:g} to {high:g} ml"
    ends = [
        name for name, cut in (("first", extent.first_slice == 0), ("last", extent.last_slice == slices - 1)) if cut
    ]
    if ends:
        yield f"{segment.label}: reaches the {' and '.join(ends)} slice and may be cut off there"
