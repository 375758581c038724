"""What fills the pleural spaces: parenchyma, vessels, bronchi, disease, and the labels of right and left lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dicomnode.train.chest import Chest
from dicomnode.train.draw import Draw
from dicomnode.train.shapes import Field, Grid, Point, occupancy, paint

RIGHT, LEFT = 1, 2
LABEL_MARGIN_MM = 0.5
"""How far a label reaches beyond the pleural surface.

A contour is drawn through the outermost pixels that are not yet wall and encloses them whole; at the usual 0.7 to
1.0 mm pixels it lies about half a pixel outside the half-way point between lung and wall.
"""
MASS_MM = 30.0
"""Solid lesions from this diameter on are masses (Fleischner Society glossary, 2008) and no part of a lung label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disease:
    """Space taken from one lung: `solid` is outside the lung, of `value_hu`; `nodules` stay inside it."""

    solid: list[tuple[Field, float]]
    nodules: list[tuple[Field, float]]


def fill_lungs(
    seed: int, grid: Grid, chest: Chest, image: Field, variety: float, edge_mm: float, *, masses: bool = True
) -> npt.NDArray[np.uint8]:
    """Paint both lungs into the image, in place, and return the labels; both (slice, row, column).

    Without `masses` the lungs hold neither masses nor nodules, all else being equal.
    """
    draw = Draw(seed, "lungs", variety)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    coarse, middle = grid.smooth_field(draw.rng, 45.0), grid.smooth_field(draw.rng, 14.0)
    fine = grid.smooth_field(draw.rng, 7.0)
    airway_outer = chest.airway - np.float32(1.5)
    parenchyma = _parenchyma(draw, chest, coarse, middle, fine)
    contrast_hu = draw.between(0, 300) if draw.chance(0.5) else 0.0
    bronchi = _vessels(draw, grid, chest, parenchyma, contrast_hu, edge_mm)
    for lumen in bronchi:
        paint(parenchyma, occupancy(lumen - 1.2, edge_mm), -250.0)
        paint(parenchyma, occupancy(lumen, edge_mm), -980.0)
    for label, space in ((RIGHT, chest.right_lung), (LEFT, chest.left_lung)):
        disease = _disease(draw, chest, space, label, coarse, middle, masses=masses)
        lung = space
        for shape, value in disease.solid:
            paint(image, occupancy(shape, edge_mm) * occupancy(space, edge_mm), np.float32(value) + 4 * middle)
            lung = np.maximum(lung, -shape)
        contents = parenchyma
        if disease.nodules:
            contents = parenchyma.copy()
            for shape, value in disease.nodules:
                paint(contents, occupancy(shape, edge_mm), value)
        paint(image, occupancy(lung, edge_mm), contents)
        labels[(lung <= LABEL_MARGIN_MM) & (airway_outer > 0)] = label
    paint(image, occupancy(chest.airway, edge_mm), draw.around(-990, 10))
    return labels


