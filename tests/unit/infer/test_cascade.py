"""A model whose network takes the labels of a coarse one as channels behind its image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle, verify
from dicomnode.infer.demand import bytes_needed
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.prepare.grid import Grid
from tests.unit.infer.small import description, mixing, write

AsSource = Callable[[Volume], SourceSeries]

#: Logits of (background, label) for (image as 0 to 1, coarse label 2, coarse label 1).
FINE = ([[0.0, 0.0, 0.0], [-400.0, 400.0, 200.0]], [0.0, 0.0])


def two_stages(below: Path, *, above: float = -500.0, rest: str = "", **options: Any) -> Path:
    """A coarse model that calls what is above `above` HU label 1 and 1000 HU more label 2, and a fine one."""
    scaled = (above + 1000) / 2000
    coarse = [mixing([[0.0], [400.0], [900.0]], [0.0, -400 * scaled, -900 * scaled - 250])]
    fine = [mixing(*FINE)]
    table = f'[cascade]\nfolder = "coarse"\nchannels = [2, 1]\n{rest}'
    write(below / "small" / "coarse", coarse, description("segment", coarse, name="coarse", labels=2))
    return write(below / "small", fine, description("segment", fine, rest=table, **options))


def test_labels_of_the_coarse_model_are_channels_in_the_stated_order(
    oriented: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = load_bundle(two_stages(tmp_path))
    verify(spec)
    assert (spec.channels, spec.labelled) == (3, (2, 1))
    sessions = Sessions(threads=1)
    assert spec.cascade is not None
    coarse = answer([as_source(oriented)], spec.cascade.model, sessions).segmentation.volume.array
    found = answer([as_source(oriented)], spec, sessions, maps=True)
    # 900 HU are 0.95, of label 2: 400 - 380 exceeds 0. 100 HU are 0.55, of label 1: 200 - 220 does not.
    np.testing.assert_array_equal(coarse, (oriented.array > 0) + (oriented.array > 500).astype(np.uint8))
    np.testing.assert_array_equal(found.segmentation.volume.array, coarse == 2)
    (map_,) = found.maps
    assert map_.volume.spatial_shape == oriented.spatial_shape


def test_a_coarse_model_that_finds_nothing_leaves_its_channels_empty(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    air = phantom.with_array(np.full_like(phantom.array, -1000))
    spec = load_bundle(two_stages(tmp_path, above=5000.0))
    assert not answer([as_source(air)], spec, Sessions(threads=1)).segmentation.volume.array.any()


def test_memory_for_the_channels_is_reckoned(phantom: Volume, tmp_path: Path) -> None:
    tile = "shape = [1, 1, 1]\noverlap = 0.0\nbatch = 1"
    prepare = '[[prepare]]\nstep = "respace"\nspacing_mm = [1.0, 1.0, 1.0]\n'
    spec = load_bundle(two_stages(tmp_path, tile=tile, prepare=prepare))
    grid = Grid.of(phantom)
    voxels = round(float(np.prod(np.array(grid.shape) * grid.spacing_mm)))
    assert bytes_needed([grid], spec, None, 2**40) >= 4 * 4 * voxels


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rest": "margin_mm = 2.0"}, r"cascade\.channels with margin_mm or segments"),
        ({"rest": "segments = [1]"}, r"cascade\.channels with margin_mm or segments"),
        ({"tile": "shape = [1, 8, 8]\noverlap = 0.0\nbatch = 1\nneighbours = 1"}, "with tile.neighbours"),
        ({"prepare": '[[prepare]]\nstep = "labelled"\n'}, "needed a step nonzero before it"),
    ],
)
def test_what_contradicts_channels_is_a_fault(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_bundle(two_stages(tmp_path, **changes))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("channels = [2, 1]", "channels = [3, 0]", r"cascade\.channels = \[3\]: the coarse model has \[1, 2\]"),
        ("channels = [2, 1]", "", "without margin_mm"),
        (
            '[cascade]\nfolder = "coarse"\nchannels = [2, 1]',
            '[[prepare]]\nstep = "nonzero"\n[[prepare]]\nstep = "labelled"',
            "step labelled without cascade.channels",
        ),
    ],
)
def test_channels_have_to_be_labels_of_a_coarse_model(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = two_stages(tmp_path) / "model.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=said):
        load_bundle(path.parent)
