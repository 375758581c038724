"""Made-up thorax CT with known lungs, for the demonstration, the tests and the training of the lung model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.train.body import body
from dicomnode.train.chest import chest
from dicomnode.train.draw import Draw
from dicomnode.train.lungs import LEFT, RIGHT, fill_lungs
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Grid

__all__ = ["LEFT", "RIGHT", "Phantom", "thorax"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A synthetic CT volume and its true labels.

    Attributes
    ----------
    hounsfield : ndarray of int16, (slice, row, column)
        Attenuation in HU; axes run towards head, posterior and patient-left (LPS: +z, +y, +x).
    labels : ndarray of uint8, (slice, row, column)
        0 background, 1 right lung, 2 left lung.
    spacing_mm : tuple of float
        Voxel spacing along (slice, row, column).
    origin_mm : tuple of float
        LPS position (x, y, z) of the centre of the first voxel.
    seed : int
        The seed it was made from.
    """

    hounsfield: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    seed: int


def thorax(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (5.0, 1.5, 1.5),
    shape: tuple[int, int, int] = (60, 256, 256),
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    variety: float = 0.3,
) -> Phantom:
    """Draw a thorax; the same seed gives the same patient on any grid, and the same voxels on the same grid.

    Parameters
    ----------
    seed : int
        Seed of patient, disease and acquisition; not negative.
    spacing_mm : tuple of float
        Voxel spacing along (slice, row, column), in mm.
    shape : tuple of int
        Voxels along (slice, row, column).
    centre_mm : tuple of float
        Position (z, y, x) of the middle of the grid in the patient, whose origin lies midway between apex and base
        of the lungs; the default shows both lungs whole.
    variety : float
        0 is a healthy textbook thorax on a good scanner, 1 the full range that the network is trained on, with
        disease, odd fields of view and poor images.

    Returns
    -------
    Phantom
        Volume and labels.
    """
    grid = Grid(shape=shape, spacing_mm=spacing_mm, centre_mm=centre_mm)
    edge_mm = Draw(seed, "edge", variety).around(1.8, 0.9)
    anatomy = chest(seed, grid, variety)
    image = body(seed, grid, anatomy, variety, edge_mm)
    labels = fill_lungs(seed, grid, anatomy, image, variety, edge_mm)
    z, y, x = (float(grid.axis_mm(axis)[0]) for axis in range(3))
    return Phantom(
        hounsfield=scan(seed, grid, image, labels, variety),
        labels=labels,
        spacing_mm=spacing_mm,
        origin_mm=(x, y, z),
        seed=seed,
    )
