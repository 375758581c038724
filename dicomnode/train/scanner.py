"""The scanner: slice thickness, kernel, noise, streaks, field of view and calibration, applied to ideal attenuation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.train.draw import Draw
from dicomnode.train.shapes import Field, Grid

OUTSIDE_HU = -1024.0


def scan(seed: int, grid: Grid, image: Field, labels: npt.NDArray[np.uint8], variety: float) -> npt.NDArray[np.int16]:
    """One acquisition of an ideal image in HU; (slice, row, column), int16.

    Where the field of view cuts the body off, the labels are cleared in place.
    """
    draw = Draw(seed, "scanner", variety)
    dz, dy, dx = grid.spacing_mm
    if grid.shape[0] > 1:
        image = _thick_slices(draw, image, dz)
    blur_mm = draw.between(0.0, 1.1) if draw.chance(0.6) else 0.35
    image = ndimage.gaussian_filter(image, (0, blur_mm / dy, blur_mm / dx), truncate=3)
    if draw.chance(0.3):  # a sharp kernel overshoots at edges
        image += np.float32(draw.between(0.2, 1.0)) * (image - ndimage.gaussian_filter(image, (0, 1.2 / dy, 1.2 / dx)))
    image += _noise(draw, grid, image)
    scale, shift = draw.around(1.0, 0.03), draw.around(0.0, 15.0)
    image = (image + 1000) * np.float32(scale) - 1000 + np.float32(shift)
    image = np.maximum(image, OUTSIDE_HU) if draw.chance(0.9) or variety == 0 else image
    _field_of_view(draw, grid, image, labels)
    return np.clip(np.rint(image), -2048, 3071).astype(np.int16)


def _thick_slices(draw: Draw, image: Field, spacing_mm: float) -> Field:
    """Average over the slice thickness; where the source slices lie further apart, interpolate between them."""
    source_mm = draw.between(0.6, 7.0) if draw.variety else spacing_mm
    thickness = max(source_mm, draw.around(source_mm, 1.0))
    sigma = thickness / spacing_mm / np.sqrt(12)
    if sigma > 0.3:
        image = ndimage.gaussian_filter1d(image, sigma, axis=0, truncate=2.5)
    if source_mm <= spacing_mm * 1.1:
        return image
    count = image.shape[0]
    z = np.arange(count) * spacing_mm
    phase = draw.between(0, source_mm)
    sources = np.arange(-phase, z[-1] + source_mm, source_mm)
    take = np.zeros((len(sources), count), dtype=np.float32)
    give = np.zeros((count, len(sources)), dtype=np.float32)
    for weights, positions, knots in ((take, sources, z), (give, z, sources)):
        u = np.clip(np.interp(positions, knots, np.arange(len(knots))), 0, len(knots) - 1)
        low = np.minimum(u.astype(int), max(len(knots) - 2, 0))
        rows = np.arange(len(positions))
        weights[rows, low] += (1 - (u - low)).astype(np.float32)
        weights[rows, np.minimum(low + 1, len(knots) - 1)] += (u - low).astype(np.float32)
    result: Field = np.tensordot(give @ take, image, axes=(1, 0)).astype(np.float32)
    return result


def _noise(draw: Draw, grid: Grid, image: Field) -> Field:
    """Quantum noise of a random grain, stronger at dense levels, with horizontal streaks through the shoulders."""
    _, dy, dx = grid.spacing_mm
    level_hu = np.exp(draw.between(np.log(5), np.log(70))) if draw.variety else 12.0
    noise = draw.rng.standard_normal(image.shape, dtype=np.float32)
    grain_mm = draw.between(0.0, 2.2) if draw.chance(0.7) else 0.0
    if grain_mm > 0.3 * dx:
        noise = ndimage.gaussian_filter(noise, (0, grain_mm / dy, grain_mm / dx), truncate=3)
        noise /= np.float32(noise.std() + 1e-6)
    dense = np.clip((image > 200).mean(axis=(1, 2)) / 0.03, 0.6, 2.5)[:, None, None]
    noise *= np.float32(level_hu) * dense.astype(np.float32)
    if draw.chance(0.35):
        streaks = draw.rng.standard_normal(image.shape, dtype=np.float32)
        streaks = ndimage.uniform_filter1d(streaks, max(3, int(120 / dx)), axis=2)
        streaks = ndimage.gaussian_filter1d(streaks, 0.6, axis=1)
        streaks /= np.float32(streaks.std() + 1e-6)
        noise += streaks * np.float32(draw.between(5, 35)) * (dense.astype(np.float32) - np.float32(0.55))
    return noise


def _field_of_view(draw: Draw, grid: Grid, image: Field, labels: npt.NDArray[np.uint8]) -> None:
    """Padding outside the reconstructed circle or rectangle, as real series have it."""
    if not draw.chance(0.5):
        return
    x, y = grid.axis_mm(2)[None, :], grid.axis_mm(1)[:, None]
    radius = draw.between(165, 260)
    cx, cy = draw.around(0, 20), draw.around(0, 20)
    if draw.chance(0.6):
        outside = (x - cx) ** 2 + (y - cy) ** 2 > radius**2
    else:
        outside = (np.abs(x - cx) > radius) | (np.abs(y - cy) > radius * draw.between(0.75, 1.0))
    labels[:, outside] = 0
    image[:, outside] = OUTSIDE_HU if draw.between(0, 1) < 0.8 else -2000.0
