"""Shapes of lesions in a small box: a lobulated, flattened ball, and the spicules that stand on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dicomnode.train.draw import Draw
from dicomnode.train.shapes import Field, Grid

Box = tuple[slice, slice, slice]


def box_round(grid: Grid, centre_mm: tuple[float, float, float], reach_mm: float) -> Box:
    """The voxels within a reach of a place (z, y, x) along every axis."""
    sides = []
    for axis in range(3):
        near = np.flatnonzero(np.abs(grid.axis_mm(axis) - centre_mm[axis]) <= max(reach_mm, grid.spacing_mm[axis]))
        sides.append(slice(int(near[0]), int(near[-1]) + 1) if len(near) else slice(0, 0))
    return sides[0], sides[1], sides[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A ball whose radius varies with the direction, flattened along one axis.

    Attributes
    ----------
    waves : ndarray, (wave, 3)
        Directions (z, y, x) times the number of lobes.
    phases, heights : ndarray, (wave,)
        Of the waves; heights are shares of the radius.
    flat : ndarray, (3,)
        Unit vector along which it is `flatness` times as thick.
    """

    radius_mm: float
    waves: npt.NDArray[np.float64]
    phases: npt.NDArray[np.float64]
    heights: npt.NDArray[np.float64]
    flat: npt.NDArray[np.float64]
    flatness: float

    @classmethod
    def drawn(cls, draw: Draw, radius_mm: float, *, smooth: bool = False) -> Self:
        """A random one; large ones are more lobulated than small ones."""
        count = 7
        waves = draw.rng.normal(size=(count, 3))
        waves *= (draw.rng.uniform(1.5, 5.0, count) / np.linalg.norm(waves, axis=1))[:, None]
        lobulated = draw.between(0.0, 0.05) if smooth else draw.between(0.02, 0.1 if radius_mm < 8 else 0.16)
        flat = draw.rng.normal(size=3)
        return cls(
            radius_mm=radius_mm, waves=waves, phases=draw.rng.uniform(0, 6.3, count),
            heights=lobulated * draw.rng.uniform(0.3, 1.0, count), flat=flat / np.linalg.norm(flat),
            flatness=draw.between(0.6, 1.15),
        )  # fmt: skip

    def distance(self, at: list[Field]) -> Field:
        """Approximate signed distance in mm at (z, y, x) from its middle, each axis on its own."""
        z, y, x = (a.astype(np.float32) for a in at)
        z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
        along = z * self.flat[0] + y * self.flat[1] + x * self.flat[2]
        squares = z * z + y * y + x * x + (1 / self.flatness**2 - 1) * along * along
        distance = np.sqrt(squares) + np.float32(1e-3)
        bump = np.zeros(distance.shape, dtype=np.float32)
        for (a, b, c), phase, height in zip(self.waves, self.phases, self.heights, strict=True):
            turn = (z * np.float32(a) + y * np.float32(b) + x * np.float32(c)) / distance
            bump += np.float32(height) * np.sin(turn + np.float32(phase), dtype=np.float32)
        result: Field = (distance - np.float32(self.radius_mm) * (1 + bump)).astype(np.float32)
        return result

    def ripple(self, at: list[Field], shift: float) -> Field:
        """Waves of a few mm through the box, about -1 to 1, for the grain of tissue."""
        z, y, x = (a / np.float32(4.0) for a in at)
        first, second = self.waves[0] / 3, self.waves[1] / 3
        result: Field = np.sin(
            z[:, None, None] * first[0] + y[None, :, None] * first[1] + x[None, None, :] * first[2] + shift
        ) * np.sin(z[:, None, None] * second[0] + y[None, :, None] * second[1] + x[None, None, :] * second[2])
        return result.astype(np.float32)


def spicules(draw: Draw, at: list[Field], blob: Blob, radius_mm: float, edge_mm: float) -> Field:
    """Share of every voxel that thin rays from the surface outwards fill."""
    z, y, x = at[0][:, None, None], at[1][None, :, None], at[2][None, None, :]
    shape = (len(at[0]), len(at[1]), len(at[2]))
    share = np.zeros(shape, dtype=np.float32)
    squares = z * z + y * y + x * x
    for _ in range(int(draw.between(6, 22))):
        ray = draw.rng.normal(size=3)
        ray /= np.linalg.norm(ray)
        length = radius_mm * draw.between(1.2, 1.8)
        thick = draw.between(0.3, 1.0)
        along = z * ray[0] + y * ray[1] + x * ray[2]
        across = np.sqrt(np.maximum(squares - along * along, 0))
        taper = thick * np.clip(1.3 - along / length, 0.2, 1.3)
        rod = np.maximum(across - taper, np.maximum(-along, along - length))
        np.maximum(share, np.clip(0.5 - rod / edge_mm, 0, 1), out=share, casting="same_kind")
    return share