def _parenchyma(draw: Draw, chest: Chest, coarse: Field, middle: Field, fine: Field) -> Field:
    depth = chest.cage_half_mm[1]
    dependent = np.float32(draw.around(45, 50)) * (chest.space.y / np.float32(depth))
    if draw.chance(0.08):
        dependent = -dependent  # lying prone
    texture = np.float32(draw.between(8, 25))
    value = np.float32(draw.around(-850, 75)) + dependent + texture * (middle + fine) * np.float32(0.8) + 18 * coarse
    surface = np.maximum(chest.right_lung, -1000)
    surface = np.minimum(surface, chest.left_lung)
    if draw.chance(0.4):  # dependent ground glass just above the back
        value += np.clip((chest.space.y / depth - 0.6) * 600, 0, draw.between(60, 350)) * np.clip(0.6 + middle, 0, 1)
    if draw.chance(0.25):  # emphysema
        value -= np.clip(middle + coarse - draw.between(0, 1.5), 0, 1) * draw.between(40, 120)
    if draw.chance(0.12):  # bullae
        bullae = np.clip((coarse + 0.3 * middle - draw.between(0.8, 1.8)) * 8, 0, 1)
        value += bullae * (np.float32(-985) - value)
    if draw.chance(0.2):  # fibrosis: a net below the pleura
        rim = np.clip(1 + (surface + draw.between(2, 15)) / 8, 0, 1)
        value += rim * np.clip(fine - 0.2, 0, 2) * draw.between(100, 350)
    if draw.chance(0.25):  # ground glass
        value += np.clip((coarse + 0.4 * middle - draw.between(-0.3, 1.3)) * 2, 0, 1) * draw.between(100, 400)
    if draw.chance(0.25):  # consolidation with air left in it
        patch = np.clip((coarse + 0.6 * middle - draw.between(0.7, 1.8)) * 4, 0, 1)
        value += patch * (np.float32(draw.between(-350, 0)) + 90 * fine - value)
    if draw.chance(0.7) or draw.variety == 0:  # fissures
        for sign in (-1, 1):
            tilt = draw.between(0.5, 1.1)
            plane: Field = (chest.space.z - draw.around(5, 20)) * 0.75 - tilt * chest.space.y + 5 * coarse
            sheet = occupancy(np.asarray(np.abs(plane) - 0.5, dtype=np.float32), 2.5) * (chest.space.x * sign > 0)
            value += sheet * np.float32(draw.between(30, 260))
    result: Field = np.clip(value, -1010, 80).astype(np.float32)
    return result


def _vessels(draw: Draw, grid: Grid, chest: Chest, image: Field, contrast_hu: float, edge_mm: float) -> list[Field]:
    """Paint arteries and veins that branch from each hilum, and return the lumina of the lobar bronchi."""
    blood_hu = draw.around(40, 15) + contrast_hu
    share = np.zeros_like(image)
    bronchi: list[Field] = []
    twigs = int(draw.between(5, 8))
    for side, hilum in zip((-1.0, 1.0), chest.hila, strict=True):
        for root in range(2 * twigs):
            direction = draw.rng.normal(size=3) * (0.9, 0.9, 1.0) + (0.75 * side, 0.05, 0.0)
            direction /= np.linalg.norm(direction)
            if direction[0] * side < -0.15:
                direction[0] *= -1
            length, radius = chest.size * draw.between(26, 44), chest.size * draw.between(2.6, 6.0)
            start = np.asarray(hilum) + draw.rng.normal(size=3) * 6
            _branch(draw, grid, share, start, direction, length, radius, 0, edge_mm)
            if root < 3 and draw.chance(0.8):
                end = start + direction * length * 1.2
                bronchi.append(chest.space.capsule(_point(hilum), _point(end), draw.between(1.8, 4.2)))
    tiny = draw.between(0.0, 0.5) * np.clip(grid.smooth_field(draw.rng, 9.0) - 1.3, 0, 1)
    paint(image, np.maximum(share, tiny), blood_hu)
    return bronchi


def _point(values: npt.ArrayLike) -> Point:
    x, y, z = np.asarray(values, dtype=float)
    return float(x), float(y), float(z)


def _branch(
    draw: Draw, grid: Grid, share: Field, start: npt.NDArray[np.float64], direction: npt.NDArray[np.float64],
    length: float, radius: float, depth: int, edge_mm: float,
) -> None:  # fmt: skip
    end = start + direction * length
    _rod(grid, share, start, end, radius, edge_mm)
    if depth == 4 or radius < 0.5:
        return
    for _ in range(2 if depth else 3):
        turned = direction + draw.rng.normal(size=3) * 0.42
        turned /= np.linalg.norm(turned)
        shorter = length * draw.between(0.55, 0.9)
        _branch(draw, grid, share, end, turned, shorter, radius * draw.between(0.55, 0.8), depth + 1, edge_mm)


