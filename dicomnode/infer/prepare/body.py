"""The patient's body in CT without the couch, and the step that blanks what lies outside a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.grid import Grid, turned
from dicomnode.infer.prepare.image import Array, Image, Mask
from dicomnode.infer.prepare.interpolate import holds, slabs, taken
from dicomnode.infer.prepare.morphology import dilated, eroded, filled, opened, pieces_of
from dicomnode.infer.prepare.spatial import directions_of

#: Pixels of the grid on which pieces are told apart: as fine as the wall of a couch is thick, a few times coarser than
#: the images, whose own edges are then followed.
COARSE_MM = 2.0

#: The two legs, or arms beside a trunk, are pieces of one body; what is smaller than this share of the largest lies
#: beside the patient. One arm has 5 % of the body's mass, one leg 16 % (de Leva 1996, J. Biomech. 29:1223), a trunk
#: in the field of view more than 43 %.
SMALLEST_SHARE = 0.1


def body_mask(image: Image, *, above: float = -400.0, couch_mm: float = 10.0, outside: float | None = None) -> Image:
    """Find the body: mask `body`.

    Parameters
    ----------
    above
        Values of tissue lie above this, values of air and foam below.
    couch_mm
        What is thinner than this within an axial slice, as the walls of a couch are, does not belong to the body.
    outside
        Value that everything else gets, if given.

    Raises
    ------
    Unsuitable
        If nothing is left.
    """
    array, upright = upright_of(image)
    mask = body_of(array, upright, above, couch_mm)
    image = with_upright(image, "body", mask, upright)
    return image if outside is None else set_outside(image, over="body", value=outside)


def upright_of(image: Image) -> tuple[Array, Grid]:
    """The same voxels, seen so that slices are nearest to axial: towards head, posterior and left."""
    grid = turned(image.grid, directions_of("axial"))
    return taken(image.array, image.grid, grid, outside=0.0), grid


def with_upright(image: Image, name: str, mask: Mask, grid: Grid) -> Image:
    """The image with a mask that was found on its upright grid."""
    return image.with_mask(name, np.ascontiguousarray(taken(mask, grid, image.grid, outside=0.0)))


def set_outside(image: Image, *, over: str, value: float) -> Image:
    """Give a value to all voxels outside a mask."""
    mask = image.mask(over)
    kind = image.array.dtype if holds(image.array.dtype, value) else np.dtype(np.float32)
    result = image.array if image.owned and image.array.dtype == kind else image.array.astype(kind)
    for part in slabs(image.grid.shape):
        np.copyto(result[part], value, where=~mask[part], casting="unsafe")
    return image.holding(result)


def body_of(array: Array, grid: Grid, above: float, couch_mm: float) -> Mask:
    """The body in upright slices, (slice, row, column)."""
    steps = coarse_steps(grid)
    radius = max(1, round(couch_mm / 2 / float((grid.spacing_mm[1:] * steps).mean())))
    pieces = opened(coarse(array, steps) > above, radius)
    if not pieces.any():
        raise Unsuitable(f"body: nothing thicker than {couch_mm:g} mm has values above {above:g}, needed a body")
    whole = filled(pieces_of(pieces, SMALLEST_SHARE))
    near, sure = dilated(whole, 1), eroded(whole, 1)
    mask = np.empty(array.shape, dtype=bool)
    for part in slabs(grid.shape):
        mask[part] = fine(near[part], steps, mask[part].shape)
        mask[part] &= array[part] > above
        mask[part] |= fine(sure[part], steps, mask[part].shape)
    return mask


def coarse_steps(grid: Grid) -> npt.NDArray[np.int_]:
    """How many rows and columns make one coarse pixel."""
    steps: npt.NDArray[np.int_] = np.maximum(np.round(COARSE_MM / grid.spacing_mm[1:]).astype(int), 1)
    return steps


def coarse(array: npt.NDArray[Any], steps: npt.NDArray[np.int_]) -> npt.NDArray[Any]:
    """The voxels in the middle of coarse pixels."""
    first = (steps - 1) // 2
    rows, columns = np.minimum(first, np.array(array.shape[1:]) - 1)
    return array[:, rows :: steps[0], columns :: steps[1]]


def fine(mask: Mask, steps: npt.NDArray[np.int_], shape: tuple[int, ...]) -> Mask:
    """A coarse mask on the pixels that its own stand for."""
    rows = np.minimum(np.arange(shape[1]) // steps[0], mask.shape[1] - 1)
    columns = np.minimum(np.arange(shape[2]) // steps[1], mask.shape[2] - 1)
    result: Mask = mask[:, rows[:, np.newaxis], columns]
    return result
