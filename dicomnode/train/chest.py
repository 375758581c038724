"""The shape of a chest: rib cage, mediastinum, diaphragm, airways and the two pleural spaces between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dicomnode.train.draw import Draw
from dicomnode.train.shapes import Field, Grid, Point, Space, common_part, united

_ROUND_MM = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chest:
    """Shapes of one chest on a grid, as signed distances in mm (negative inside).

    Attributes
    ----------
    space : Space
        Anatomical coordinates after warping.
    size : float
        Scale against the textbook adult.
    cage_half_mm : tuple of float
        Half width and half depth of the inner rib cage, and the height of the lungs.
    apex_mm, vertebra_y_mm : float
        z of the apices of the lungs and y of the vertebral bodies.
    dome_top_mm : tuple of float
        z of the top of the right and the left half of the diaphragm.
    cage, mediastinum, heart, aorta, vena_cava, pulmonary_trunk, oesophagus : Field
        Inner rib cage, everything between the lungs, and what lies in it.
    below_diaphragm : Field
        The abdominal side of both halves of the diaphragm.
    right_lung, left_lung : Field
        The pleural spaces.
    airway : Field
        Lumen of trachea and main bronchi.
    hila : tuple of Point
        Where vessels and bronchi enter the right and the left lung.
    """

    space: Space
    size: float
    cage_half_mm: tuple[float, float, float]
    apex_mm: float
    vertebra_y_mm: float
    dome_top_mm: tuple[float, float]
    cage: Field
    mediastinum: Field
    heart: Field
    aorta: Field
    vena_cava: Field
    pulmonary_trunk: Field
    oesophagus: Field
    below_diaphragm: Field
    right_lung: Field
    left_lung: Field
    airway: Field
    hila: tuple[Point, Point]


def chest(seed: int, grid: Grid, variety: float) -> Chest:
    """Draw the chest of one phantom on a grid."""
    draw = Draw(seed, "chest", variety)
    size = draw.around(1.0, 0.14)
    space = _warped(draw, grid)
    width, depth = size * draw.around(130, 14), size * draw.around(88, 13)
    height = size * draw.around(228, 38)
    apex, base = height / 2, -height / 2
    level = (space.z - base) / height  # 0 at the posterior recess, 1 at the apex

    cage = _cage(draw, space, level, width, depth, height)
    vertebra_y = depth - size * draw.around(22, 6)
    heart = _heart(draw, space, size, base, height)
    aorta = _aorta(draw, space, size, level, base, height, vertebra_y)
    carina_z = base + height * draw.around(0.63, 0.04)
    carina = (size * draw.around(2, 5), size * draw.around(8, 6), carina_z)
    hilum_z = base + height * draw.around(0.53, 0.04)
    hila = (
        (-size * draw.around(40, 6), size * draw.around(8, 8), hilum_z),
        (size * draw.around(44, 6), size * draw.around(12, 8), hilum_z + size * draw.around(5, 6)),
    )
    airway = _airway(draw, space, size, carina, hila, apex)
    vena_cava = space.column(-size * draw.around(24, 4), -size * draw.around(8, 8), size * 9, size * 11)
    vena_cava = np.maximum(vena_cava, carina_z - 35 * size - space.z)
    trunk = space.capsule(
        (size * 12, -size * 28, hilum_z - 8 * size),
        (size * 26, size * 2, hilum_z + 12 * size),
        size * draw.around(12, 3),
    )
    oesophagus = space.column(size * draw.around(4, 6), vertebra_y - size * draw.around(27, 3), size * 8, size * 6)

    middle = _between_lungs(draw, space, size, level, vertebra_y, hila)
    for organ, wall in ((heart, 2.5), (aorta, 1.5), (vena_cava, 1.5), (trunk, 2.0), (airway, draw.around(2.2, 0.8))):
        middle = united(middle, organ - np.float32(wall), _ROUND_MM)
    middle = middle + grid.smooth_field(draw.rng, 26.0) * np.float32(2.0 * variety)

    tops = _dome_tops(draw, size, base, height)
    lungs, below = [], None
    for side, top in zip((-1, 1), tops, strict=True):
        dome = _dome(draw, space, side, top, size, width, depth)
        below = dome if below is None else united(below, dome, _ROUND_MM)
        own_side = -np.float32(side) * (space.x - np.float32(2.0))
        lung = common_part(cage, -middle, _ROUND_MM)
        lung = common_part(lung, -dome, draw.around(3.0, 1.5))  # the recess between dome and wall is sharp
        lungs.append(np.maximum(lung, own_side))
    assert below is not None
    return Chest(
        space=space, size=size, cage_half_mm=(width, depth, height), apex_mm=apex, vertebra_y_mm=vertebra_y,
        dome_top_mm=tops, cage=cage, mediastinum=middle, heart=heart, aorta=aorta, vena_cava=vena_cava,
        pulmonary_trunk=trunk, oesophagus=oesophagus, below_diaphragm=below,
        right_lung=lungs[0], left_lung=lungs[1], airway=airway, hila=hila,
    )  # fmt: skip


def _warped(draw: Draw, grid: Grid) -> Space:
    """Coordinates turned, shifted and smoothly bent: no two patients lie the same way."""
    x, y, z = grid.coordinates_mm()
    turn, lean, nod = (np.deg2rad(draw.around(0, limit)) for limit in (14, 8, 10))
    zeros = np.zeros(grid.shape, dtype=np.float32)
    x, y, z = x + zeros, y + zeros, z + zeros
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    x, z = x * np.cos(lean) + z * np.sin(lean), z * np.cos(lean) - x * np.sin(lean)
    y, z = y * np.cos(nod) + z * np.sin(nod), z * np.cos(nod) - y * np.sin(nod)
    bend_mm = draw.variety * draw.between(2.0, 6.0)
    x, y, z = (c + grid.smooth_field(draw.rng, 60.0) * np.float32(bend_mm) for c in (x, y, z))
    ripple_mm = draw.variety * draw.between(0.3, 1.2)
    x, y, z = (c + grid.smooth_field(draw.rng, 22.0) * np.float32(ripple_mm) for c in (x, y, z))
    z = z.astype(np.float32)
    return Space(x=x.astype(np.float32), y=y.astype(np.float32), z=z, z_range_mm=(float(z.min()), float(z.max())))


def _cage(draw: Draw, space: Space, level: Field, width: float, depth: float, height: float) -> Field:
    """Inner rib cage: a superellipsoid of exponent 2.5, flat across the midline so that each lung has its apex."""
    flat = width * draw.around(0.2, 0.05)
    waist = draw.around(0.33, 0.06)
    back_shift = draw.around(14, 8) * np.clip((level - 0.5) / 0.5, 0, 1)
    narrowing = 1 - np.float32(draw.around(0.05, 0.06)) * np.clip((waist - level) / waist, 0, 2)
    u = np.maximum(np.abs(space.x) - flat, 0) / (np.float32(width) * narrowing - flat)
    v = np.abs(space.y - back_shift.astype(np.float32)) / (np.float32(depth) * narrowing)
    tall = height * (1 - waist)
    w = np.maximum(level - waist, 0) * np.float32(height / tall)
    radius = np.power(u * u * np.sqrt(u) + v * v * np.sqrt(v) + w * w * np.sqrt(w), np.float32(0.4)) + np.float32(1e-3)
    slope = sum((t / radius) ** 3 / np.float32(s * s) for t, s in ((u, width - flat), (v, depth), (w, tall)))
    result: Field = ((radius - 1) / np.sqrt(slope + np.float32(1e-8))).astype(np.float32)
    return result


def _heart(draw: Draw, space: Space, size: float, base: float, height: float) -> Field:
    big = draw.around(1.0, 0.2)
    centre = (size * draw.around(22, 10), -size * draw.around(26, 9), base + height * draw.around(0.37, 0.04))
    main = space.ellipsoid(centre, (size * big * 60, size * big * 42, size * big * 56), draw.around(-32, 12))
    right_edge = space.ellipsoid(
        (-size * draw.around(14, 5), -size * 18, centre[2] + 4), (size * big * 30, size * big * 34, size * big * 46)
    )
    return united(main, right_edge, 10.0)


def _aorta(draw: Draw, space: Space, size: float, level: Field, base: float, height: float, vertebra_y: float) -> Field:
    radius = size * draw.around(13, 4)
    arch_z = base + height * draw.around(0.72, 0.03)
    across = size * draw.around(22, 4)
    behind = vertebra_y - size * draw.around(12, 4)
    descending = space.column(across + draw.around(2, 5), behind, radius * 0.9, radius * 0.9)
    descending = np.maximum(descending, space.z - np.float32(arch_z))
    root = (-size * 4.0, -size * 22.0, base + height * 0.5)
    front = (-size * draw.around(12, 4), -size * draw.around(18, 5), arch_z - 10 * size)
    top = (size * 8, 0.0, arch_z + 4 * size)
    back = (across, behind, arch_z - 6 * size)
    result = united(space.capsule(root, front, radius * 1.15), descending, 4.0)
    for start, end in ((front, top), (top, back)):
        result = united(result, space.capsule(start, end, radius), 4.0)
    return result


def _airway(draw: Draw, space: Space, size: float, carina: Point, hila: tuple[Point, Point], apex: float) -> Field:
    """Lumen of the trachea from above the chest to the carina, and of both main bronchi to the hila."""
    radius = size * draw.around(8.5, 2.2)
    upper = (draw.around(0, 6), size * draw.around(-2, 8), apex + 90 * size)
    result = space.capsule(carina, upper, radius)
    for hilum, share in zip(hila, (0.75, 0.7), strict=True):
        end = (hilum[0] * 0.8, hilum[1], hilum[2] + draw.around(4, 4))
        result = united(result, space.capsule(carina, end, radius * draw.around(share, 0.08)), 3.0)
    return result


def _between_lungs(
    draw: Draw, space: Space, size: float, level: Field, vertebra_y: float, hila: tuple[Point, Point]
) -> Field:
    """Fat, nodes and vessels between the lungs, the spine behind them and the narrow anterior junction in front."""
    upper = np.clip((level - 0.6) / 0.15, 0, 1)
    half_width = np.float32(size * draw.around(19, 4)) + np.float32(size * draw.around(9, 4)) * upper
    lateral = np.abs(space.x - np.float32(size * draw.around(1, 4)))
    middle_y = size * draw.around(2, 8)
    half_depth = size * draw.around(38, 8)
    core = np.maximum(lateral - half_width, np.abs(space.y - np.float32(middle_y)) - np.float32(half_depth))
    # narrowest just behind the breastbone, wider towards the great vessels, and a wedge of fat at the breastbone itself
    from_front = space.y + np.float32(size * draw.around(72, 10))
    junction = np.float32(size * draw.around(5, 4)) + 0.15 * np.maximum(from_front, 0)
    junction = junction + np.float32(draw.around(0.9, 0.6)) * np.maximum(-from_front, 0)
    front = np.maximum(lateral - junction, space.y - np.float32(middle_y))
    spine = space.column(0.0, vertebra_y, size * draw.around(22, 2.5), size * draw.around(19, 2))
    behind = np.float32(size * draw.around(21, 2.5)) + np.float32(0.45) * np.maximum(space.y - vertebra_y, 0)
    spine = united(spine, np.maximum(np.abs(space.x) - behind, vertebra_y - space.y), 8.0)
    to_spine = np.maximum(np.abs(space.x - np.float32(6 * size)) - np.float32(13 * size), middle_y - space.y)
    result = united(united(core, front, 10.0), united(spine, to_spine, 6.0), 8.0)
    for hilum in hila:
        radius = size * draw.around(13, 6)
        blob = space.ellipsoid((hilum[0] * 0.85, hilum[1], hilum[2]), (radius, radius * 1.1, radius * 1.4))
        result = united(result, blob, 8.0)
    fat_pad = draw.around(12, 10)
    for side in (-1, 1):
        pad = space.ellipsoid(
            (side * size * 35, -size * 62, hila[0][2] - size * 90), (fat_pad * 2, fat_pad, fat_pad * 1.5)
        )
        result = united(result, pad, 10.0)
    return result


def _dome_tops(draw: Draw, size: float, base: float, height: float) -> tuple[float, float]:
    right = base + height * draw.around(0.33, 0.09)
    left = right - size * draw.around(10, 14)
    if draw.chance(0.08):  # a raised half of the diaphragm
        right += height * 0.15
    if draw.chance(0.08):
        left += height * 0.15
    return right, left


def _dome(draw: Draw, space: Space, side: int, top: float, size: float, width: float, depth: float) -> Field:
    """Abdominal side of one half of the diaphragm: a dome that falls steeply behind and to the side."""
    centre_x, centre_y = side * width * draw.around(0.5, 0.06), -depth * draw.around(0.12, 0.12)
    drop = size * draw.around(42, 12)
    dx = (space.x - np.float32(centre_x)) / np.float32(width * 0.5)
    dy = (space.y - np.float32(centre_y)) / np.float32(depth)
    lateral = np.maximum(side * dx, 0)
    medial = np.maximum(-side * dx, 0)
    posterior = np.maximum(dy, 0)
    q = lateral**2 * np.float32(draw.around(1.0, 0.3)) + medial**2 * np.float32(0.35)
    q = q + dy * dy * np.float32(draw.around(0.8, 0.3)) + posterior**2 * np.float32(draw.around(0.8, 0.3))
    surface = np.float32(top) - np.float32(drop) * q
    slope_x = 2 * drop * (lateral + np.float32(0.35) * medial) / (width * 0.5)
    slope_y = 2 * drop * (0.8 * np.abs(dy) + 0.8 * posterior) / depth
    steep = np.sqrt(1 + slope_x**2 + slope_y**2).astype(np.float32)
    result: Field = (space.z - surface) / steep
    return result