def _rod(
    grid: Grid,
    share: Field,
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
    radius: float,
    edge_mm: float,
) -> None:
    """Add a thin rod to a map of shares, touching only the voxels near it."""
    margin = radius + edge_mm
    low, high = np.minimum(start, end) - margin, np.maximum(start, end) + margin
    box: list[slice] = []
    for axis in range(3):
        spacing = grid.spacing_mm[axis]
        first = grid.centre_mm[axis] - (grid.shape[axis] - 1) / 2 * spacing
        a = max(0, int(np.ceil((low[2 - axis] - first) / spacing)))
        b = min(grid.shape[axis], int(np.floor((high[2 - axis] - first) / spacing)) + 1)
        if a >= b:
            return
        box.append(slice(a, b))
    position = [
        (grid.centre_mm[axis] + (np.arange(box[axis].start, box[axis].stop) - (grid.shape[axis] - 1) / 2)
         * grid.spacing_mm[axis])
        for axis in range(3)
    ]  # fmt: skip
    px = position[2][None, None, :] - start[0]
    py = position[1][None, :, None] - start[1]
    pz = position[0][:, None, None] - start[2]
    d = end - start
    along = np.clip((px * d[0] + py * d[1] + pz * d[2]) / float(d @ d), 0, 1)
    distance = np.sqrt((px - along * d[0]) ** 2 + (py - along * d[1]) ** 2 + (pz - along * d[2]) ** 2) - radius
    region = share[box[0], box[1], box[2]]
    np.maximum(region, np.clip(0.5 - distance / edge_mm, 0, 1), out=region, casting="same_kind")


def _disease(
    draw: Draw, chest: Chest, space: Field, label: int, coarse: Field, middle: Field, *, masses: bool
) -> Disease:
    side = -1.0 if label == RIGHT else 1.0
    width, depth, height = chest.cage_half_mm
    solid: list[tuple[Field, float]] = []
    nodules: list[tuple[Field, float]] = []
    if draw.chance(0.03):  # a lung that is gone or wholly without air
        solid.append((np.full_like(space, -50.0), draw.between(0, 60)))
    if draw.chance(0.18):  # effusion, level in the dependent part, and the lung collapsed above it
        level = depth * draw.between(0.15, 0.9)
        rise = draw.between(0.0, 0.25) * np.maximum(np.abs(chest.space.x) - 0.5 * width, 0)
        fluid = np.float32(level) - rise - chest.space.y + (chest.space.z + 0.1 * height) * draw.between(0.0, 0.5)
        fluid = (fluid * np.float32(0.85)).astype(np.float32)
        if draw.chance(0.7):
            solid.append(
                (fluid - np.float32(draw.between(3, 25)) * np.clip(0.7 + 0.5 * middle, 0, 2), draw.between(40, 120))
            )
        solid.append((fluid, draw.between(-5, 30)))
    if draw.chance(0.3):  # masses: on the mediastinum, on the pleura or anywhere
        for _ in range(1 + int(draw.chance(0.25))):
            radius = draw.between(MASS_MM / 2, 55)
            place = draw.between(0, 1)
            across = draw.between(0.3, 0.45) if place < 0.4 else draw.between(0.35, 1.0)
            centre = (side * width * across, depth * draw.between(-0.8, 0.9), height * draw.between(-0.35, 0.45))
            stretch = (radius * draw.between(0.75, 1.2), radius * draw.between(0.75, 1.2), radius)
            turn, value = draw.between(-90, 90), draw.between(10, 110)
            if masses:
                solid.append((chest.space.ellipsoid(centre, stretch, turn) + 3 * middle + 2 * coarse, value))
    if draw.chance(0.15):  # a thick pleura
        solid.append((-space - np.float32(draw.between(1, 8)) * np.clip(0.3 + coarse, 0, 2), draw.between(20, 90)))
    if draw.chance(0.15):  # plate of collapsed lung
        plate = np.abs(chest.space.z - draw.between(-0.3, 0.1) * height + 8 * coarse) - draw.between(0.5, 2.5)
        nodules.append((np.maximum(plate, -chest.space.x * side + width * 0.3), draw.between(-300, 60)))
    for _ in range(int(draw.between(0, 5) * draw.variety)):
        radius = draw.between(2, MASS_MM / 2)
        centre = (
            side * width * draw.between(0.3, 1.0),
            depth * draw.between(-0.9, 0.95),
            height * draw.between(-0.4, 0.45),
        )
        value = draw.between(-400, 120)
        if masses:
            nodules.append((chest.space.ellipsoid(centre, (radius, radius, radius)) + middle, value))
    return Disease(solid=solid, nodules=nodules)
