"""From the source grid to what a network expects, by the steps that its bundle declares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import ModelSpec, Step
from dicomnode.infer.prepare.grid import ROUNDING_OF_VOXEL, Box, Grid, corners, shape_of
from dicomnode.infer.prepare.image import Floats, Image
from dicomnode.infer.prepare.labelled import NONZERO, relabelled, write_channels
from dicomnode.infer.prepare.prepared import Prepared
from dicomnode.infer.prepare.separable import Apart, apart_axis
from dicomnode.infer.prepare.spatial import nominal
from dicomnode.infer.prepare.steps import FINDERS, FOREGROUND, GRIDS, JOINT, LABELS, MASKS, VALUES

#: The step after which the way back may treat an axis on its own.
RESPACE = "respace"

#: The step beyond whose ends the outermost values go on.
RESTEP = "restep"

#: Settings of a spatial step that concern the taking of values and not the grid.
WAY = frozenset({"outside", "interpolation", "apart", "apart_above"})


def prepare(
    volumes: Sequence[Volume], spec: ModelSpec, box: Box | None = None, labels: npt.NDArray[np.uint8] | None = None
) -> Prepared:
    """Bring volumes into the grid and the range of intensities that a network expects.

    Parameters
    ----------
    volumes
        Intensities in the order of `spec.inputs`, axes (slice, row, column), affine in LPS mm, one frame of
        reference. The first is the reference: the others end up on its grid.
    box
        Half-open index ranges (slice, row, column) of the first volume to prepare, as a coarse model found them; the
        other volumes are cut to the same place.
    labels
        What a coarse model has found on the grid of the first volume, for `spec.labelled`. They go wherever the first
        volume goes.

    Raises
    ------
    Unsuitable
        If a step cannot be done on these values: a constant image, one without body or lungs.
    ModelError
        If the steps contradict each other.
    """
    images = [Image(array=volume.array, grid=Grid.of(volume)) for volume in volumes]
    if box is not None:
        place = images[0].grid.part(box)
        images = [image.onto(image.grid.part(covering(image.grid, place))) for image in images]
    names = [each.name for each in spec.inputs]
    found = None if labels is None else Image(array=labels, grid=images[0].grid)
    spacings: tuple[tuple[float, float, float], ...] = ()
    for number, step in enumerate(spec.prepare):
        rest = spec.prepare[number + 1 :]
        # The network gets floats: what is put into a new array for the last time is not copied for that once more.
        floats = not any(later.name in GRIDS or later.name in FINDERS for later in rest)
        treated = [number for number, name in enumerate(names) if not step.inputs or name in step.inputs]
        if step.name == RESPACE:
            spacings = _spacings(step, images[treated[0]].grid)
        _apply(step, images, treated, floats=floats)
        if found is not None:
            found = _followed(found, step, images)
        needed = {_mask_of(later) for later in rest}
        images = [image.keeping(needed) for image in images]
    reference = images[0].grid
    images = [image if image.grid.same_as(reference) else image.onto(reference) for image in images]
    array = _stacked(images) if found is None else _stacked(images, found, spec.labelled)
    return Prepared(array=array, grid=reference, source=Grid.of(volumes[0]), spacings_mm=spacings)


def covering(grid: Grid, place: Grid) -> Box:
    """The smallest box of voxels of `grid` that holds all of `place` as far as it lies on the grid, never empty."""
    index = (grid.from_(place) @ corners(place.shape))[:3]
    last = np.array(grid.shape) - 1
    low = shape_of(np.clip(np.floor(index.min(axis=1) + ROUNDING_OF_VOXEL), 0, last).astype(int))
    high = shape_of(np.clip(np.ceil(index.max(axis=1) - ROUNDING_OF_VOXEL), 0, last).astype(int) + 1)
    return ((low[0], high[0]), (low[1], high[1]), (low[2], high[2]))


def _spacings(step: Step, grid: Grid) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """The spacing that a step `respace` finds, and the one that it is asked for."""
    slices, rows, columns = grid.spacing_mm.tolist()
    return (slices, rows, columns), nominal(grid, step.options["spacing_mm"])


def _apart(step: Step, grid: Grid) -> int | None:
    """The axis that a step `respace` interpolates on its own."""
    before, after = _spacings(step, grid)
    return apart_axis(before, after, step.options["apart_above"])


def _followed(labels: Image, step: Step, images: list[Image]) -> Image:
    """Labels of a coarse model where a step has put the first input; they may change what counts as `nonzero`."""
    if step.name in LABELS:
        labels = LABELS[step.name](labels.with_mask(NONZERO, images[0].mask(NONZERO)))
        mask = labels.mask(NONZERO)
        images[:] = [image.with_mask(NONZERO, mask) if NONZERO in image.masks else image for image in images]
        return labels.keeping(())
    grid = images[0].grid
    if step.name == RESPACE and not grid.same_as(labels.grid):
        return Image(array=relabelled(labels.array, grid.shape, _apart(step, labels.grid)), grid=grid)
    return labels.onto(grid, outside=0.0, interpolation="nearest")


def _apply(step: Step, images: list[Image], treated: Sequence[int], *, floats: bool) -> None:
    if step.name in LABELS:
        return
    if step.name in JOINT:
        mask = JOINT[step.name]([images[number] for number in treated])
        for number in treated:
            images[number] = images[number].with_mask(step.name, mask)
        return
    if step.name in GRIDS:
        way = {key: value for key, value in step.options.items() if key in WAY}
        own = {key: value for key, value in step.options.items() if key not in WAY}
        lead = 0 if step.name == "align" else treated[0]
        images[lead] = _with_mask(images, lead, step)
        grid = GRIDS[step.name](images[lead], **own)
        if step.name == RESPACE:
            axis = _apart(step, images[lead].grid)
            apart = None if axis is None else Apart(axis=axis, interpolation=step.options["apart"])
            for number in treated:
                images[number] = images[number].resized(grid, interpolation=way["interpolation"], apart=apart)
            return
        for number in treated:
            if step.name == RESTEP:
                images[number] = images[number].continued(grid, **way)
            else:
                images[number] = images[number].onto(grid, floats=floats, **way)
        return
    for number in treated:
        images[number] = VALUES[step.name](_with_mask(images, number, step), **step.options)


def _with_mask(images: Sequence[Image], number: int, step: Step) -> Image:
    """The image with the mask that a step names, taken from the input that has it where its own was never sought.

    Every input has its own foreground. It is kept, since values of 0 are no background once they are normalised.
    """
    image, name = images[number], _mask_of(step)
    if name == FOREGROUND:
        return image.with_mask(name, image.mask(name))
    if name in MASKS and name not in image.masks:
        for other in images:
            if name in other.masks:
                bare = Image(array=other.masks[name], grid=other.grid)
                return image.with_mask(name, bare.onto(image.grid, outside=0.0, interpolation="nearest").array)
    return image


def _mask_of(step: Step) -> str:
    """Where a step looks, if it says so."""
    if step.name in LABELS:
        return NONZERO
    return str(step.options.get("over") or step.options.get("around") or "")


def _stacked(images: Sequence[Image], labels: Image | None = None, numbers: Sequence[int] = ()) -> Floats:
    """One array of all inputs, (input, slice, row, column), and behind them the labels of these numbers.

    Raises
    ------
    Unsuitable
        If a value is not a number: the network would answer as nonsense, and no one would know.
    """
    if len(images) == 1 and labels is None:
        array = images[0].floats()[np.newaxis]
    else:
        array = np.empty((len(images) + len(numbers), *images[0].grid.shape), dtype=np.float32)
        for channel, image in zip(array, images, strict=False):
            channel[...] = image.array
        if labels is not None:
            write_channels(array[len(images) :], labels.array, numbers)
    if not np.isfinite([array.min(), array.max()]).all():
        raise Unsuitable("the prepared image holds values that are not finite, needed numbers throughout")
    return array
