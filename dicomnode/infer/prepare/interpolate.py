"""Values of an array at the voxels of another grid: by index where voxels coincide, else by interpolation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.grid import ROUNDING_OF_VOXEL, Affine, Box, Grid, Shape, corners
from dicomnode.infer.prepare.separable import Apart, Line, along, along_one, lines_of

Array = npt.NDArray[Any]

#: Voxels that are treated at a time: 8 slices of 512 × 512, 8 MiB as float32.
SLAB_VOXELS = 1 << 21

INTERPOLATORS = {
    "nearest": SimpleITK.sitkNearestNeighbor,
    "linear": SimpleITK.sitkLinear,
    "bspline": SimpleITK.sitkBSpline,
}

#: A cubic spline passes through four coefficients; ITK takes no fewer.
SPLINE_VOXELS = 4

#: Voxels beyond a slab that its values depend on. A cubic B-spline's coefficients depend on all values; the pole of
#: its filter is √3 - 2 (Unser 1999, IEEE Signal Process. Mag. 16(6)): 12 voxels away 1e-7 is left, as fine as float32.
REACH = {"nearest": 2, "linear": 2, "bspline": 12}


def taken(
    array: Array,
    grid: Grid,
    onto: Grid,
    *,
    outside: float,
    interpolation: str = "linear",
    floats: bool = False,
    apart: Apart | None = None,
) -> Array:
    """The values of an array at the voxels of another grid.

    Parameters
    ----------
    array
        Values on `grid`, (slice, row, column).
    outside
        Value of voxels that lie outside `grid`, more than half a voxel from its outermost centres.
    interpolation
        `nearest`, `linear` or `bspline`; has no part where every voxel lies on one of `grid`.
    floats
        Whether a new array is float32 even where values are copied: a step that needs that then holds no third.
    apart
        An axis of `grid` that is interpolated in its own way; has no part where the axes of the grids are not parallel.

    Returns
    -------
    ndarray
        Of the same type where values are copied, float32 where they are interpolated. May be a view.

    Raises
    ------
    Unsuitable
        If the image is too thin for a spline.
    """
    if (copied := _copied(array, grid, onto, outside, floats)) is not None:
        return copied
    if interpolation == "bspline" and min(array.shape) < SPLINE_VOXELS:
        raise Unsuitable(f"B-spline: image of {array.shape} voxels, needed {SPLINE_VOXELS} along every axis at least")
    keeps = not floats and interpolation == "nearest" and array.dtype != np.float16 and holds(array.dtype, outside)
    result = np.empty(onto.shape, dtype=array.dtype if keeps else np.float32)
    # Where voxels get larger, what is needed of the array bounds the memory, not what becomes of it. A spline reaches
    # so far that thin slabs would mostly do work again.
    shrinks = max(1.0, array.size / (onto.shape[0] * onto.shape[1] * onto.shape[2]))
    for part in slabs(onto.shape, int(SLAB_VOXELS * (4 if interpolation == "bspline" else 1) / shrinks)):
        box = ((part.start, part.stop), (0, onto.shape[1]), (0, onto.shape[2]))
        result[part] = _slab(array, grid, onto.part(box), outside, interpolation, apart)
    return result


def continued(array: Array, grid: Grid, onto: Grid, interpolation: str) -> Array:
    """The values of an array at the voxels of a grid with the same axes in the same order, float32.

    Beyond the outermost centres the outermost values go on, however far (`border` of torch's `grid_sample`).

    Raises
    ------
    Unsuitable
        If the axes are others.
    """
    lines = lines_of(grid.from_(onto), onto.shape)
    if lines is None or [line.axis for line in lines] != [0, 1, 2]:
        raise Unsuitable("restep: the inputs lie on different grids, needed one: a step align before")
    result = np.empty(onto.shape, dtype=np.float32)
    for part in slabs(onto.shape):
        places = np.clip(lines[0].places[part], 0, array.shape[0] - 1)
        low, high = int(places.min()), int(np.ceil(places.max())) + 1
        values = array[low:high]
        for line in (Line(axis=0, places=places - low), *lines[1:]):
            values = along_one(values, line, interpolation)
        result[part] = values
    return result


def slabs(shape: Shape, voxels: int = SLAB_VOXELS) -> Iterator[slice]:
    """Ranges of slices of bounded size, in order."""
    count = max(1, voxels // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], count):
        yield slice(start, min(start + count, shape[0]))


def _copied(array: Array, grid: Grid, onto: Grid, outside: float, floats: bool) -> Array | None:
    """The values by index, or None where the voxels do not coincide."""
    matrix = grid.from_(onto)
    whole = np.round(matrix)
    ends = corners(onto.shape)
    if np.abs((matrix - whole) @ ends).max() > ROUNDING_OF_VOXEL or (np.abs(whole[:3, :3]).sum(axis=0) != 1).any():
        return None
    axes = np.abs(whole[:3, :3]).argmax(axis=0)
    if len(set(axes.tolist())) < 3:
        return None
    source, target = [], []
    for new, old in enumerate(axes):
        step, first = int(whole[old, new]), int(whole[old, 3])
        # Indices i of the new axis whose place first + step · i lies on the old one.
        there = [-first, array.shape[old] - 1 - first] if step > 0 else [first - array.shape[old] + 1, first]
        low, high = max(there[0], 0), min(there[1] + 1, onto.shape[new])
        target.append(slice(low, max(low, high)))
        start, stop = first + step * low, first + step * max(low, high)
        source.append(slice(start, stop if stop >= 0 else None, step) if high > low else slice(0, 0))
    inside = np.transpose(array, axes)[tuple(source)]
    if inside.shape == onto.shape:
        return inside
    keeps = not floats and holds(array.dtype, outside)
    result = np.full(onto.shape, outside, dtype=array.dtype if keeps else np.float32)
    result[tuple(target)] = inside
    return result


def holds(kind: np.dtype[Any], value: float) -> bool:
    """Whether an array of this type can hold a value exactly, or as well as floats do."""
    if kind.kind == "b":
        return value in (0, 1)
    if kind.kind == "f":
        return True
    return float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def _slab(
    array: Array, grid: Grid, onto: Grid, outside: float, interpolation: str, apart: Apart | None = None
) -> Array:
    index = (grid.from_(onto) @ corners(onto.shape))[:3]
    if ((index.max(axis=1) < -0.5) | (index.min(axis=1) > np.array(grid.shape) - 0.5)).any():
        return np.full(onto.shape, outside, dtype=np.float32)
    reach = REACH[interpolation]
    low = np.clip(np.floor(index.min(axis=1)).astype(int) - reach, 0, grid.shape)
    high = np.clip(np.ceil(index.max(axis=1)).astype(int) + reach + 1, 0, grid.shape)
    box: Box = ((low[0], high[0]), (low[1], high[1]), (low[2], high[2]))
    needed = array[tuple(slice(*ends) for ends in box)]
    if needed.dtype == np.float16:
        needed = needed.astype(np.float32)
    if (lines := lines_of(grid.part(box).from_(onto), onto.shape)) is not None:
        # Ends of the part that are no ends of the array lie beyond the reach of all places.
        return along(needed, lines, outside=outside, interpolation=interpolation, apart=apart)
    if needed.dtype.kind == "b":
        needed = needed.astype(np.uint8)
    image = image_of(needed, grid.part(box).affine)
    return resampled(image, onto.shape, onto.affine, outside=outside, interpolation=interpolation)


def image_of(array: Array, affine: Affine) -> Any:
    """A SimpleITK image of an array (slice, row, column), lying where `affine` says.

    SimpleITK counts (x, y, z) with x fastest, which is (column, row, slice) of the same memory: the axes of the
    geometry are reversed here and the array stays as it is. `Volume.to_simpleitk` turns the array instead; the two do
    not mix (DESIGN 11.2).
    """
    image: Any = SimpleITK.GetImageFromArray(array)
    spacing, direction, origin = _itk_geometry(affine)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetOrigin(origin)
    return image


def resampled(
    image: Any, shape: tuple[int, ...], affine: Affine, *, outside: float, interpolation: str = "linear"
) -> Array:
    """Values of an image of `image_of` on another grid, float32, (slice, row, column)."""
    spacing, direction, origin = _itk_geometry(affine)
    size = [int(count) for count in reversed(shape)]
    identity = SimpleITK.Transform()  # type: ignore[no-untyped-call]
    kind, pixel = INTERPOLATORS[interpolation], SimpleITK.sitkFloat32
    result = SimpleITK.Resample(image, size, identity, kind, origin, spacing, direction, float(outside), pixel)
    array: Array = SimpleITK.GetArrayFromImage(result)
    return array


def _itk_geometry(affine: Affine) -> tuple[list[float], list[float], list[float]]:
    """Spacing, row-major direction matrix and origin for axes (column, row, slice)."""
    vectors = affine[:3, 2::-1]
    spacing = np.linalg.norm(vectors, axis=0)
    # Denormal cosines, as rotation matrices leave behind, break the inversion in ITK, which then samples the wrong
    # place without a word; rounded like this a point moves by less than a nanometre.
    direction = np.round(vectors / spacing, 12)
    return spacing.tolist(), direction.ravel().tolist(), affine[:3, 3].tolist()
