"""The step that evens out shading: N4 bias correction, its field found on few voxels and evaluated in slabs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy.interpolate import BSpline

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.grid import Grid, shape_of
from dicomnode.infer.prepare.image import Array, Floats, Image, Mask
from dicomnode.infer.prepare.interpolate import slabs
from dicomnode.infer.prepare.statistics import extremes, values

#: SimpleITK, whose functions carry no types.
ITK: Any = SimpleITK

Doubles = npt.NDArray[np.float64]

#: Bins of the histogram in which Otsu's threshold is sought, as SimpleITK's examples of N4 have them.
OTSU_BINS = 200

#: A spline spans the distance from the first voxel to the last: ITK fails where there is one only.
FEWEST = 2

#: Degree of the splines that make the field.
CUBIC = 3


def bias_field(
    image: Image, *, over: str = "otsu", shrink: int = 4, iterations: Sequence[int] = (50, 50, 50, 50)
) -> Image:
    """Divide by the slowly varying field that N4 finds (Tustison 2010, IEEE Trans. Med. Imaging 29:1310).

    Parameters
    ----------
    over
        Where to look: `otsu` for what lies above Otsu's threshold, `foreground`, `whole`, or a mask found before.
    shrink
        The field is found on every n-th voxel.
    iterations
        At most, per level of refinement.

    Raises
    ------
    Unsuitable
        If values are negative: N4 takes logarithms. Or if nothing is left to look at.
    """
    lowest, highest = extremes(image, "whole")
    if lowest < 0 or lowest == highest:
        raise Unsuitable(
            f"bias correction: values from {lowest:g} to {highest:g}, needed none below 0 and not all equal"
        )
    if min(image.grid.shape) < FEWEST:
        raise Unsuitable(f"bias correction: image of {image.grid.shape} voxels, needed {FEWEST} along every axis")
    few = every_nth(image.grid, shrink)
    array = image.array[few].astype(np.float32)
    mask = array > otsu_threshold(image) if over == "otsu" else _where(image, over)[few]
    if not mask.any():
        raise Unsuitable(f"bias correction: no voxel is {over}, needed some to look at")
    lattice = _lattice(array, mask, iterations)
    result = image.array if image.owned and image.array.dtype == np.float32 else np.empty(image.array.shape, np.float32)
    weights = [_weights(size, len_) for size, len_ in zip(image.grid.shape, lattice.shape, strict=True)]
    for part in slabs(image.grid.shape):
        np.divide(image.array[part], np.exp(_field(lattice, weights, part)), out=result[part])
    return image.holding(result)


def every_nth(grid: Grid, shrink: int) -> tuple[slice, slice, slice]:
    """Every n-th voxel along each axis about the middle of the image, as ITK's ShrinkImageFilter takes them."""
    slices, rows, columns = (_nth(size, min(shrink, size // FEWEST)) for size in grid.shape)
    return (slices, rows, columns)


def _nth(size: int, step: int) -> slice:
    count = size // step
    first = (size - 1 - step * (count - 1) + 1) // 2
    return slice(first, first + step * (count - 1) + 1, step)


def otsu_threshold(image: Image) -> float:
    """The value that divides the histogram into two classes of greatest distance (Otsu 1979, IEEE SMC 9:62)."""
    low, high = extremes(image, "whole")
    edges = np.linspace(low, high, OTSU_BINS + 1)
    counts = np.zeros(OTSU_BINS)
    for part in values(image, "whole"):
        counts += np.histogram(part, OTSU_BINS, (low, high))[0]
    share = np.cumsum(counts)[:-1] / counts.sum()
    moment = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2) / counts.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (moment[-1] * share - moment[:-1]) ** 2 / (share * (1 - share))
    return float(edges[np.nanargmax(between) + 1])


def _where(image: Image, over: str) -> Mask:
    return np.broadcast_to(np.True_, image.array.shape) if over == "whole" else image.mask(over)


def _lattice(array: Floats, mask: Mask, iterations: Sequence[int]) -> Doubles:
    """Control points of the logarithm of the field, (slice, row, column).

    SimpleITK keeps the control points to itself and gives the field on any number of voxels that span the image. From
    so many that they determine the splines their control points follow by least squares.
    """
    corrector = ITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([int(count) for count in iterations])
    # Where the voxels lie does not matter: the splines span the image.
    corrector.Execute(ITK.GetImageFromArray(array), ITK.GetImageFromArray(mask.astype(np.uint8)))
    # Every level after the first halves the pieces of the spline.
    points = [(count - CUBIC) * 2 ** (len(iterations) - 1) + CUBIC for count in corrector.GetNumberOfControlPoints()]
    shape = shape_of([2 * count for count in reversed(points)])
    reference = ITK.GetImageFromArray(np.zeros(shape, dtype=np.float32))
    found: Doubles = ITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(reference)).astype(np.float64)
    for axis, count in enumerate(reversed(points)):
        solved = np.linalg.pinv(_weights(shape[axis], count))
        found = np.moveaxis(np.tensordot(solved, found, axes=(1, axis)), 0, axis)
    return found


def _weights(voxels: int, points: int) -> Doubles:
    """What each control point weighs at voxels that span an axis from its first knot to its last, (voxel, point)."""
    pieces = points - CUBIC
    knots = np.arange(-CUBIC, pieces + CUBIC + 1, dtype=np.float64)
    found: Doubles = BSpline.design_matrix(np.linspace(0, pieces, voxels), knots, CUBIC).toarray()
    return found


def _field(lattice: Doubles, weights: Sequence[Doubles], part: slice) -> Array:
    slices, rows, columns = weights
    coarse = np.tensordot(slices[part], lattice, axes=1)
    wide = (rows @ coarse).astype(np.float32)
    return wide @ columns.T.astype(np.float32)
