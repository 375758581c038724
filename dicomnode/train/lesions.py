"""Lesions of the lung with a known mask, of seven kinds from ground glass to cavitated, and collapse behind them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from dicomnode.train.chest import Chest
from dicomnode.train.draw import Draw
from dicomnode.train.lesion_shape import Blob, Box, box_round, spicules
from dicomnode.train.shapes import Field, Grid, occupancy, paint

SMALLEST_MM, MASS_MM, LARGEST_MM = 5.0, 30.0, 115.0
"""Diameters; solid lesions from 30 mm on are masses (Fleischner Society glossary, 2008)."""
_DEEP_MM = 4.0


class Kind(StrEnum):
    """What a lesion looks like, or where it hangs."""

    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground glass"
    SPICULATED = "spiculated"
    PLEURAL = "pleural"
    MEDIASTINAL = "mediastinal"
    CAVITATED = "cavitated"


_SHARES = (
    (Kind.SOLID, 0.24), (Kind.PART_SOLID, 0.12), (Kind.GROUND_GLASS, 0.1), (Kind.SPICULATED, 0.14),
    (Kind.PLEURAL, 0.15), (Kind.MEDIASTINAL, 0.15), (Kind.CAVITATED, 0.1),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion of a phantom.

    Attributes
    ----------
    number
        Its value in the mask, from 1.
    diameter_mm
        Of the ball that it was made from.
    volume_ml
        Of its mask, a cavity and ground glass included, spicules not.
    """

    number: int
    kind: Kind
    diameter_mm: float
    volume_ml: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where lesions may grow, as signed distances in mm (negative inside).

    Attributes
    ----------
    pleura
        To the surface of the nearer pleural space.
    mediastinum, cage
        To what lies between the lungs, and to the inner rib cage.
    spared
        To what a mass surrounds but does not replace: heart, great vessels, airways.
    """

    pleura: Field
    mediastinum: Field
    cage: Field
    spared: Field

    @classmethod
    def of(cls, chest: Chest) -> Site:
        """The sites of a chest."""
        spared = np.minimum(np.minimum(chest.heart, chest.aorta), np.minimum(chest.vena_cava, chest.pulmonary_trunk))
        return cls(
            pleura=np.minimum(chest.right_lung, chest.left_lung), mediastinum=chest.mediastinum, cage=chest.cage,
            spared=np.minimum(spared, chest.airway - np.float32(2.0)),
        )  # fmt: skip

    def cut(self, box: Box) -> Site:
        """The same within a box of voxels."""
        return Site(
            pleura=self.pleura[box], mediastinum=self.mediastinum[box], cage=self.cage[box], spared=self.spared[box]
        )


def add_lesions(
    draw: Draw,
    grid: Grid,
    chest: Chest | Site,
    image: Field,
    labels: npt.NDArray[np.uint8],
    edge_mm: float,
    count: int,
) -> tuple[npt.NDArray[np.uint8], tuple[Lesion, ...]]:
    """Paint lesions into an image without any, in place; where there is no lung there is no lesion.

    Parameters
    ----------
    image : ndarray of float32, (slice, row, column)
        Ideal attenuation in HU.
    labels : ndarray of uint8, (slice, row, column)
        Right lung 1 and left lung 2; what collapses behind a tumour and solid masses are taken from it, in place.
    edge_mm : float
        Width of the edges in the image.
    count : int
        How many to draw, at most 60.

    Returns
    -------
    ndarray of uint8, tuple of Lesion
        The number of the lesion in every voxel, and what they are. A lesion that another one covers is left out.
    """
    site = chest if isinstance(chest, Site) else Site.of(chest)
    mask = np.zeros(grid.shape, dtype=np.uint8)
    drawn: list[tuple[int, Kind, float]] = []
    for number in range(1, count + 1):
        kind = _kind(draw)
        diameter_mm = _diameter_mm(draw, kind)
        centre = _place(draw, grid, site, labels, kind)
        if centre is None:
            continue
        if (kind is Kind.MEDIASTINAL and draw.chance(0.3)) or draw.chance(0.06):
            _collapse(draw, grid, site, image, labels, centre, edge_mm)
        _grow(draw, grid, site, image, mask, number, kind, diameter_mm / 2, centre, edge_mm)
        drawn.append((number, kind, diameter_mm))
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    volumes = np.bincount(mask.ravel(), minlength=count + 1) * voxel_ml
    found = tuple(
        Lesion(number=number, kind=kind, diameter_mm=diameter_mm, volume_ml=float(volumes[number]))
        for number, kind, diameter_mm in drawn
        if volumes[number] > 0
    )
    solid = [lesion.number for lesion in found if lesion.diameter_mm >= MASS_MM]
    labels[np.isin(mask, solid)] = 0
    return mask, found


def _kind(draw: Draw) -> Kind:
    names, shares = zip(*_SHARES, strict=True)
    kind: Kind = names[int(draw.rng.choice(len(names), p=shares))]
    return kind


def _diameter_mm(draw: Draw, kind: Kind) -> float:
    """As many small as large ones, on a logarithmic scale."""
    low, high = {
        Kind.GROUND_GLASS: (7.0, 35.0), Kind.PART_SOLID: (8.0, 40.0), Kind.CAVITATED: (12.0, 70.0),
        Kind.SPICULATED: (8.0, 70.0), Kind.MEDIASTINAL: (14.0, LARGEST_MM), Kind.PLEURAL: (SMALLEST_MM, 90.0),
    }.get(kind, (SMALLEST_MM, 80.0))  # fmt: skip
    return float(np.exp(draw.between(np.log(low), np.log(high))))


def _place(
    draw: Draw, grid: Grid, site: Site, labels: npt.NDArray[np.uint8], kind: Kind
) -> tuple[float, float, float] | None:
    """The middle of a lesion, (z, y, x) in mm, or None where the image holds no such place."""
    lung = labels > 0
    if kind is Kind.MEDIASTINAL:
        where = lung & (site.mediastinum < 9)
    elif kind is Kind.PLEURAL:
        where = lung & (site.pleura > -_DEEP_MM) & (site.mediastinum > 14)
    else:
        where = lung & (site.pleura < -_DEEP_MM)
    places = np.flatnonzero(where)
    if not len(places):
        return None
    indices = np.unravel_index(places[int(draw.rng.integers(len(places)))], grid.shape)
    z, y, x = (float(grid.axis_mm(axis)[index]) for axis, index in enumerate(indices))
    return z, y, x


def _collapse(
    draw: Draw, grid: Grid, site: Site, image: Field, labels: npt.NDArray[np.uint8],
    centre: tuple[float, float, float], edge_mm: float,
) -> None:  # fmt: skip
    """A wedge of airless lung that widens away from the lesion: no part of it, and often brighter with contrast."""
    reach = draw.between(30, 130)
    box = box_round(grid, centre, reach)
    z, y, x = (grid.axis_mm(axis)[box[axis]] - centre[axis] for axis in range(3))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    side = 1.0 if centre[2] > 0 else -1.0
    axis = np.array([draw.between(-0.8, 0.8), draw.between(-0.7, 0.9), side])
    axis /= np.linalg.norm(axis)
    along = z * axis[0] + y * axis[1] + x * axis[2]
    across = np.sqrt(np.maximum(z * z + y * y + x * x - along * along, 0))
    opening = np.tan(np.deg2rad(draw.between(12, 40)))
    wave = 2.5 * np.sin(z / 9 + draw.between(0, 6)) * np.sin(x / 11 + y / 8)
    shape = np.maximum((across - along * opening) * np.cos(np.arctan(opening)) + wave, along - reach * 0.9)
    shape = np.maximum(shape, site.pleura[box]).astype(np.float32)
    value = np.float32(draw.between(25, 130)) + np.float32(8) * wave.astype(np.float32)
    paint(image[box], occupancy(shape, edge_mm), value)
    labels[box][shape <= 0] = 0


def _grow(
    draw: Draw, grid: Grid, site: Site, image: Field, mask: npt.NDArray[np.uint8], number: int, kind: Kind,
    radius_mm: float, centre: tuple[float, float, float], edge_mm: float,
) -> None:  # fmt: skip
    """Paint one lesion and write its number over those before it."""
    box = box_round(grid, centre, 1.9 * radius_mm + 8)
    blob = Blob.drawn(draw, radius_mm, smooth=kind in (Kind.GROUND_GLASS,))
    at = [grid.axis_mm(axis)[box[axis]] - centre[axis] for axis in range(3)]
    free = blob.distance(at)
    invades = draw.chance({Kind.MEDIASTINAL: 0.85, Kind.PLEURAL: 0.2}.get(kind, 0.0))
    depth = draw.between(3, 45 if kind is Kind.MEDIASTINAL else 12) if invades else 0.0
    here = site.cut(box)
    limit = here.pleura - np.float32(depth)
    if kind is Kind.MEDIASTINAL:
        limit = np.maximum(limit, here.cage)
    shape = np.maximum(np.maximum(free, limit), -here.spared - np.float32(0.5))
    part = image[box]
    share = occupancy(shape, edge_mm)
    solid_hu = draw.between(-10, 120) if radius_mm < 15 else draw.between(15, 110)
    grain = draw.rng.standard_normal(2)
    texture = np.float32(6) * blob.ripple(at, float(grain[0])) + np.float32(5) * blob.ripple(at, float(grain[1]) + 3)
    if kind in (Kind.GROUND_GLASS, Kind.PART_SOLID):
        soft = occupancy(shape, max(edge_mm, draw.between(1.5, 4.0)))
        part += soft * np.clip(np.float32(draw.between(130, 480)) + 5 * texture, 60, None)
        np.minimum(part, np.maximum(part - soft * 400, np.float32(-60)), out=part, where=part > -60)
        if kind is Kind.PART_SOLID:
            core = Blob.drawn(draw, radius_mm * draw.between(0.3, 0.7))
            offset = [a + np.float32(radius_mm * draw.between(-0.2, 0.2)) for a in at]
            paint(part, occupancy(np.maximum(core.distance(offset), shape), edge_mm), solid_hu - 30.0)
    else:
        paint(part, share, np.float32(solid_hu) + texture)
        if kind is Kind.CAVITATED:
            _hollow(draw, part, at, blob, shape, radius_mm, edge_mm)
        elif radius_mm > 15 and draw.chance(0.35):  # dead tissue in the middle
            inner = Blob.drawn(draw, radius_mm * draw.between(0.3, 0.7)).distance(at)
            paint(part, occupancy(np.maximum(inner, shape + 4), 5.0), draw.between(0, 30))
        elif draw.chance(0.08):  # calcium
            inner = Blob.drawn(draw, max(1.0, radius_mm * draw.between(0.15, 0.5))).distance(at)
            paint(part, occupancy(np.maximum(inner, shape + 1), edge_mm), draw.between(150, 700))
    if kind is Kind.SPICULATED or (kind is Kind.PART_SOLID and draw.chance(0.3)):
        rays = spicules(draw, at, blob, radius_mm, edge_mm)
        paint(part, rays * occupancy(here.pleura, edge_mm), draw.between(-250, 20))
    mask[box][shape <= 0] = number


def _hollow(
    draw: Draw, part: Field, at: list[Field], blob: Blob, shape: Field, radius_mm: float, edge_mm: float
) -> None:
    """Air in a lesion, a level of fluid below it now and then, and a wall left all round."""
    wall = max(2.0, radius_mm * draw.between(0.15, 0.5))
    offset = [a + np.float32(radius_mm * draw.between(-0.15, 0.15)) for a in at]
    hole = np.maximum(blob.distance(offset) + np.float32(wall), shape + np.float32(2.0))
    paint(part, occupancy(hole, edge_mm), draw.between(-1000, -880))
    if draw.chance(0.25):
        level = at[1][None, :, None] - np.float32(radius_mm * draw.between(-0.2, 0.5))
        paint(part, occupancy(np.maximum(hole, -level), edge_mm), draw.between(0, 35))
