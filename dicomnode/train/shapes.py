"""Implicit shapes on a voxel grid: signed distances in millimetres, negative inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Point = tuple[float, float, float]
"""A point or a size as (x, y, z) in mm: x to patient-left, y to posterior, z to head."""

FAR_MM = 40.0
HALF_EXTENT_MM = 420.0
"""Half the edge of the cube in which lattices of random fields are laid out; larger than any field of view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Voxel centres of an image, axes (slice, row, column) towards (head, posterior, patient-left).

    Attributes
    ----------
    shape : tuple of int
        Voxels along (slice, row, column).
    spacing_mm : tuple of float
        Distance of voxel centres along (slice, row, column).
    centre_mm : tuple of float
        Position (z, y, x) of the middle of the grid; the origin lies midway between apex and base of the lungs.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    centre_mm: tuple[float, float, float]

    def axis_mm(self, axis: int) -> Field:
        """Positions of the voxel centres along one axis, in mm."""
        steps = np.arange(self.shape[axis]) - (self.shape[axis] - 1) / 2
        return (self.centre_mm[axis] + steps * self.spacing_mm[axis]).astype(np.float32)

    def coordinates_mm(self) -> tuple[Field, Field, Field]:
        """x, y and z of the voxel centres, shaped for broadcasting over (slice, row, column)."""
        return (
            self.axis_mm(2)[None, None, :],
            self.axis_mm(1)[None, :, None],
            self.axis_mm(0)[:, None, None],
        )

    def smooth_field(self, rng: np.random.Generator, cell_mm: float) -> Field:
        """A random field of about zero mean and unit variance that varies over `cell_mm`, the same on any grid.

        Cubic B-spline on a lattice of normal numbers, so it is smooth and does not depend on the voxels.
        """
        nodes = int(2 * HALF_EXTENT_MM / cell_mm) + 4
        field = rng.standard_normal((nodes, nodes, nodes), dtype=np.float32)
        weights = [_spline_weights(self.axis_mm(axis), cell_mm, nodes) for axis in range(3)]
        for weight in weights:
            # contracting the first axis moves the result last, so three turns restore (slice, row, column)
            field = np.tensordot(field, weight, axes=(0, 1))
        # variance of a cubic B-spline sum over a unit lattice: (0.479)^3 on average
        return np.ascontiguousarray(field / 0.332, dtype=np.float32)


def _spline_weights(position_mm: Field, cell_mm: float, nodes: int) -> Field:
    u = np.clip((position_mm + HALF_EXTENT_MM) / cell_mm, 0, nodes - 4)
    distance = np.abs(u[:, None] + 1 - np.arange(nodes)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    weights: Field = np.where(distance < 1, near, far).astype(np.float32)
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Warped anatomical coordinates of every voxel, in mm: x to patient-left, y to posterior, z to head.

    Shapes that end more than `FAR_MM` above or below the image come back as one constant distance, which spares a slab
    of a few slices most of the body.
    """

    x: Field
    y: Field
    z: Field
    z_range_mm: tuple[float, float]

    def _gap_mm(self, low: float, high: float) -> float:
        return max(self.z_range_mm[0] - high, low - self.z_range_mm[1])

    def ellipsoid(self, centre: Point, radii: Point, turn_deg: float = 0.0) -> Field:
        """Approximate signed distance to an ellipsoid turned about the long axis of the body."""
        if (gap := self._gap_mm(centre[2] - radii[2], centre[2] + radii[2])) > FAR_MM:
            return np.full_like(self.z, gap)
        px, py, pz = self.x - centre[0], self.y - centre[1], self.z - centre[2]
        if turn_deg:
            c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
            px, py = np.float32(c) * px + np.float32(s) * py, np.float32(c) * py - np.float32(s) * px
        wx, wy, wz = (np.float32(1 / radius**2) for radius in radii)
        ax, ay, az = px * px * wx, py * py * wy, pz * pz * wz
        norm = np.sqrt(ax + ay + az)
        slope = np.sqrt(ax * wx + ay * wy + az * wz)
        result: Field = norm * (norm - 1) / (slope + np.float32(1e-6))
        return result

    def column(self, centre_x: float | Field, centre_y: float | Field, radius_x: float, radius_y: float) -> Field:
        """Approximate signed distance to an elliptic cylinder along the body; the centres may vary with z."""
        px, py = self.x - np.float32(centre_x), self.y - np.float32(centre_y)
        wx, wy = np.float32(1 / radius_x**2), np.float32(1 / radius_y**2)
        ax, ay = px * px * wx, py * py * wy
        norm = np.sqrt(ax + ay)
        slope = np.sqrt(ax * wx + ay * wy)
        result: Field = norm * (norm - 1) / (slope + np.float32(1e-6))
        return result

    def capsule(self, start: Point, end: Point, radius_mm: float) -> Field:
        """Signed distance to a rod with round ends."""
        ends = sorted((start[2], end[2]))
        if (gap := self._gap_mm(ends[0] - radius_mm, ends[1] + radius_mm)) > FAR_MM:
            return np.full_like(self.z, gap)
        d = np.subtract(end, start)
        px, py, pz = self.x - start[0], self.y - start[1], self.z - start[2]
        along = np.clip((px * d[0] + py * d[1] + pz * d[2]) / float(d @ d), 0, 1).astype(np.float32)
        px, py, pz = px - along * np.float32(d[0]), py - along * np.float32(d[1]), pz - along * np.float32(d[2])
        result: Field = np.sqrt(px * px + py * py + pz * pz) - np.float32(radius_mm)
        return result


def occupancy(distance: Field, width_mm: float) -> Field:
    """Share of a voxel inside the shape, 0 to 1, for an edge `width_mm` wide (partial volume)."""
    result: Field = np.clip(np.float32(0.5) - distance / np.float32(width_mm), 0, 1)
    return result


def united(a: Field, b: Field, rounding_mm: float) -> Field:
    """Union of two shapes with the crease between them rounded (polynomial smooth minimum)."""
    k = np.float32(rounding_mm)
    h = np.clip(np.float32(0.5) + np.float32(0.5) * (b - a) / k, 0, 1)
    result: Field = b * (1 - h) + a * h - k * h * (1 - h)
    return result


def common_part(a: Field, b: Field, rounding_mm: float) -> Field:
    """Intersection of two shapes with the edge between them rounded."""
    return -united(-a, -b, rounding_mm)


def paint(image: Field, share: Field, value: float | Field) -> None:
    """Mix `value` into the image, in place, by the share of each voxel that it fills."""
    image += share * (value - image)
