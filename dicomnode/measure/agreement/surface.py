"""Distances between the surfaces of two masks, every piece of a surface weighted by its area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from dicomnode.measure.agreement.overlap import Mask
from dicomnode.measure.mesh import surface_elements

Floats = NDArray[np.float64]

#: Threads of the search for nearest points; all cores would starve a node that works beside.
_WORKERS = 2

#: Distances are sums of a few squares of float64; a tolerance that equals one in decimals is met.
_ROUNDING_MM = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far every piece of one surface is from the other, with its area.

    Attributes
    ----------
    to_answer_mm, reference_mm2
        Of the pieces of the reference's surface, by rising distance.
    to_reference_mm, answer_mm2
        Of the pieces of the answer's surface, by rising distance.
    """

    to_answer_mm: Floats = field(repr=False)
    reference_mm2: Floats = field(repr=False)
    to_reference_mm: Floats = field(repr=False)
    answer_mm2: Floats = field(repr=False)

    def hausdorff_mm(self, percent: float = 95.0) -> float:
        """The greater of the two percentiles of distance, by area; 100 percent is the distance of Hausdorff."""
        return max(
            _percentile(self.to_answer_mm, self.reference_mm2, percent),
            _percentile(self.to_reference_mm, self.answer_mm2, percent),
        )

    def dice_within(self, tolerance_mm: float) -> float:
        """Surface Dice: the part of both surfaces, by area, that is within the tolerance of the other."""
        within = float(self.reference_mm2[self.to_answer_mm <= tolerance_mm + _ROUNDING_MM].sum())
        within += float(self.answer_mm2[self.to_reference_mm <= tolerance_mm + _ROUNDING_MM].sum())
        return within / float(self.reference_mm2.sum() + self.answer_mm2.sum())

    def mean_mm(self) -> float:
        """Mean distance over both surfaces, by area."""
        total = float(self.to_answer_mm @ self.reference_mm2 + self.to_reference_mm @ self.answer_mm2)
        return total / float(self.reference_mm2.sum() + self.answer_mm2.sum())


def distances(reference: Mask, answer: Mask, spacing_mm: Sequence[float]) -> Distances | None:
    """Distances of two masks on one upright grid; None where one is empty, which has no surface.

    As defined by Nikolov et al. (J Med Internet Res 2021;23:e26151) and computed by DeepMind's surface-distance:
    surfaces lie between voxel centres, pieces have the area of the triangles of marching cubes, and distances are
    between the middles of their cells.

    Parameters
    ----------
    reference, answer
        bool, same shape (slice, row, column).
    spacing_mm
        Along these axes.
    """
    if not reference.any() or not answer.any():
        return None
    box = _box(reference | answer)
    one, one_mm2 = surface_elements(reference[box], spacing_mm)
    other, other_mm2 = surface_elements(answer[box], spacing_mm)
    forth, back = _nearest_mm(one, other), _nearest_mm(other, one)
    there, here = np.argsort(forth, kind="stable"), np.argsort(back, kind="stable")
    return Distances(
        to_answer_mm=forth[there],
        reference_mm2=one_mm2[there],
        to_reference_mm=back[here],
        answer_mm2=other_mm2[here],
    )


def _nearest_mm(points_mm: Floats, others_mm: Floats) -> Floats:
    return np.asarray(KDTree(others_mm).query(points_mm, workers=_WORKERS)[0], dtype=np.float64)


def _box(mask: Mask) -> tuple[slice, ...]:
    edges = []
    for axis in range(mask.ndim):
        others = tuple(number for number in range(mask.ndim) if number != axis)
        held = np.flatnonzero(mask.any(axis=others))
        edges.append(slice(int(held[0]), int(held[-1]) + 1))
    return tuple(edges)


def _percentile(rising_mm: Floats, areas_mm2: Floats, percent: float) -> float:
    share = np.cumsum(areas_mm2) / areas_mm2.sum()
    return float(rising_mm[min(int(np.searchsorted(share, percent / 100)), len(rising_mm) - 1)])
