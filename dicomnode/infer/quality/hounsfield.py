"""Measures of CT: air and soft tissue at their Hounsfield units, metal, and a body cut by the field of view."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomnode.domain.finding import SourceSeries

HOUNSFIELD = "[hnsf'U]"

#: Air is -1000 HU by definition; 100 covers calibration (IEC 61223-3-5 allows 4 for water) and five times the noise.
AIR_HU = (-1100.0, -900.0)

#: From fat-free organs to enhanced ones, unenhanced blood and muscle between.
SOFT_TISSUE_HU = (0.0, 120.0)

#: No reconstruction gives air below this; what lies there is padding outside the field of view (-2000, -3024 …).
PADDING_HU = -1100.0

#: Enamel ends near 3000 HU and 12-bit scanners at 3071; what lies between is metal.
METAL_HU = 3000.0

#: Between air and fat (-120 HU), nearer to fat, so that blankets and foam are not body.
BODY_HU = -300.0

#: The grid for what need not be sharper than this.
COARSE_MM = 4.0

#: Couch shells and cables are thinner than this, bodies are not.
THIN_MM = 12.0

#: Slices looked at where a whole-body property is asked; consecutive slices of a body differ little.
SLICES = 24

#: A part of a slice counts as body (an arm, a leg) from this share of its largest part on.
PART = 0.1


def is_ct(source: SourceSeries) -> bool:
    """Whether values are Hounsfield units."""
    return source.unit == HOUNSFIELD


def spread(total: int, wanted: int) -> npt.NDArray[np.intp]:
    """At most `wanted` of `total` indices, evenly spread, ends included."""
    return np.unique(np.linspace(0, total - 1, min(wanted, total)).round().astype(np.intp))


def air_fraction(source: SourceSeries) -> float:
    """The share of voxels within 100 HU of air, padding left out; 0 in a CT that is not in Hounsfield units."""
    return _share(source, AIR_HU)


def soft_tissue_fraction(source: SourceSeries) -> float:
    """The share of voxels from 0 to 120 HU, padding left out; near 0 where slope or intercept are wrong."""
    return _share(source, SOFT_TISSUE_HU)


def _share(source: SourceSeries, bounds_hu: tuple[float, float]) -> float:
    if not is_ct(source):
        return math.nan
    sample = source.volume.array[::2, ::4, ::4]
    total = int(np.count_nonzero(sample >= PADDING_HU))
    low, high = bounds_hu
    return int(np.count_nonzero((sample >= low) & (sample <= high))) / total if total else math.nan


def dense_object_ml(source: SourceSeries) -> float:
    """The volume above 3000 HU inside the body in ml: prostheses, clips, pacemakers, fillings."""
    if not is_ct(source):
        return math.nan
    array = source.volume.array
    if array.max() <= METAL_HU:
        return 0.0
    metal = np.argwhere(array > METAL_HU)
    slices, place = np.unique(metal[:, 0], return_inverse=True)
    body, step = _body(source, slices)
    body = np.stack([ndimage.binary_fill_holes(one) for one in body])
    inside = body[place, metal[:, 1] // step[0], metal[:, 2] // step[1]]
    return float(inside.sum() * np.prod(source.volume.spacing) / 1000)


def truncated_rim(source: SourceSeries) -> float:
    """The share of the rim of the field of view that is body, over 24 slices.

    The field of view is the circle within the image where nothing else was reconstructed, else the whole image. 0
    for a body that was imaged whole; above 0 its rim was cut, and volumes, body mass and radiotherapy contours that
    reach it are too small.
    """
    if not is_ct(source):
        return math.nan
    slices = spread(len(source.volume.array), SLICES)
    body, step = _body(source, slices)
    shown = _field_of_view(source.volume.array[slices])[:: step[0], :: step[1]]
    rim = shown & ~ndimage.binary_erosion(shown)
    return float(body[:, rim].mean()) if rim.any() else math.nan


def _field_of_view(slices: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Where pixels were reconstructed, (row, column)."""
    rows, columns = slices.shape[1:]
    row, column = np.ogrid[:rows, :columns]
    far = ((row - (rows - 1) / 2) / (rows / 2)) ** 2 + ((column - (columns - 1) / 2) / (columns / 2)) ** 2
    outside = slices[:, far > 1]
    circular = bool(outside.size) and outside.min() == outside.max()
    return (far <= 1) if circular else np.ones((rows, columns), dtype=np.bool_)


def _body(source: SourceSeries, slices: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """The body without couch in some slices, on a grid of about 4 mm, and its steps in rows and columns."""
    spacing = source.volume.spacing[1:]
    step = (max(1, round(COARSE_MM / spacing[0])), max(1, round(COARSE_MM / spacing[1])))
    dense = source.volume.array[slices][:, :: step[0], :: step[1]] > BODY_HU
    size = [max(1, round(THIN_MM / (side * along))) for side, along in zip(step, spacing, strict=True)]
    # Beyond the edge lies more of what is at the edge, so that a cut body is not worn away there.
    half = [(0, 0), *((length, length) for length in size)]
    opened = ndimage.binary_opening(np.pad(dense, half, mode="edge"), np.ones((1, *size), dtype=np.bool_))
    kept = opened[:, size[0] : size[0] + dense.shape[1], size[1] : size[1] + dense.shape[2]] & dense
    return np.stack([_large_parts(one) for one in kept]), step


def _large_parts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(1, PART * sizes.max()))[labels])
