"""Lesions that people drew on one study, in one object or several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dicomnode.domain.prior import PriorFile
from dicomnode.domain.response import Lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a person drew.

    Attributes
    ----------
    files
        The objects that hold it.
    author
        Who drew it, several names with commas between.
    lesions
        Those in organs that the model looks at.
    elsewhere
        Those whose organ nobody named, though the model names its own.
    archived
        Tracking UIDs that the objects themselves bear.
    """

    files: tuple[PriorFile, ...]
    author: str = field(repr=False)
    lesions: tuple[Lesion, ...]
    elsewhere: tuple[Lesion, ...] = ()
    archived: frozenset[str] = frozenset()

    @property
    def chosen(self) -> bool:
        """Whether the person named targets, by `domain.response.names_target`."""
        return any(one.target for one in self.lesions)


def first_of(found: Iterable[Drawn]) -> Drawn | None:
    """The first with lesions in organs that the model looks at, else the first."""
    first: Drawn | None = None
    for one in found:
        if one.lesions:
            return one
        first = first or one
    return first


def joined(found: Sequence[Drawn]) -> Drawn:
    """Objects of one study as one; of two regions that are the same lesion that of the earlier in the list counts.

    The same are regions that bear one tracking UID, that lie on each other, and targets of one name.
    """
    lesions: list[Lesion] = []
    elsewhere: list[Lesion] = []
    for one in found:
        # Among themselves the regions of one object are what the person told apart.
        known = (*lesions, *elsewhere)
        lesions += (new for new in one.lesions if not any(_same(new, other) for other in known))
        elsewhere += (new for new in one.elsewhere if not any(_same(new, other) for other in known))
    return Drawn(
        files=tuple(file for one in found for file in one.files),
        author=", ".join(dict.fromkeys(one.author for one in found if one.author)),
        lesions=tuple(lesions),
        elsewhere=tuple(elsewhere),
        archived=frozenset().union(*(one.archived for one in found)),
    )


def overlap(one: Lesion, other: Lesion) -> bool:
    """Whether the middle of one of two lesions on the same images lies within the reach of the other."""
    if one.centroid_mm is None or other.centroid_mm is None:
        return False
    return 2 * math.dist(one.centroid_mm, other.centroid_mm) <= max(one.longest_mm or 0.0, other.longest_mm or 0.0)


def _same(one: Lesion, other: Lesion) -> bool:
    named = one.target and other.target and one.label.casefold() == other.label.casefold()
    return one.tracking_uid == other.tracking_uid or named or overlap(one, other)
