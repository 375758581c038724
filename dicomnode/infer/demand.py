"""How much memory a model takes for a series, told from grids and tiles alone before any of it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import ModelSpec, Step, Task
from dicomnode.infer.maps import STEPS
from dicomnode.infer.network.fit import label_count
from dicomnode.infer.network.plan import available_bytes, fits
from dicomnode.infer.prepare.grid import Box, Grid, Shape
from dicomnode.infer.prepare.image import Image
from dicomnode.infer.prepare.pipeline import RESPACE, WAY, covering
from dicomnode.infer.prepare.steps import GRIDS

#: Answers to a batch in memory at a time: one is computed, one waits, one is their mean, and onnxruntime keeps its own.
#: 61 channels of 48 × 128 × 128 were measured to take 5.6 times their size.
ANSWERS = 6

#: Copies of every probability map in memory at a time.
_MAPS = 3

#: Copies of a volume as floats in which shares of labels are compared on another grid; 5.5 were measured.
_RELABELLING = 6

_FLOAT = np.dtype(np.float32).itemsize
_HALF = np.dtype(np.float16).itemsize


def require_memory(volumes: Sequence[Volume], spec: ModelSpec, box: Box | None = None, *, maps: bool = False) -> None:
    """Refuse what cannot be computed with the memory that there is; parameters as of `answer` and `prepare`.

    Raises
    ------
    Unsuitable
        With what is needed and what is available.
    """
    available = available_bytes()
    if available is None:
        return
    needed = bytes_needed([Grid.of(volume) for volume in volumes], spec, box, available)
    needed += map_bytes(volumes[0].spatial_shape, spec) if maps else 0
    if needed > available:
        raise Unsuitable(
            f"model {spec.name}: needs {needed / 1024**3:.1f} GiB of memory for this series, "
            f"{available / 1024**3:.1f} GiB available"
        )


def bytes_needed(grids: Sequence[Grid], spec: ModelSpec, box: Box | None, available: int) -> int:
    """The most memory at any time of preparing and running, beside the source volumes and the network's own.

    A crop to a mask, whose place only the values tell, counts as no crop.

    Parameters
    ----------
    grids
        Of the sources, in the order of the model's inputs.
    available
        Bytes; arrays that would take too much of them go to a file and do not count.
    """
    source, (most, prepared) = grids[0].shape, _preparing(grids, spec, box)
    channels = len(grids) + len(spec.labelled)
    return max(most, channels * prod(prepared) * _FLOAT + _running(spec, prepared, source, available))


def map_bytes(source: Sequence[int], spec: ModelSpec) -> int:
    """What probabilities on the source grid take until the objects that hold them are kept as files.

    Each is there as the array, as the pixels of an object and as the bytes of a file.
    """
    return _MAPS * label_count(spec) * prod(source) * STEPS.itemsize if spec.task is Task.SEGMENT else 0


def _preparing(grids: Sequence[Grid], spec: ModelSpec, box: Box | None) -> tuple[int, Shape]:
    """The most that preparing takes, and the shape that comes of it."""
    now = [*grids]
    # Values stay the source's own until a step makes new ones.
    taken = [0] * len(now)
    if box is not None:
        place = now[0].part(box)
        now = [grid.part(covering(grid, place)) for grid in now]
    most = 0
    for step in spec.prepare:
        treated = [number for number, each in enumerate(spec.inputs) if not step.inputs or each.name in step.inputs]
        grid = _changed(step, now[0 if step.name == "align" else treated[0]])
        for number in treated:
            now[number] = now[number] if grid is None else grid
            made = prod(now[number].shape) * _FLOAT
            # A step on values writes over what it may; respacing holds what comes of some axes before the others.
            beside = made if step.name == RESPACE else 0
            if spec.labelled and step.name == RESPACE:
                beside += _RELABELLING * max(made, taken[number])
            most = max(most, sum(taken) + made + beside - (taken[number] if grid is None else 0))
            taken[number] = made
    whole = prod(now[0].shape) * _FLOAT
    channels = len(now) + len(spec.labelled)
    return max(most, sum(taken) + (channels * whole if channels > 1 else 0)), now[0].shape


def _changed(step: Step, grid: Grid) -> Grid | None:
    """The grid after a step; None where it stays, or where that depends on values."""
    if step.name not in GRIDS or step.name == "crop_to_mask":
        return None
    own = {key: value for key, value in step.options.items() if key not in WAY}
    if "around" in own:
        own["around"] = "centre"
    return GRIDS[step.name](Image(array=np.empty((0, 0, 0), dtype=np.float32), grid=grid), **own)


def _running(spec: ModelSpec, prepared: Shape, source: Shape, available: int) -> int:
    """What tiles, their answers and what they add up to take."""
    tile, channels = prod(spec.tile.shape), _channels(spec)
    needed = max(1, spec.tile.batch) * tile * (2 * spec.channels + ANSWERS * channels) * _FLOAT
    if spec.task is not Task.SEGMENT:
        return needed
    layer = channels * min(spec.tile.shape[0], prepared[0]) * prepared[1] * prepared[2] * _FLOAT
    probabilities = channels * prod(prepared) * _HALF
    needed += sum(each for each in (layer, probabilities) if fits(each, available))
    return needed + prod(source)


def _channels(spec: ModelSpec) -> int:
    """Values per voxel of a tile that the network gives."""
    return label_count(spec) + 1 if spec.task is Task.SEGMENT else 0
