"""One region that somebody has drawn, as voxels of the images, and regions that overlap put into several label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.model import Segment, Subject

Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice, slice]

#: A label map has bytes, of which 0 is the background.
MOST_REGIONS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Voxels of one region.

    Attributes
    ----------
    segment
        What it is; its number is given when label maps are made.
    number
        As the object itself counts: Segment Number or ROI Number.
    box
        Where `mask` lies in the volume, (slice, row, column).
    mask
        The voxels, of the shape of the box.
    tracking_uid
        Tracking UID that the object gives it, or "".
    algorithm
        Segment Algorithm Type or ROI Generation Algorithm; "" where not told.
    """

    segment: Segment
    number: int
    box: Box
    mask: Mask = field(repr=False)
    tracking_uid: str = ""
    algorithm: str = ""


def numbered(regions: Sequence[Region], subject: str) -> tuple[Region, ...]:
    """The regions as segments 1, 2, 3 …: lesions, lymph nodes, then structures, each in the order of the object.

    Raises
    ------
    Unsuitable
        If there are more than a label map can tell apart.
    """
    if len(regions) > MOST_REGIONS:
        raise Unsuitable(f"{subject}: {len(regions)} regions, needed {MOST_REGIONS} or fewer")
    order = [Subject.LESION, Subject.LYMPH_NODE, Subject.STRUCTURE]
    ranked = sorted(regions, key=lambda region: order.index(region.segment.subject))
    return tuple(
        replace(region, segment=replace(region.segment, number=place)) for place, region in enumerate(ranked, start=1)
    )


def label_maps(regions: Sequence[Region], volume: Volume) -> tuple[Segmentation, ...]:
    """As few label maps as a region after the other needs, none of which holds two that share a voxel.

    One voxel has one label in a label map, but a tumour lies in its lung and a target volume round it: each is measured
    whole, where what is in front would else be missing from what is behind.

    Parameters
    ----------
    regions
        With numbers of their own; the first goes into the first map.
    volume
        Of the images; gives the grid.
    """
    maps: list[tuple[npt.NDArray[np.uint8], list[Segment]]] = []
    for region in regions:
        free = (one for one in maps if not one[0][region.box][region.mask].any())
        chosen = next(free, None)
        if chosen is None:
            chosen = (np.zeros(volume.spatial_shape, dtype=np.uint8), [])
            maps.append(chosen)
        labels, segments = chosen
        labels[region.box][region.mask] = region.segment.number
        segments.append(region.segment)
    return tuple(Segmentation(volume=volume.with_array(labels), segments=tuple(segments)) for labels, segments in maps)
