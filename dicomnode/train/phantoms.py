"""Made-up thorax CT with known lungs, for the demonstration, the tests and the training of the lung model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.train.body import body
from dicomnode.train.chest import Chest, chest
from dicomnode.train.draw import Draw
from dicomnode.train.lesions import Lesion, add_lesions
from dicomnode.train.lungs import LEFT, RIGHT, fill_lungs
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Field, Grid

__all__ = ["LEFT", "RIGHT", "Patient", "Phantom", "patient", "thorax"]

_SHIFT = 4
"""A voxel holds label + 4 × lesion while the scanner clears what the field of view cuts off."""


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
    lesions : ndarray of uint8, (slice, row, column), optional
        The number of the lesion in every voxel, 0 for none; lesions were asked for if it is there.
    drawn : tuple of Lesion
        What they are, by number from 1.
    """

    hounsfield: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    seed: int
    lesions: npt.NDArray[np.uint8] | None = None
    drawn: tuple[Lesion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One patient on a grid before the scanner: ideal attenuation in HU, labels as in `Phantom`, and shapes.

    Attributes
    ----------
    body : ndarray of bool, (slice, row, column)
        Trunk, neck and arms with all that they enclose, without couch and clothes.
    edge_mm : float
        Width of every edge in the image.
    """

    grid: Grid
    image: Field
    labels: npt.NDArray[np.uint8]
    body: npt.NDArray[np.bool_]
    chest: Chest
    edge_mm: float


def patient(seed: int, grid: Grid, variety: float, *, masses: bool = True) -> Patient:
    """Draw a patient; without `masses` his lungs hold neither masses nor nodules, all else being equal."""
    edge_mm = Draw(seed, "edge", variety).around(1.8, 0.9)
    anatomy = chest(seed, grid, variety)
    image, inside = body(seed, grid, anatomy, variety, edge_mm)
    labels = fill_lungs(seed, grid, anatomy, image, variety, edge_mm, masses=masses)
    return Patient(grid=grid, image=image, labels=labels, body=inside, chest=anatomy, edge_mm=edge_mm)


def thorax(
    seed: int,
    *,
    spacing_mm: tuple[float, float, float] = (5.0, 1.5, 1.5),
    shape: tuple[int, int, int] = (60, 256, 256),
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    variety: float = 0.3,
    lesions: int | None = None,
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
    lesions : int, optional
        Draw so many lesions with a known mask in place of the masses and nodules that the lungs else hold by chance.
        They are placed by voxels: another grid has others.

    Returns
    -------
    Phantom
        Volume and labels.
    """
    grid = Grid(shape=shape, spacing_mm=spacing_mm, centre_mm=centre_mm)
    drawn = patient(seed, grid, variety, masses=lesions is None)
    z, y, x = (float(grid.axis_mm(axis)[0]) for axis in range(3))
    labels, mask = drawn.labels, None
    found: tuple[Lesion, ...] = ()
    if lesions is not None:
        mask, found = add_lesions(Draw(seed, "lesions"), grid, drawn.chest, drawn.image, labels, drawn.edge_mm, lesions)
        labels = labels + np.uint8(_SHIFT) * mask
    hounsfield = scan(seed, grid, drawn.image, labels, variety)
    return Phantom(
        hounsfield=hounsfield,
        labels=labels if mask is None else labels % _SHIFT,
        spacing_mm=spacing_mm,
        origin_mm=(x, y, z),
        seed=seed,
        lesions=None if mask is None else labels // _SHIFT,
        drawn=found,
    )
