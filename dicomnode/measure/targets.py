"""Which lesions are targets (RECIST 1.1, RANO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dicomnode.domain.code import Code
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Lesion, names_target

#: RECIST 1.1, section 3.1.1: the least longest diameter of a measurable lesion by CT with slices of 5 mm at most,
#: the slice thickness above which that is twice the thickness instead, and the least short axis of a node.
LONGEST_AT_LEAST_MM = 10.0
THICK_SLICES_MM = 5.0
NODE_AT_LEAST_MM = 15.0

#: Wen et al., J Clin Oncol 2010;28:1963: measurable are two perpendicular diameters of at least 10 mm each, with
#: thicker slices (gap included) twice their thickness.
BOTH_AT_LEAST_MM = 10.0

#: The criteria that sum over target lesions; `volume` sums over all lesions.
OF_TARGETS = ("recist", "who", "rano")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What the criteria of a bundle ask of a target: the least longest axis, short axis, short axis of a node."""

    longest_mm: float
    short_mm: float
    node_mm: float
    by_product: bool


def select(lesions: Sequence[Lesion], spec: MeasureSpec, slice_mm: float = 0.0) -> tuple[Lesion, ...]:
    """The same lesions in the same order, those that are chosen as targets marked so.

    Measurable lesions are taken by falling size (the longest axial diameter, of lymph nodes the short axis) until
    their organ or the whole has its number (RECIST 1.1, section 4.2). All lymph nodes are one organ, and so are both
    lungs (EORTC RECIST working group, clarification "paired organs"), whose code has no side. Lesions whose organ
    nobody named count as of one organ. Where the bundle names WHO or RANO and not RECIST, size is the product of both
    axes, and nodes are lesions as all others.

    Parameters
    ----------
    spec
        Its `targets` are the numbers by organ and in all, its `criteria` decide what is measurable.
    slice_mm
        Thickness or distance of the slices on which the lesions were measured, 0 where it is not known.
    """
    by_organ, in_all = spec.targets
    limits = _limits(spec, slice_mm)
    ranked = sorted(
        (place for place, lesion in enumerate(lesions) if _fits(lesion, limits)),
        key=lambda place: (-_size(lesions[place], by_product=limits.by_product), place),
    )
    taken: dict[Code | str | None, int] = {}
    chosen: set[int] = set()
    for place in ranked:
        organ = _organ(lesions[place])
        if len(chosen) < in_all and taken.get(organ, 0) < by_organ:
            taken[organ] = taken.get(organ, 0) + 1
            chosen.add(place)
    return tuple(replace(lesion, target=place in chosen) for place, lesion in enumerate(lesions))


def named(lesions: Sequence[Lesion]) -> tuple[Lesion, ...]:
    """Lesions that a person drew, those that their names mark as targets marked so."""
    return tuple(replace(lesion, target=names_target(lesion.label)) for lesion in lesions)


def measurable(lesion: Lesion, slice_mm: float = 0.0, spec: MeasureSpec | None = None) -> bool:
    """Whether a lesion is large enough to be a target; by RECIST 1.1, section 3.1.1 unless a bundle says otherwise."""
    return _fits(lesion, _limits(spec or MeasureSpec(), slice_mm))


def _limits(spec: MeasureSpec, slice_mm: float) -> _Limits:
    thick = 2 * slice_mm if slice_mm > THICK_SLICES_MM else 0.0
    if "recist" in spec.criteria or not {"who", "rano"} & {*spec.criteria}:
        return _Limits(
            longest_mm=thick or LONGEST_AT_LEAST_MM, short_mm=0.0, node_mm=NODE_AT_LEAST_MM, by_product=False
        )
    # WHO asks for two diameters and names no least size (Miller et al., Cancer 1981;47:207).
    least = (thick or BOTH_AT_LEAST_MM) if "rano" in spec.criteria else 0.0
    return _Limits(longest_mm=least, short_mm=least, node_mm=least, by_product=True)


def _fits(lesion: Lesion, limits: _Limits) -> bool:
    if limits.by_product and not lesion.product_mm2:
        return False
    if lesion.lymph_node and not limits.by_product:
        return (lesion.short_mm or 0.0) >= limits.node_mm
    return (lesion.longest_mm or 0.0) >= limits.longest_mm and (lesion.short_mm or 0.0) >= limits.short_mm


def _size(lesion: Lesion, *, by_product: bool) -> float:
    return (lesion.product_mm2 if by_product else lesion.size_mm) or 0.0


def _organ(lesion: Lesion) -> Code | str | None:
    return "lymph nodes" if lesion.lymph_node else lesion.organ
