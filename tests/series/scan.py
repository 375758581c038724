"""Values on a grid in patient space, as a series is to show them, and the ways in which scanners lay such grids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Stored = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one stack of images shows.

    Attributes
    ----------
    values
        In the unit of the modality, (slice, row, column).
    affine
        From (slice, row, column) to LPS mm, (4, 4). The first column may be slanted (gantry tilt) or run against the
        normal of the images; the other two are perpendicular.
    """

    values: Stored
    affine: Floats

    @property
    def pixel_spacing_mm(self) -> tuple[float, float]:
        """Distance between rows, then between columns (PS3.3 10.7.1.3)."""
        between_rows, between_columns = np.linalg.norm(self.affine[:3, 1:3], axis=0)
        return float(between_rows), float(between_columns)

    @property
    def cosines(self) -> tuple[float, ...]:
        """Image Orientation (Patient): along a row, that is over the columns, then down a column."""
        between_rows, between_columns = self.pixel_spacing_mm
        along, down = self.affine[:3, 2] / between_columns, self.affine[:3, 1] / between_rows
        return tuple(float(value) for value in (*along, *down))

    @property
    def spacing_mm(self) -> float:
        """Distance of neighbouring slices along the normal."""
        along, down = np.array(self.cosines[:3]), np.array(self.cosines[3:])
        return abs(float(np.cross(along, down) @ self.affine[:3, 0]))

    def position_mm(self, index: int) -> tuple[float, float, float]:
        """Image Position (Patient) of a slice: the centre of its first pixel."""
        x, y, z = (float(value) for value in self.affine[:3, 3] + index * self.affine[:3, 0])
        return x, y, z

    def centres_mm(self) -> Floats:
        """Places of all voxel centres, (slice, row, column, 3)."""
        indices = np.indices(self.values.shape).transpose(1, 2, 3, 0)
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def reversed(self) -> Scan:
        """The same in space with the last slice first."""
        affine = self.affine.copy()
        affine[:3, 3] += (len(self.values) - 1) * affine[:3, 0]
        affine[:3, 0] *= -1
        return replace(self, values=np.ascontiguousarray(self.values[::-1]), affine=affine)


def upright(lattice: Stored, spacing_mm: tuple[float, float, float], origin_mm: tuple[float, float, float]) -> Scan:
    """A lattice in patient space, (x, y, z), as axial images: rows run to the left, columns to the back."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing_mm)[:, ::-1]
    affine[:3, 3] = origin_mm
    return Scan(values=np.ascontiguousarray(lattice.transpose(2, 1, 0)), affine=affine)


def orientations(scan: Scan) -> Iterator[tuple[str, Scan]]:
    """The 24 ways to lay images along the axes of a scan so that slices follow each other along the normal.

    Yields
    ------
    tuple of str and Scan
        Where slice, row and column run to in LPS letters, such as `HPL` for axial images, and the same voxels so.
    """
    for axes, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turned = _turned(scan, axes, signs)
        slices, down, along = turned.affine[:3, 0], turned.affine[:3, 1], turned.affine[:3, 2]
        if np.cross(along, down) @ slices > 0:
            yield "".join(_letter(vector) for vector in (slices, down, along)), turned


def _turned(scan: Scan, axes: tuple[int, ...], signs: tuple[int, ...]) -> Scan:
    matrix = scan.affine[:3, list(axes)] * signs
    values = scan.values.transpose(axes)
    last = np.array([0 if sign > 0 else count - 1 for sign, count in zip(signs, values.shape, strict=True)])
    affine = np.eye(4)
    affine[:3, :3] = matrix
    # The voxel that is now the first was the last along every axis that was turned round.
    affine[:3, 3] = scan.affine[:3, 3] - matrix @ last
    for axis, sign in enumerate(signs):
        values = np.flip(values, axis) if sign < 0 else values
    return Scan(values=np.ascontiguousarray(values), affine=affine)


def _letter(vector: Floats) -> str:
    axis = int(np.abs(vector).argmax())
    return ("LPH" if vector[axis] > 0 else "RAF")[axis]


def tilted_grid(scan: Scan, degrees: float) -> Floats:
    """The affine of a scan whose slices are displaced down their columns as a tilted gantry does, its middle kept."""
    down = scan.affine[:3, 1] / scan.pixel_spacing_mm[0]
    affine = scan.affine.copy()
    step = np.tan(np.radians(degrees)) * scan.spacing_mm * down
    affine[:3, 0] += step
    affine[:3, 3] -= step * (len(scan.values) - 1) / 2
    return affine


def turned_grid(scan: Scan, rotation: Floats) -> Floats:
    """The affine of a scan turned about its middle by a rotation matrix in LPS."""
    middle = scan.affine @ [*((np.array(scan.values.shape) - 1) / 2), 1]
    affine = scan.affine.copy()
    affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = middle[:3] + rotation @ (scan.affine[:3, 3] - middle[:3])
    return affine
