"""What surrounds the lungs: outline of the body, wall, bones, mediastinal organs, abdomen, arms and couch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dicomnode.train.chest import Chest
from dicomnode.train.draw import Draw
from dicomnode.train.shapes import Field, Grid, Space, occupancy, paint, united

AIR_HU = -1000.0


def body(seed: int, grid: Grid, chest: Chest, variety: float, edge_mm: float) -> tuple[Field, npt.NDArray[np.bool_]]:
    """Attenuation in HU of everything but the lungs, and where the body is; both (slice, row, column)."""
    draw = Draw(seed, "body", variety)
    image = np.full(grid.shape, AIR_HU, dtype=np.float32)
    if draw.chance(0.85) or variety == 0:
        _couch(draw, grid, chest, image, edge_mm)
    contrast_hu = draw.between(90, 330) if draw.chance(0.55) else 0.0
    fat_hu, muscle_hu = draw.around(-102, 14), draw.around(52, 16)
    tissue = Draw(seed, "tissue", variety)
    coarse = grid.smooth_field(tissue.rng, 32.0)
    fine = grid.smooth_field(tissue.rng, 11.0)
    fat_mm = max(4.0, draw.around(20, 17) + (draw.between(0, 25) if draw.chance(0.2) else 0.0))
    wall_mm = chest.size * draw.around(15, 5)
    outline = _outline(draw, chest, wall_mm, fat_mm, coarse)
    arms = _arms(draw, chest, outline)
    for arm, _ in arms:
        outline = united(outline, arm, 8.0)
    inside = occupancy(outline, edge_mm)
    paint(image, inside, np.float32(fat_hu) + 9 * fine)
    skin = inside * occupancy(-2.0 - outline, edge_mm)
    paint(image, skin, draw.around(10, 40))
    deep = occupancy(outline + 6, edge_mm)
    upper = np.clip((chest.space.z - 10) / 60, -0.6, 1)
    strands = fine * 0.8 + coarse + upper * 1.2 - 0.9 + draw.around(0, 0.7)
    outer_muscle = deep * occupancy(chest.cage - np.float32(wall_mm * 2.6), 6.0) * np.clip(strands * 1.5, 0, 1)
    paint(image, outer_muscle, muscle_hu)
    wall = occupancy(chest.cage - np.float32(wall_mm), edge_mm) * occupancy(outline + 3, edge_mm)
    paint(image, wall * np.clip(1.15 + 0.35 * fine, 0, 1), muscle_hu)
    back = chest.space.column(0, chest.vertebra_y_mm + 38 * chest.size, 62 * chest.size, 24 * chest.size)
    paint(image, occupancy(back, 4.0) * deep, muscle_hu)
    _mediastinum(draw, chest, image, fine, fat_hu, muscle_hu, contrast_hu, edge_mm)
    _abdomen(draw, grid, chest, image, fine, fat_hu, contrast_hu, edge_mm)
    _bones(draw, chest, image, fine, wall_mm, edge_mm)
    for arm, bone in arms:
        paint(image, occupancy(arm + np.float32(draw.between(6, 20)), 6.0), muscle_hu)
        paint(image, occupancy(bone, edge_mm), draw.around(700, 350))
        paint(image, occupancy(bone + 4, edge_mm), draw.around(150, 120))
    return image, outline <= 0


def _outline(draw: Draw, chest: Chest, wall_mm: float, fat_mm: float, coarse: Field) -> Field:
    """Surface of trunk, shoulders and neck, as an ellipse-like section that changes along the body."""
    space, size = chest.space, chest.size
    width, depth, height = chest.cage_half_mm
    apex = chest.apex_mm
    trunk_x, trunk_y = width + wall_mm + fat_mm, depth + wall_mm + fat_mm * draw.around(0.8, 0.25)
    shoulder_x = size * draw.around(190, 22) + 0.4 * fat_mm
    knots = np.array([-600, apex - 0.45 * height, apex - 0.15 * height, apex + 5, apex + 55, apex + 90, apex + 400])
    half_x = np.interp(space.z, knots, [trunk_x, trunk_x, 0.5 * (trunk_x + shoulder_x), shoulder_x, 110, 62, 70])
    half_y = np.interp(space.z, knots, [trunk_y, trunk_y, trunk_y, trunk_y * 0.9, 72, 62, 85])
    mid_y = np.interp(space.z, knots, [6, 6, 10, 16, 10, 5, 0])
    u = np.abs(space.x) / half_x.astype(np.float32)
    v = np.abs(space.y - mid_y.astype(np.float32)) / half_y.astype(np.float32)
    radius = np.sqrt(np.sqrt(u**4 * 0.6 + v**4 * 0.6 + u**2 * v**2 * 1.1 + 1e-6))
    result = ((radius - 0.88) * np.sqrt(half_x * half_y)).astype(np.float32)
    result += coarse * np.float32(2.0 * draw.variety)
    # where the trunk is thinner than wall and skin, the wall wins: no lung ever lies outside
    result = united(result, chest.cage - np.float32(wall_mm * 0.75 + 0.4 * fat_mm), 12.0)
    if draw.chance(0.45):
        radius_mm = size * draw.between(35, 70)
        droop = draw.around(0.55, 0.15)
        for side in (-1, 1):
            centre = (side * width * droop, -(depth + wall_mm + 0.3 * fat_mm), draw.around(-10, 25))
            breast = space.ellipsoid(centre, (radius_mm, radius_mm * draw.between(0.4, 0.8), radius_mm))
            result = united(result, breast, 12.0)
    return result


def _arms(draw: Draw, chest: Chest, outline: Field) -> list[tuple[Field, Field]]:
    """Each arm as its surface and its bone: raised beside the head, or lowered beside the trunk."""
    size, width = chest.size, chest.cage_half_mm[0]
    result = []
    raised = not draw.chance(0.3)
    for side in (-1, 1):
        shoulder = (side * size * draw.around(165, 14), 15.0, chest.apex_mm + draw.around(0, 18))
        if raised:
            end = (side * size * draw.around(150, 50), draw.around(-20, 40), chest.apex_mm + 260)
        else:
            end = (side * (width + draw.around(85, 25)), draw.around(30, 30), chest.apex_mm - 360)
        radius = size * draw.around(42, 12)
        result.append(
            (chest.space.capsule(shoulder, end, radius), chest.space.capsule(shoulder, end, size * draw.around(12, 2)))
        )
    return result


def _mediastinum(
    draw: Draw,
    chest: Chest,
    image: Field,
    fine: Field,
    fat_hu: float,
    muscle_hu: float,
    contrast_hu: float,
    edge: float,
) -> None:
    space, size = chest.space, chest.size
    cavity = occupancy(chest.cage, edge)
    nodes = np.clip(0.35 + 0.5 * fine + draw.around(0, 0.3), 0, 1)
    paint(image, cavity, np.float32(fat_hu) + nodes * np.float32(muscle_hu - fat_hu))
    neck = space.ellipsoid((0, 5 * size, chest.apex_mm + 60), (55 * size, 50 * size, 90 * size))
    paint(image, occupancy(neck, 6.0) * np.clip(0.75 + 0.4 * fine, 0, 1), muscle_hu)
    if draw.chance(0.3):
        for side in (-1, 1):
            thyroid = (side * 20 * size, -12 * size, chest.apex_mm + 35 * size)
            paint(image, occupancy(space.ellipsoid(thyroid, (11, 13, 24)), edge), 110.0 + 0.4 * contrast_hu)
    blood = draw.around(42, 8)
    for vessel, share in (
        (chest.heart, draw.around(0.7, 0.3)),
        (chest.pulmonary_trunk, draw.around(0.9, 0.5)),
        (chest.vena_cava, draw.around(1.2, 0.8)),
        (chest.aorta, draw.around(1.0, 0.3)),
    ):
        paint(image, occupancy(vessel, edge), blood + contrast_hu * share)
    paint(image, occupancy(chest.oesophagus, edge), 35.0)
    if draw.chance(0.35):
        paint(image, occupancy(chest.oesophagus + np.float32(size * draw.between(2.5, 4.5)), edge), AIR_HU)
    if draw.chance(0.3):  # calcified wall of the aorta
        shell = occupancy(np.abs(chest.aorta), edge) * np.clip(fine - 1.2, 0, 1)
        paint(image, shell, 500.0)
    if draw.chance(0.12):  # a lead of a pacemaker, or a port
        lead = space.capsule((-22 * size, -10 * size, 120), (-20 * size, -14 * size, -30), 1.6)
        paint(image, occupancy(lead, edge), draw.between(800, 2500))
    paint(image, occupancy(chest.airway - np.float32(draw.around(1.7, 0.5)), edge), muscle_hu)
    paint(image, occupancy(chest.airway, edge), draw.around(-990, 10))


def _abdomen(
    draw: Draw, grid: Grid, chest: Chest, image: Field, fine: Field, fat_hu: float, contrast_hu: float, edge: float
) -> None:
    space, size = chest.space, chest.size
    width, depth, _ = chest.cage_half_mm
    right_top, left_top = chest.dome_top_mm
    below: Field = np.maximum(chest.below_diaphragm, chest.cage)
    share = occupancy(below, edge)
    paint(image, share, np.float32(fat_hu) + 10 * fine)
    paint(image, share * occupancy(-3.0 - below, edge), 45.0)
    organ_share = occupancy(below + 2.5, edge)
    liver_hu = draw.around(60, 18) + 0.25 * contrast_hu - (draw.between(0, 60) if draw.chance(0.2) else 0.0)
    liver_z = right_top - 75 * size
    liver = space.ellipsoid((-width * 0.45, -4, liver_z), (width * 0.85, depth * 1.1, size * draw.around(115, 20)))
    lobe = space.ellipsoid((width * 0.1, -depth * 0.4, liver_z + 20), (width * 0.55, depth * 0.45, 70 * size))
    liver = united(liver, lobe, 12.0)
    spleen = space.ellipsoid(
        (width * 0.66, depth * 0.4, left_top - size * draw.around(65, 15)),
        (32 * size, 48 * size, size * draw.around(55, 15)),
    )
    kidneys = [
        space.ellipsoid((side * 58 * size, depth * 0.55, left_top - 150 * size), (28 * size, 25 * size, 55 * size))
        for side in (-1, 1)
    ]
    stomach_z = left_top - size * draw.around(55, 18)
    stomach = space.ellipsoid((width * 0.42, -depth * 0.15, stomach_z), (45 * size, 50 * size, 50 * size))
    for organ, value in (
        (stomach, draw.around(25, 25)),
        (spleen, draw.around(50, 12) + 0.4 * contrast_hu),
        (liver, liver_hu),
        *((kidney, draw.around(35, 8) + 0.7 * contrast_hu) for kidney in kidneys),
    ):
        paint(image, occupancy(organ, edge) * organ_share, np.float32(value) + 5 * fine)
    if draw.chance(0.8) or draw.variety == 0:  # gas lies in front, above a flat level
        level_y = draw.around(-depth * 0.4, depth * 0.35)
        gas = np.maximum(stomach + np.float32(4.0), space.y - np.float32(level_y))
        paint(image, occupancy(gas, edge) * organ_share, -985.0)
    for _ in range(int(draw.between(0, 8) * draw.variety)):
        side = 1 if draw.between(0, 1) < 0.65 else -1
        centre = (
            side * width * draw.between(0.0, 0.8), -depth * draw.between(-0.5, 0.8),
            (left_top if side > 0 else right_top - 60) - draw.between(15, 180),
        )  # fmt: skip
        radii = (draw.between(8, 35), draw.between(8, 28), draw.between(8, 28))
        loop = space.ellipsoid(centre, radii, draw.between(-90, 90))
        paint(image, occupancy(loop - 3, edge) * organ_share, 40.0)
        paint(image, occupancy(loop + 2 * fine, edge) * organ_share, draw.between(-990, -700))


def _bones(draw: Draw, chest: Chest, image: Field, fine: Field, wall_mm: float, edge: float) -> None:
    space, size, cage = chest.space, chest.size, chest.cage
    width, depth, _ = chest.cage_half_mm
    dense, spongy = draw.around(650, 300), draw.around(190, 110)

    def bone(shape: Field, shell_mm: float) -> None:
        paint(image, occupancy(shape, edge), dense)
        paint(image, occupancy(shape + np.float32(shell_mm), edge), np.float32(spongy) + 40 * fine)

    pitch = size * draw.around(27, 4)
    steep = draw.around(0.55, 0.2)
    frontness = np.clip(-space.y / depth, -1, 1)
    # a rib falls from the spine to the front; its height on the cage is a sawtooth along the body
    position = (space.z + steep * 60 * frontness) / np.float32(pitch)
    along = (position - np.round(position)) * np.float32(pitch)
    thick, tall = size * draw.around(4.0, 0.8), size * draw.around(6.5, 1.0)
    middle = np.float32(draw.around(5.5, 1.0) * size)
    across = (cage - middle) / np.float32(thick)
    rib = (np.sqrt(across**2 + (along / np.float32(tall)) ** 2) - 1) * np.float32(thick)
    reach = np.maximum(np.abs(space.x) - 1.25 * width, 18 * size - np.abs(space.x))
    rib = np.maximum(rib, reach)
    rib = np.maximum(rib, space.z - np.float32(chest.apex_mm + 8))
    cartilage = np.clip((frontness - 0.55) * 5, 0, 1)
    paint(image, occupancy(rib, edge), dense * (1 - cartilage) + 110 * cartilage)
    paint(image, occupancy(rib + 1.8, edge), spongy * (1 - cartilage) + 90 * cartilage)

    height = chest.cage_half_mm[2]
    sternum = np.maximum(np.abs(space.x) - size * draw.around(17, 4), np.abs(cage - middle - 2) - 5 * size)
    sternum = np.maximum(np.maximum(sternum, space.y), np.abs(space.z - 0.12 * height) - 0.33 * height)
    bone(sternum, 1.8)
    plate = np.abs(cage - np.float32(wall_mm + draw.around(6, 3))) - np.float32(2.6 * size)
    side = np.abs(space.x)
    plate = np.maximum(plate, np.maximum(np.abs(side - width * 0.72) - 0.24 * width, depth * 0.35 - space.y))
    plate = np.maximum(plate, np.abs(space.z - (chest.apex_mm - 75 * size)) - 72 * size)
    bone(plate, 2.0)
    for sign in (-1, 1):
        inner = (sign * 20 * size, -depth * 0.65, chest.apex_mm - 12 * size)
        outer = (sign * 140 * size, 5.0, chest.apex_mm + 22 * size)
        bone(space.capsule(inner, outer, 6.5 * size), 2.5)
        shoulder = (sign * 165 * size, 15.0, chest.apex_mm)
        bone(space.ellipsoid(shoulder, (23 * size, 23 * size, 24 * size)), 2.5)
    _spine(draw, space, size, chest.vertebra_y_mm, image, bone, edge)


def _spine(draw: Draw, space: Space, size: float, vertebra_y: float, image: Field, bone: object, edge: float) -> None:
    pitch = size * draw.around(24, 3)
    position = space.z / np.float32(pitch)
    from_disc = np.abs(position - np.round(position)) * np.float32(pitch)
    column = space.column(0, vertebra_y, 17 * size, 14 * size)
    paint(image, occupancy(column, edge), 95.0)
    assert callable(bone)
    bone(np.maximum(column, 2.5 - from_disc), 2.0)
    arch = space.column(0, vertebra_y + 21 * size, 15 * size, 13 * size)
    bone(arch, 2.5)
    process = np.maximum(np.abs(space.x) - 4 * size, np.abs(space.y - np.float32(vertebra_y + 42 * size)) - 17 * size)
    bone(np.maximum(process, np.float32(pitch * 0.22) - from_disc), 2.0)
    wings = np.maximum(
        np.abs(space.x) - 32 * size,
        np.abs(space.y - np.float32(vertebra_y + 16 * size) - 0.3 * np.abs(space.x)) - 5 * size,
    )
    bone(np.maximum(wings, np.float32(pitch * 0.25) - from_disc), 2.0)
    canal = space.column(0, vertebra_y + 21 * size, 9 * size, 8 * size)
    paint(image, occupancy(canal, edge), 35.0)


def _couch(draw: Draw, grid: Grid, chest: Chest, image: Field, edge: float) -> None:
    """A curved table top below the back, and sometimes a cushion or a blanket."""
    x, y, _ = grid.coordinates_mm()
    depth = chest.cage_half_mm[1]
    sag = draw.around(0.0009, 0.0009)
    top = depth + draw.around(62, 22) - np.float32(sag) * x * x
    thick = draw.around(30, 22)
    shape = np.maximum(np.maximum(top - y, y - top - thick), np.abs(x) - draw.around(225, 30))
    shape = np.broadcast_to(shape, grid.shape).astype(np.float32)
    paint(image, occupancy(shape, edge), draw.around(-150, 150))
    paint(image, occupancy(shape + np.float32(draw.around(3.0, 1.5)), edge), draw.around(-930, 60))
    if draw.chance(0.5):
        cushion = np.maximum(top - 28 - y, y - top) * np.ones_like(image)
        paint(image, occupancy(cushion, edge), draw.around(-940, 50))
    if draw.chance(0.4):
        sheet = np.abs(x * x / draw.around(240, 40) ** 2 + y * y / draw.around(170, 30) ** 2 - 1) * 180
        sheet = sheet.astype(np.float32) + grid.smooth_field(draw.rng, 40.0) * 12
        paint(image, occupancy(np.abs(sheet) - 1.2, edge) * np.float32(0.8), draw.around(-500, 350))
