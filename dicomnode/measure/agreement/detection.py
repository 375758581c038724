"""Lesions that were found or missed, and what was taken for one and is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from dicomnode.measure.agreement.overlap import Mask

#: A candidate and a lesion belong together when they share this part of the smaller one. Low, because to find a lesion
#: is one thing and to outline it another, which the overlap tells; not zero, because a mere contact finds nothing.
SHARED = 0.1

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One lesion or one candidate.

    Attributes
    ----------
    box, mask
        Where it lies in the volume, and its voxels there.
    score
        How sure the model is of it; 1 where nobody says.
    """

    box: Box
    mask: Mask = field(repr=False)
    score: float = 1.0

    @property
    def voxels(self) -> int:
        """How many it has."""
        return int(np.count_nonzero(self.mask))

    def shares(self, other: Part) -> int:
        """Voxels that both have."""
        common = [
            slice(max(one.start, two.start), min(one.stop, two.stop))
            for one, two in zip(self.box, other.box, strict=True)
        ]
        if any(side.stop <= side.start for side in common):
            return 0
        return int(np.count_nonzero(self._at(common) & other._at(common)))

    def of(self, mask: Mask) -> int:
        """Voxels that it has of a mask of the whole volume."""
        return int(np.count_nonzero(mask[self.box] & self.mask))

    def _at(self, place: Sequence[slice]) -> Mask:
        within = tuple(
            slice(side.start - own.start, side.stop - own.start) for side, own in zip(place, self.box, strict=True)
        )
        found: Mask = self.mask[within]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """Which lesions belong to which candidates, by their places in what was given."""

    found_by: tuple[tuple[int, ...], ...]
    hits: tuple[tuple[int, ...], ...]

    @property
    def found(self) -> int:
        """Lesions with a candidate."""
        return sum(bool(one) for one in self.found_by)

    @property
    def false_positives(self) -> int:
        """Candidates without a lesion."""
        return sum(not one for one in self.hits)


def parts_of(mask: Mask, score: float = 1.0) -> Iterator[Part]:
    """The parts of a mask that hang together by faces, edges or corners."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes or boxes[0] is None:
        return
    outer = boxes[0]
    labels, _ = ndimage.label(mask[outer], structure=np.ones((3, 3, 3)))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        place = tuple(
            slice(side.start + whole.start, side.stop + whole.start) for side, whole in zip(box, outer, strict=True)
        )
        yield Part(box=(place[0], place[1], place[2]), mask=labels[box] == number, score=score)


def detected(lesions: Sequence[Part], candidates: Sequence[Part]) -> Detected:
    """Hold candidates against lesions; one may belong to several of the others."""
    pairs = [
        (number, other)
        for number, lesion in enumerate(lesions)
        for other, candidate in enumerate(candidates)
        if lesion.shares(candidate) >= max(1, SHARED * min(lesion.voxels, candidate.voxels))
    ]
    return Detected(
        found_by=tuple(tuple(two for one, two in pairs if one == number) for number in range(len(lesions))),
        hits=tuple(tuple(one for one, two in pairs if two == number) for number in range(len(candidates))),
    )
