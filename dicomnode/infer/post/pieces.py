"""Connected pieces of a segment: the largest, the large enough, and lesions of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import SimpleITK

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

#: Slices that are counted at a time, so that counting takes no second volume.
_SLAB = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Connected pieces of a mask.

    Attributes
    ----------
    numbers
        The number of the piece in every voxel, from 1; 0 outside the mask. Not to be written to.
    image
        SimpleITK's, whose memory `numbers` is: a copy would be as large as two volumes.
    """

    numbers: npt.NDArray[Any] = field(repr=False)
    image: Any = field(repr=False)

    @classmethod
    def of(cls, mask: Mask, *, corners: bool = False) -> Self:
        """Pieces that hang together by faces of voxels (6-neighbourhood), or by corners, too (26)."""
        # SimpleITK takes a fifth of the time of scipy.ndimage.label (111 × 512 × 512: 0.07 s against 0.37 s).
        binary = SimpleITK.GetImageFromArray(mask.view(np.uint8))
        image = SimpleITK.ConnectedComponent(binary, corners)  # type: ignore[no-untyped-call]
        return cls(numbers=SimpleITK.GetArrayViewFromImage(image), image=image)

    def sizes(self) -> npt.NDArray[np.int64]:
        """Voxels of every piece, by its number; 0 counts the background."""
        total = np.zeros(1, dtype=np.int64)
        for start in range(0, len(self.numbers), _SLAB):
            counts = np.bincount(self.numbers[start : start + _SLAB].ravel())
            if len(counts) > len(total):
                total = np.pad(total, (0, len(counts) - len(total)))
            total[: len(counts)] += counts
        return total

    def drop(self, labels: Labels, pieces: Sequence[int]) -> None:
        """Turn these pieces into background."""
        if pieces:
            gone = np.zeros(int(self.numbers.max()) + 1, dtype=np.bool_)
            gone[list(pieces)] = True
            for slab, part in zip(labels, self.numbers, strict=True):
                slab[gone[part]] = 0


def keep_largest(labels: Labels, number: int, pieces: int = 1, *, corners: bool = False) -> None:
    """Turn all but the largest pieces of one segment into background; of equal pieces the first in memory stays."""
    found = Pieces.of(labels == number, corners=corners)
    found.drop(labels, by_size(found.sizes())[pieces:])


def minimum_volume(labels: Labels, number: int, voxels: float) -> None:
    """Turn pieces of fewer voxels into background."""
    found = Pieces.of(labels == number)
    sizes = found.sizes()
    found.drop(labels, [piece for piece in range(1, len(sizes)) if sizes[piece] < voxels])


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A piece that was turned into background: its voxels, and the mean of their indices (slice, row, column)."""

    voxels: int
    centre: tuple[float, float, float]


def lesions(labels: Labels, number: int, into: Sequence[int], located: int) -> tuple[int, list[Dropped]]:
    """Keep the largest piece under its number, give the next to the segments `into`, and drop the rest.

    Parameters
    ----------
    located
        How many of the pieces that are dropped, the largest first, are told.

    Returns
    -------
    int, list of Dropped
        How many were dropped, and the largest of them.
    """
    found = Pieces.of(labels == number)
    sizes = found.sizes()
    order = by_size(sizes)
    allotted = [number, *into]
    lookup = np.zeros(len(sizes), dtype=np.uint8)
    lookup[order[: len(allotted)]] = allotted[: len(order)]
    for slab, part in zip(labels, found.numbers, strict=True):
        inside = part > 0
        slab[inside] = lookup[part[inside]]
    dropped = order[len(allotted) :]
    told = []
    for piece in dropped[:located]:
        slices, rows, columns = (float(places.mean()) for places in np.nonzero(found.numbers == piece))
        told.append(Dropped(voxels=int(sizes[piece]), centre=(slices, rows, columns)))
    return len(dropped), told


def by_size(sizes: npt.NDArray[np.int64]) -> list[int]:
    """Numbers of the pieces, the largest first; of equals the first in memory."""
    order: list[int] = (np.argsort(-sizes[1:], kind="stable") + 1).tolist()
    return order
