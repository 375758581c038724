"""Volume and area of the surface mesh of a mask, with the triangles of pyradiomics but in linear time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from radiomics import cShape

_CELLS = 256

#: Voxels along every axis that a mesh needs. Balls of 2 slices had a mesh volume of -51 to +27 % and a diameter of +3
#: to +32 % of the true one, those of 3 slices and 8 pixels or more -20 to +4 % and +12 to +25 % (40 places each).
LEAST_EXTENT = 3

_AXES = ("slices", "rows", "columns")

#: Why the surface of a region that the image cuts off is none of it.
CUT_OFF = "the region touches the edge of the image and may be cut off there"


def thin(mask: NDArray[np.bool_]) -> str:
    """Why a mesh says nothing about a region for its extent; empty where it does.

    Parameters
    ----------
    mask
        Cropped to the region's bounding box.
    """
    extents = dict(zip(_AXES, mask.shape, strict=True))
    least = min(extents, key=lambda axis: extents[axis])
    if extents[least] >= LEAST_EXTENT:
        return ""
    return f"the region spans {extents[least]} of the {least}, needed {LEAST_EXTENT} for a surface"


def at_border(box: Sequence[slice], shape: Sequence[int]) -> bool:
    """Whether a part of a region may lie outside the image; an image of one plane says nothing of what is beyond."""
    return any((side.start == 0 or side.stop == length) and length > 1 for side, length in zip(box, shape, strict=True))


def doubtful(mask: NDArray[np.bool_], box: Sequence[slice], shape: Sequence[int]) -> str:
    """Why numbers of a region's mesh are not told, by the one rule of sizes and radiomics; empty where they are."""
    return thin(mask) or (CUT_OFF if at_border(box, shape) else "")


def mesh_volume(mask: NDArray[np.bool_]) -> float:
    """Volume of Mesh (IBSI RNU0) in voxels.

    pyradiomics sums, over the triangles that marching cubes lays through each cell of eight voxel centres, the
    signed volume of the tetrahedron between triangle and origin, and computes diameters in the same call, which
    takes time quadratic in the surface: 11 to 24 s for one lung. The share of a cell is
    `v[pattern] + position · a[pattern]`, so counting cells by pattern gives the same sum at once. The position
    matters because that mesh is not closed everywhere: its table is symmetric under complement.

    Parameters
    ----------
    mask
        bool, shape (slice, row, column), cropped to the bounding box of the segment.
    """
    return _volume(*_surface_cells(mask))


def mesh_surface(mask: NDArray[np.bool_], spacing_mm: Sequence[float]) -> tuple[float, float]:
    """Surface Area (IBSI C0JK) in mm² and Volume of Mesh (IBSI RNU0) in mm³.

    The area of the triangles of a cell depends on its pattern and the spacing alone, so cells are counted here, too.

    Parameters
    ----------
    mask
        bool, shape (slice, row, column), cropped to the bounding box of the segment.
    spacing_mm
        Along the axes of the mask.
    """
    place, patterns = _surface_cells(mask)
    z, y, x = (float(length) for length in spacing_mm)
    counts = np.bincount(patterns, minlength=_CELLS)
    return float(counts @ _areas(z, y, x)), _volume(place, patterns) * z * y * x


def surface_elements(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The surface in pieces, one for each cell of eight voxel centres that it passes.

    Parameters
    ----------
    mask
        bool, shape (slice, row, column); what lies beyond it is outside.
    spacing_mm
        Along the axes of the mask.

    Returns
    -------
    Shape (n, 3): middle of every such cell in mm from the centre of the mask's first voxel.
    Shape (n,): area in mm² of the triangles in it.
    """
    place, patterns = _surface_cells(mask)
    z, y, x = (float(length) for length in spacing_mm)
    # The padding puts half a voxel between the first cell and the first voxel's centre.
    middles: NDArray[np.float64] = (np.stack(place, axis=1) - 0.5) * np.array((z, y, x))
    return middles, _areas(z, y, x)[patterns]


def _surface_cells(mask: NDArray[np.bool_]) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.uint8]]:
    """Places of the cells that the surface passes, by axis, and their patterns."""
    padded = np.pad(mask, 1).view(np.uint8)
    pattern = np.zeros(tuple(length - 1 for length in padded.shape), dtype=np.uint8)
    for bit in range(8):
        z, y, x = bit >> 2 & 1, bit >> 1 & 1, bit & 1
        corner = padded[z : z + pattern.shape[0], y : y + pattern.shape[1], x : x + pattern.shape[2]]
        pattern |= corner << np.uint8(bit)
    # All-ones wraps round to 0 in uint8, so that one comparison tells the cells with a surface.
    place = np.nonzero((pattern + np.uint8(1)) > 1)
    return place, pattern[place]


def _volume(place: tuple[NDArray[np.intp], ...], patterns: NDArray[np.uint8]) -> float:
    at_origin, per_step = _shares()
    total = float(at_origin[patterns].sum())
    for axis in range(3):
        total += float((place[axis] * per_step[axis][patterns]).sum())
    return total


@lru_cache(maxsize=16)
def _areas(z: float, y: float, x: float) -> NDArray[np.float64]:
    """Shape (256,): area in mm² of the triangles of a cell, by pattern as in `_shares`."""
    spacing_mm = np.array((z, y, x))
    cells = _cells()
    return np.array([cShape.calculate_coefficients(np.ascontiguousarray(cell), spacing_mm)[0] for cell in cells])


def _cells() -> NDArray[np.bool_]:
    """Shape (256, 2, 2, 2): the cell of every pattern."""
    return (np.arange(_CELLS)[:, None] >> np.arange(8) & 1).astype(bool).reshape(_CELLS, 2, 2, 2)


@cache
def _shares() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What one cell adds to the volume, asked of pyradiomics' C code pattern by pattern.

    Returns
    -------
    Shape (256,): the share of a cell at the origin, by pattern (bit 4z + 2y + x is the corner (z, y, x)).
    Shape (3, 256): what each step of the cell along an axis adds to that share.
    """
    cells = _cells()
    at_origin = np.array([_c_volume(cell) for cell in cells])
    per_step = np.empty((3, _CELLS))
    for axis in range(3):
        for number, cell in enumerate(cells):
            first = np.take(cell, [0], axis=axis)
            doubled = np.concatenate([first, first], axis=axis)
            both = _c_volume(np.concatenate([first, cell], axis=axis))
            per_step[axis, number] = both - _c_volume(doubled) - at_origin[number]
    return at_origin, per_step


def _c_volume(mask: NDArray[np.bool_]) -> float:
    _, volume, _ = cShape.calculate_coefficients(np.ascontiguousarray(mask), np.ones(3))
    return float(volume)
