"""A body whose intensity is known at every point, moved and deformed in a known way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]

TURN = Rotation.from_euler("xyz", [3.0, -4.0, 6.0], degrees=True).as_matrix()
SHIFT_MM = np.array([14.0, -9.0, 23.0])
BEND_MM = 5.0

#: Middle, half axes and HU of what fills the body, LPS mm.
PARTS = (
    ((-70.0, 0.0, 0.0), (48.0, 70.0, 100.0), -850.0),
    ((68.0, 5.0, -8.0), (44.0, 66.0, 92.0), -850.0),
    ((20.0, -25.0, -30.0), (38.0, 30.0, 42.0), 45.0),
    ((0.0, 62.0, 0.0), (17.0, 17.0, 400.0), 350.0),
    ((-60.0, 0.0, -115.0), (70.0, 60.0, 45.0), 70.0),
)


def hu(points: Floats) -> Floats:
    """HU of the body at points, (…, 3) LPS mm."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    values = np.where((x / 160) ** 2 + (y / 105) ** 2 < 1, 20.0, -1000.0)
    for middle, axes, value in PARTS:
        inside = (((points - np.array(middle)) / np.array(axes)) ** 2).sum(axis=-1) < 1
        values = np.where(inside & (values > -999), value, values)
    # Vessels and soft tissue are no plain surfaces.
    texture = np.sin(x / 9 + 1) * np.sin(y / 11 + z / 31) * np.sin(z / 13 + 2) * 60
    filled: Floats = np.where(values > -999, values + texture, values)
    return filled


def back(points: Floats) -> Floats:
    """From the present study to the earlier one: a smooth bend by up to `BEND_MM` along each axis, and a movement."""
    bent = points + BEND_MM * np.sin(points[..., [2, 0, 1]] / 70.0)
    return np.asarray((bent - SHIFT_MM) @ TURN)


def forth(point: Floats) -> Floats:
    """Its inverse by iteration."""
    found: Floats = point @ TURN.T + SHIFT_MM
    for _ in range(50):
        found = found - (back(found) - point) @ TURN.T
    return found


def volume(
    spacing_mm: tuple[float, float, float], frame: str, way: Callable[[Floats], Floats] = lambda points: points
) -> Volume:
    """The body on a grid of this spacing (slice, row, column), 240 × 240 × 340 mm."""
    shape = [round(size / step) for size, step in zip((240, 240, 340), spacing_mm, strict=True)]
    slices, rows, columns = (step * (np.arange(count) - count / 2)
                             for step, count in zip(spacing_mm, shape, strict=True))  # fmt: skip
    points = np.stack(np.meshgrid(slices, rows, columns, indexing="ij")[::-1], axis=-1)
    noise = np.random.default_rng(int(spacing_mm[0] * 10)).normal(0, 15, points.shape[:-1])
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing_mm)[::-1]
    affine[:3, 3] = columns[0], rows[0], slices[0]
    array = np.clip(hu(way(points)) + noise, -1024, 3000).astype(np.int16)
    return Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=frame)
