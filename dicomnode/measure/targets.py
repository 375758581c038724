"""Which lesions are targets, and the sum of their diameters (RECIST 1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Lesion

#: RECIST 1.1, section 3.1.1: the least longest diameter of a measurable lesion by CT with slices of 5 mm at most,
#: the slice thickness above which that is twice the thickness instead, and the least short axis of a node.
LONGEST_AT_LEAST_MM = 10.0
THICK_SLICES_MM = 5.0
NODE_AT_LEAST_MM = 15.0


def select(lesions: Sequence[Lesion], spec: MeasureSpec, slice_mm: float = 0.0) -> tuple[Lesion, ...]:
    """The same lesions in the same order, those that are chosen as targets marked so.

    Measurable lesions are taken by falling size (the longest axial diameter, of lymph nodes the short axis) until
    their organ or the whole has its number (RECIST 1.1, section 4.1). All lymph nodes are one organ, and so are both
    lungs (EORTC RECIST working group, clarification "paired organs"), whose code has no side. Lesions whose organ
    nobody named count as of one organ.

    Parameters
    ----------
    spec
        Its `targets` are the numbers by organ and in all.
    slice_mm
        Distance of the slices on which the lesions were measured, 0 where it is not known.
    """
    by_organ, in_all = spec.targets
    ranked = sorted(
        (place for place, lesion in enumerate(lesions) if measurable(lesion, slice_mm)),
        key=lambda place: (-_size(lesions[place]), place),
    )
    taken: dict[Code | str | None, int] = {}
    chosen: set[int] = set()
    for place in ranked:
        organ = _organ(lesions[place])
        if len(chosen) < in_all and taken.get(organ, 0) < by_organ:
            taken[organ] = taken.get(organ, 0) + 1
            chosen.add(place)
    return tuple(replace(lesion, target=place in chosen) for place, lesion in enumerate(lesions))


def measurable(lesion: Lesion, slice_mm: float = 0.0) -> bool:
    """Whether a lesion is large enough to be a target (RECIST 1.1, section 3.1.1)."""
    if lesion.lymph_node:
        return _size(lesion) >= NODE_AT_LEAST_MM
    return _size(lesion) >= (2 * slice_mm if slice_mm > THICK_SLICES_MM else LONGEST_AT_LEAST_MM)


def sum_mm(lesions: Sequence[Lesion]) -> float | None:
    """Sum of diameters of the target lesions (RECIST 1.1, section 4.2); None where there are none."""
    sizes = [_size(lesion) for lesion in lesions if lesion.target]
    return sum(sizes) if sizes else None


def _size(lesion: Lesion) -> float:
    return lesion.size_mm or 0.0


def _organ(lesion: Lesion) -> Code | str | None:
    return "lymph nodes" if lesion.lymph_node else lesion.organ
