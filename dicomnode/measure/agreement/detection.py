"""Lesions that were found or missed, and what was taken for one and is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

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

    def without(self, mask: Mask) -> Part:
        """What of it lies outside a mask of the whole volume; perhaps nothing."""
        return replace(self, mask=self.mask & ~mask[self.box])

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


def joined(parts: Sequence[Part]) -> list[tuple[tuple[int, ...], Part]]:
    """Parts that belong together, by the rule by which candidates belong to lesions, as one.

    Returns
    -------
    Places of the parts in what was given, and what they are together, by the first of them.
    """
    groups: list[set[int]] = []
    for others in detected(parts, parts).found_by:
        touched = [group for group in groups if group & set(others)]
        groups = [*(group for group in groups if group not in touched), set(others).union(*touched)]
    places = sorted(tuple(sorted(group)) for group in groups)
    return [(own, _union([parts[number] for number in own])) for own in places]


def _union(parts: Sequence[Part]) -> Part:
    sides = zip(*(part.box for part in parts), strict=True)
    ends = [(min(side.start for side in along), max(side.stop for side in along)) for along in sides]
    mask = np.zeros([stop - start for start, stop in ends], dtype=np.bool_)
    for part in parts:
        within = tuple(
            slice(side.start - start, side.stop - start) for side, (start, _) in zip(part.box, ends, strict=True)
        )
        mask[within] |= part.mask
    one, two, three = (slice(*end) for end in ends)
    return Part(box=(one, two, three), mask=mask, score=max(part.score for part in parts))


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
