"""Regions of a signature's features, and how the values of several lesions become one of the patient."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.signature import SignatureSpec, Summary
from dicomnode.measure.parts import part_mask
from dicomnode.measure.region import Region, regions, voxel_volume_ml

LESION, RING = "lesion", "ring"

Box = tuple[slice, slice, slice]


def lesions(
    volume: Volume, segmentation: Segmentation, numbers: Collection[int], minimum_volume_ml: float
) -> tuple[tuple[Region, float], ...]:
    """The lesions that count with their volumes in ml, the largest first.

    Parameters
    ----------
    numbers
        Of the segments that are lesions.
    minimum_volume_ml
        Smaller ones are left out.

    Raises
    ------
    ModelError
        If the mask does not lie on the grid of `volume`.
    """
    voxel_ml = voxel_volume_ml(segmentation.volume)
    every = [one for layer in segmentation.layers for one in regions(volume, layer) if one.segment.number in numbers]
    sized = [(one, int(one.mask.sum()) * voxel_ml) for one in every]
    counted = [(one, ml) for one, ml in sized if ml >= minimum_volume_ml]
    return tuple(sorted(counted, key=lambda pair: (-pair[1], pair[0].segment.number)))


def region(
    name: str,
    volume: Volume,
    segmentation: Segmentation,
    lesion: Region,
    others: Collection[int],
    spec: SignatureSpec,
    measure: MeasureSpec,
) -> Segmentation:
    """One region of one lesion as a mask of its own, in which it keeps its number; empty where nothing is left of it.

    Parameters
    ----------
    name
        `lesion`, `ring` or `part:` and the name of a part.
    others
        Numbers of all segments that are lesions, over which no ring extends.
    """
    place, mask = lesion.box, lesion.mask
    if name == RING:
        place, mask = _ring(lesion, segmentation, others, spec)
    elif name != LESION:
        (part,) = (one for one in measure.parts if one.name == name.removeprefix("part:"))
        mask = part_mask(lesion.of(volume), mask, part, voxel_volume_ml(segmentation.volume))
    alone = np.zeros_like(segmentation.volume.array)
    alone[place][mask] = lesion.segment.number
    return Segmentation(volume=segmentation.volume.with_array(alone), segments=(lesion.segment,))


def summed(values: Sequence[float], volumes_ml: Sequence[float], summary: Summary) -> float:
    """One value of several lesions, the largest of which comes first."""
    match summary:
        case Summary.LARGEST:
            return values[0]
        case Summary.MEAN:
            return float(np.mean(values))
        case Summary.MAXIMUM:
            return max(values)
        case Summary.VOLUME_WEIGHTED:
            return float(np.average(values, weights=volumes_ml))


def _ring(
    lesion: Region, segmentation: Segmentation, others: Collection[int], spec: SignatureSpec
) -> tuple[Box, NDArray[np.bool_]]:
    """Voxels whose centres lie within the reach of a voxel of the lesion, without any that belong to another lesion."""
    spacing_mm = [float(step) for step in segmentation.volume.spacing]
    sides, shifts = [], []
    for side, length, step in zip(lesion.box, segmentation.volume.spatial_shape, spacing_mm, strict=True):
        reach = int(np.ceil(spec.ring_mm / step))
        sides.append(slice(max(0, side.start - reach), min(length, side.stop + reach)))
        shifts.append(slice(side.start - sides[-1].start, side.stop - sides[-1].start))
    box: Box = (sides[0], sides[1], sides[2])
    inside = np.zeros([side.stop - side.start for side in box], dtype=bool)
    inside[tuple(shifts)] = lesion.mask
    layers = [layer.volume.array[box] for layer in segmentation.layers]
    ring: NDArray[np.bool_] = ndimage.distance_transform_edt(~inside, sampling=spacing_mm) <= spec.ring_mm
    ring &= ~inside
    for labels in layers:
        ring &= ~np.isin(labels, [*others])
    if spec.ring_within:
        ring &= np.any([np.isin(labels, spec.ring_within) for labels in layers], axis=0)
    return box, ring
