"""Where voxels lie: the shape and the affine of an array, and how the indices of two grids correspond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Self

import numpy as np
import numpy.typing as npt
from highdicom import Volume

Affine = npt.NDArray[np.float64]
Shape = tuple[int, int, int]

#: Half-open ranges of indices along (slice, row, column).
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

#: Voxels that lie this close are the same: headers round positions and spacings, and a value interpolated that far
#: away differs by at most a thousandth of the step between neighbours.
ROUNDING_OF_VOXEL = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The places of an array's voxels.

    Attributes
    ----------
    shape
        Voxels along (slice, row, column).
    affine
        From indices (slice, row, column) to LPS mm, (4, 4).
    """

    shape: Shape
    affine: Affine = field(repr=False)

    @classmethod
    def of(cls, volume: Volume) -> Self:
        """The grid of a volume."""
        return cls(shape=volume.spatial_shape, affine=np.array(volume.affine, dtype=np.float64))

    @property
    def spacing_mm(self) -> npt.NDArray[np.float64]:
        """Distance of neighbours along (slice, row, column)."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0), dtype=np.float64)

    def part(self, box: Box) -> Grid:
        """The grid of these voxels only; a box that reaches beyond the grid extends it."""
        start = np.array([low for low, _ in box])
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ start
        return Grid(shape=shape_of([high - low for low, high in box]), affine=affine)

    def from_(self, other: Grid) -> Affine:
        """The matrix that turns indices of another grid into indices of this one, (4, 4)."""
        matrix: Affine = np.linalg.solve(self.affine, other.affine).astype(np.float64, copy=False)
        return matrix

    def same_as(self, other: Grid) -> bool:
        """Whether both have the same voxels in the same order."""
        if self.shape != other.shape:
            return False
        ends = corners(self.shape)
        moved = self.from_(other) @ ends - ends
        return bool(np.abs(moved).max() < ROUNDING_OF_VOXEL)


def shape_of(counts: Sequence[int] | npt.NDArray[np.integer]) -> Shape:
    """Three counts as plain integers."""
    slices, rows, columns = (int(count) for count in counts)
    return (slices, rows, columns)


def corners(shape: Shape) -> npt.NDArray[np.float64]:
    """Indices of the centres of the eight corner voxels as homogeneous columns, (4, 8)."""
    ends = [(0, count - 1) for count in shape]
    return np.array([(s, r, c, 1) for s in ends[0] for r in ends[1] for c in ends[2]], dtype=np.float64).T


def patient_grid(grid: Grid, spacing_mm: Sequence[float]) -> Grid:
    """The grid along the patient axes that covers another.

    Parameters
    ----------
    spacing_mm
        Of the new grid along (slice, row, column), which run towards head, posterior and left.
    """
    count = np.array(grid.shape)
    centre = grid.affine[:3, :3] @ ((count - 1) / 2) + grid.affine[:3, 3]
    extent = np.abs(grid.affine[:3, :3]) @ count
    spacing = np.array(spacing_mm)
    size = np.maximum(np.ceil(extent[::-1] / spacing - ROUNDING_OF_VOXEL), 1).astype(int)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:3, 3] = centre - ((size - 1) / 2 * spacing)[::-1]
    affine[3, 3] = 1
    return Grid(shape=shape_of(size), affine=affine)


def respaced(grid: Grid, spacing_mm: Sequence[float]) -> Grid:
    """The grid along the same axes, round the same centre, that covers another with a new spacing."""
    count, old, new = np.array(grid.shape), grid.spacing_mm, np.array(spacing_mm)
    size = np.maximum(np.ceil(count * old / new - ROUNDING_OF_VOXEL), 1).astype(int)
    return centred(grid, shape_of(size), new)


def centred(grid: Grid, shape: Shape, spacing_mm: npt.NDArray[np.float64]) -> Grid:
    """The grid of another shape and spacing with the axes and the centre of `grid`."""
    affine = grid.affine.copy()
    affine[:3, :3] *= spacing_mm / grid.spacing_mm
    middle = grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    affine[:3, 3] += middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def turned(grid: Grid, directions: Affine) -> Grid:
    """The same voxels in the order of axes, and in the directions, that come nearest to what is wanted.

    Parameters
    ----------
    directions
        Columns are unit vectors in LPS along which slice, row and column index should grow, (3, 3).
    """
    cosines = directions.T @ (grid.affine[:3, :3] / grid.spacing_mm)
    order = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[new, old]) for new, old in enumerate(axes)))
    affine = grid.affine.copy()
    for new, old in enumerate(order):
        step = grid.affine[:3, old]
        backwards = cosines[new, old] < 0
        affine[:3, new] = -step if backwards else step
        if backwards:
            affine[:3, 3] += (grid.shape[old] - 1) * step
    return Grid(shape=shape_of([grid.shape[old] for old in order]), affine=affine)
