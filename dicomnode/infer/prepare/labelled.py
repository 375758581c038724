"""Labels of a coarse model on their way to the network: put on another grid, they become channels of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.infer.prepare.image import Floats, Image
from dicomnode.infer.prepare.resized import resized
from dicomnode.infer.prepare.separable import Apart

Labels = npt.NDArray[Any]

#: The mask that labels may add to.
NONZERO = "nonzero"

#: The label of what is neither labelled nor anything but 0 (nnU-Net, `crop_to_nonzero`).
OUTSIDE = -1

#: Shares of a voxel that differ by less are equal: rounding of float32 along three axes stays below.
EQUAL_SHARES = 1e-6


def labelled(labels: Image) -> Image:
    """Labels whose mask `nonzero` holds what is labelled, too, with one label more for the rest.

    nnU-Net normalises within that mask, and lets the rest compete when labels are resampled.

    Raises
    ------
    ModelError
        If no step has found that mask.
    """
    mask = labels.mask(NONZERO) | (labels.array > 0)
    numbers = np.where(mask, labels.array.astype(np.int16), np.int16(OUTSIDE))
    return labels.holding(numbers).with_mask(NONZERO, mask)


def relabelled(labels: Labels, shape: tuple[int, int, int], apart_axis: int | None) -> Labels:
    """Labels at other counts of voxels over the same extent: in each voxel the one that takes the largest share of it.

    The shares are interpolated linearly. Of equal ones the label of the nearest voxel counts if it is among them, else
    the lowest (batchgenerators, `resize_segmentation` of order 1).

    Parameters
    ----------
    labels
        (slice, row, column).
    apart_axis
        An axis along which the nearest is taken after that.

    Returns
    -------
    ndarray of int16
    """
    apart = None if apart_axis is None else Apart(axis=apart_axis, interpolation="nearest")
    nearest = resized(labels, shape, interpolation="nearest", apart=apart)
    most = np.full(shape, -1.0, dtype=np.float32)
    found = np.zeros(shape, dtype=np.int16)
    for label in range(int(labels.min()), int(labels.max()) + 1):
        inside = labels == label
        if not inside.any():
            continue
        share = resized(inside.astype(np.float32), shape, interpolation="linear", apart=apart)
        np.add(share, np.float32(EQUAL_SHARES), out=share, where=nearest == label)
        larger = share > most
        most[larger] = share[larger]
        found[larger] = label
    return found


def write_channels(channels: Floats, labels: Labels, numbers: Sequence[int]) -> None:
    """Write 1 where each of these labels is and 0 elsewhere, for number 0 everywhere."""
    for channel, number in zip(channels, numbers, strict=True):
        channel[...] = labels == number if number else 0
