"""Steps that change the grid: each finds the new one, and the pipeline takes values there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.grid import Affine, Box, Grid, centred, patient_grid, respaced, shape_of, turned
from dicomnode.infer.prepare.image import Image, Mask

#: Unit vectors in LPS of the letters for directions (PS3.3 C.7.6.1.1.1; S and I are common for H and F).
LETTERS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "L": (1, 0, 0),
        "R": (-1, 0, 0),
        "P": (0, 1, 0),
        "A": (0, -1, 0),
        "H": (0, 0, 1),
        "S": (0, 0, 1),
        "F": (0, 0, -1),
        "I": (0, 0, -1),
    }
)

#: How images of a plane are stacked and read: the letters for growing slice, row and column.
PLANES: Mapping[str, str] = MappingProxyType({"axial": "HPL", "coronal": "PFL", "sagittal": "LFP"})


def directions_of(orientation: str) -> Affine:
    """Unit vectors of a plane's name or of three letters, as columns (slice, row, column)."""
    letters = PLANES.get(orientation, orientation)
    return np.array([LETTERS[letter] for letter in letters], dtype=np.float64).T


def reorient(image: Image, *, orientation: str) -> Grid:
    """The same voxels in the order nearest to an orientation."""
    return turned(image.grid, directions_of(orientation))


def resample(image: Image, *, spacing_mm: tuple[float, ...], axes: str = "patient") -> Grid:
    """A grid of another spacing that covers the image, along the patient's axes or along its own.

    One number is for all axes, two are for rows and columns (slices stay), three for (slice, row, column).
    """
    if len(spacing_mm) == 1:
        spacing_mm = spacing_mm * 3
    elif len(spacing_mm) == 2:
        spacing_mm = (float(image.grid.spacing_mm[0]), *spacing_mm)
    return patient_grid(image.grid, spacing_mm) if axes == "patient" else respaced(image.grid, spacing_mm)


def resize(image: Image, *, shape: tuple[int, int, int]) -> Grid:
    """A grid of this many voxels over the same extent; 0 keeps the count of an axis."""
    new = shape_of([count or old for count, old in zip(shape, image.grid.shape, strict=True)])
    return centred(image.grid, new, image.grid.spacing_mm * image.grid.shape / np.array(new))


def respace(image: Image, *, spacing_mm: tuple[float, ...]) -> Grid:
    """A grid of nearly this spacing over exactly the same extent; two numbers keep the slices."""
    old = image.grid.spacing_mm
    wanted = nominal(image.grid, spacing_mm)
    # Rounded as nnU-Net does (`compute_new_shape`), whose order of operations decides where the quotient is a half.
    counts = [
        max(1, round(float(now / new * count))) for now, new, count in zip(old, wanted, image.grid.shape, strict=True)
    ]
    new = shape_of(counts)
    return centred(image.grid, new, old * image.grid.shape / np.array(new))


def restep(image: Image, *, spacing_mm: tuple[float, ...]) -> Grid:
    """A grid of this spacing from the first voxel on, whose last voxel lies as near as possible to the image's."""
    old, wanted = image.grid.spacing_mm, np.array(nominal(image.grid, spacing_mm))
    # Rounded as MONAI does (`compute_shape_offset`): numpy's halves go to the even count.
    counts = np.round((np.array(image.grid.shape) - 1) * old / wanted + 1).astype(int)
    affine = image.grid.affine.copy()
    affine[:3, :3] *= wanted / old
    return Grid(shape=shape_of(counts), affine=affine)


def nominal(grid: Grid, spacing_mm: tuple[float, ...]) -> tuple[float, float, float]:
    """Three numbers of a spacing, where two leave the slices as they are."""
    slices, rows, columns = spacing_mm if len(spacing_mm) == 3 else (float(grid.spacing_mm[0]), *spacing_mm)
    return slices, rows, columns


def transpose(image: Image, *, axes: tuple[int, int, int]) -> Grid:
    """The same voxels with the axes in another order."""
    affine = image.grid.affine.copy()
    affine[:, :3] = image.grid.affine[:, [*axes]]
    return Grid(shape=shape_of([image.grid.shape[axis] for axis in axes]), affine=affine)


def crop_or_pad(image: Image, *, shape: tuple[int, int, int], around: str = "centre") -> Grid:
    """A grid of this many of the same voxels round the image's centre, or a mask's; 0 keeps an axis as it is."""
    new = np.array([count or old for count, old in zip(shape, image.grid.shape, strict=True)])
    low, high = np.zeros(3, dtype=int), np.array(image.grid.shape)
    if around != "centre":
        low, high = bounds(image.mask(around), around)
    start = np.where(np.array(shape) == 0, 0, (low + high - new) // 2)
    return image.grid.part(_box(start, start + new))


def crop_to_mask(image: Image, *, around: str, margin_mm: float = 0.0) -> Grid:
    """The part that a mask's bounding box with a margin covers, as far as the image goes."""
    low, high = bounds(image.mask(around), around)
    margin = np.ceil(margin_mm / image.grid.spacing_mm).astype(int)
    return image.grid.part(_box(np.maximum(low - margin, 0), np.minimum(high + margin, image.grid.shape)))


def align(image: Image) -> Grid:
    """The grid of the first input as it is now."""
    return image.grid


def bounds(mask: Mask, name: str) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """First and one past the last voxel of a mask along every axis.

    Raises
    ------
    Unsuitable
        If the mask is empty.
    """
    ends = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if not len(places):
            raise Unsuitable(f"crop: no voxel is {name}, needed some to crop to")
        ends.append((places[0], places[-1] + 1))
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


def _box(low: npt.NDArray[np.int_], high: npt.NDArray[np.int_]) -> Box:
    slices, rows, columns = ((int(first), int(last)) for first, last in zip(low, high, strict=True))
    return (slices, rows, columns)
