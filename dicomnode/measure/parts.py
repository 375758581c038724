"""Parts of a lesion that are told by their intensity: solid, ground-glass, gross tumour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent
from dicomnode.domain.measuring import PartSpec
from dicomnode.measure import codes
from dicomnode.measure.measured import Measured, missing, row

#: Voxels hang together where they share a face, an edge or a corner, as the dependence of IBSI's textures has it.
_TOUCHING = np.ones((3, 3, 3), dtype=bool)


def part_mask(values: NDArray[Any], mask: NDArray[np.bool_], part: PartSpec, voxel_ml: float) -> NDArray[np.bool_]:
    """The voxels of `mask` that belong to a part: in its range, in connected pieces of its least volume or more.

    Parameters
    ----------
    values, mask
        Intensities and the lesion, shape (slice, row, column).
    voxel_ml
        Volume of one voxel.
    """
    lowest, highest = part.range
    inside: NDArray[np.bool_] = mask & (values >= lowest) & (values <= highest)
    if part.minimum_volume_ml <= voxel_ml:
        return inside
    pieces, count = ndimage.label(inside, structure=_TOUCHING)
    voxels = np.bincount(pieces.ravel(), minlength=count + 1)
    large = voxels * voxel_ml >= part.minimum_volume_ml
    large[0] = False
    kept: NDArray[np.bool_] = large[pieces]
    return kept


def measure(
    segment_number: int, values: NDArray[Any], mask: NDArray[np.bool_], parts: tuple[PartSpec, ...], voxel_ml: float
) -> Measured:
    """Volume of every part in ml; the method names its range and the least piece.

    The volumes of a lesion with a voxel that is no number are absent, since nobody knows to what part it belongs.
    """
    named = [(part, volume_of(part), method_of(part)) for part in parts]
    unknown = int(np.count_nonzero(~np.isfinite(values[mask]))) if parts else 0
    absent: list[Absent] = []
    found = []
    for part, name, method in named:
        if unknown:
            text = f"{unknown} voxels of the lesion have no finite value, needed all of them"
            lacking = missing(segment_number, [(name, codes.CUBIC_CENTIMETER)], codes.NOT_A_NUMBER, text, method=method)
            absent.extend(lacking.absent)
            continue
        volume_ml = int(part_mask(values, mask, part, voxel_ml).sum()) * voxel_ml
        found.append(row(segment_number, name, volume_ml, codes.CUBIC_CENTIMETER, method=method))
    return Measured(measurements=tuple(found), absent=tuple(absent))


def volume_of(part: PartSpec) -> Code:
    """The concept of a part's volume: `Volume of solid part`."""
    return codes.described("PART", f"Volume of {part.label}")


def method_of(part: PartSpec) -> Code:
    """How a part is told: `Sum of voxels from -160 to 600, pieces from 0.05 ml`."""
    lowest, highest = part.range
    text = f"Sum of voxels from {lowest:g} to {highest:g}"
    if part.minimum_volume_ml > 0:
        text += f", pieces from {part.minimum_volume_ml:g} ml"
    return codes.described("RANGE", text)
