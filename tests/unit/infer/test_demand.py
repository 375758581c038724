"""The memory that grids and tiles foretell, against sums by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.model import ModelSpec
from dicomnode.infer.demand import ANSWERS, bytes_needed
from dicomnode.infer.prepare.grid import Grid
from tests.unit.infer.small import bundle, mixing, pooling

VOXELS = 14 * 24 * 30
PLENTY = 2**40
ONE = "shape = [1, 1, 1]\noverlap = 0.0\nbatch = 1"
CLASSES = 'activation = "softmax"\nquestion = { value = "Q", scheme = "99TEST", meaning = "What" }'


def classifier(folder: Path, prepare: str, inputs: tuple[str, ...] = ("ct",)) -> ModelSpec:
    """A model of which nothing but preparation takes memory, and its one voxel of 8 bytes."""
    return bundle(
        folder, "classify", pooling([[1.0], [0.0]], [0, 0]), labels=2, output=CLASSES, tile=ONE, prepare=prepare,
        inputs=inputs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "floats"),
    [
        ('step = "clip"\nrange = [0.0, 1.0]', VOXELS),
        # Half the spacing along the axes of the source: eight times the voxels; the old ones are the source's own.
        ('step = "resample"\nspacing_mm = [1.0, 0.75, 0.625]\naxes = "source"', 8 * VOXELS),
        ('step = "clip"\nrange = [0.0, 1.0]\n[[prepare]]\nstep = "resize"\nshape = [28, 0, 0]', 3 * VOXELS),
        ('step = "crop_or_pad"\nshape = [0, 100, 100]', 14 * 100**2),
        ('step = "body_mask"\n[[prepare]]\nstep = "crop_to_mask"\naround = "body"', VOXELS),
    ],
)
def test_preparing_takes_its_old_and_its_new_values(prepare: str, floats: int, phantom: Volume, tmp_path: Path) -> None:
    spec = classifier(tmp_path, f"[[prepare]]\n{prepare}\n")
    assert bytes_needed([Grid.of(phantom)], spec, None, PLENTY) == pytest.approx(4 * floats, abs=16)


def test_inputs_are_stacked_beside_what_they_were(phantom: Volume, tmp_path: Path) -> None:
    clip = '[[prepare]]\nstep = "clip"\nrange = [0.0, 1.0]\n'
    grids = [Grid.of(phantom)] * 3
    spec = classifier(tmp_path, clip, ("ct", "pt", "mr"))
    assert bytes_needed(grids, spec, None, PLENTY) == 4 * 6 * VOXELS
    box = ((0, 7), (0, 12), (0, 15))
    assert bytes_needed(grids, spec, box, PLENTY) == pytest.approx(4 * 6 * VOXELS / 8, abs=32)


def test_sums_and_probabilities_count_while_they_stay_in_memory(phantom: Volume, tmp_path: Path) -> None:
    tile = "shape = [7, 12, 15]\noverlap = 0.0\nbatch = 2"
    labels = 5
    matrix = np.zeros((labels + 1, 1)).tolist()
    spec = bundle(tmp_path, "segment", mixing(matrix, [0.0] * (labels + 1)), labels=labels, tile=tile)
    tiles = 2 * 7 * 12 * 15 * (2 + ANSWERS * 6) * 4
    sums, probabilities = 6 * 7 * 24 * 30 * 4, 6 * VOXELS * 2
    whole = 4 * VOXELS + tiles + VOXELS
    assert bytes_needed([Grid.of(phantom)], spec, None, PLENTY) == whole + sums + probabilities
    assert bytes_needed([Grid.of(phantom)], spec, None, 1000) == whole
