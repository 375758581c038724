"""The probabilities behind a mask, on the voxels of the source, against what the network is known to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer import demand
from dicomnode.infer.answer import answer
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.demand import map_bytes
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.prepare.grid import Grid
from tests.unit.infer.small import bundle, description, mixing, pooling, write

AsSource = Callable[[Volume], SourceSeries]

#: The blended probabilities are kept as float16, to 2**-11 between 0.5 and 1; a stored step is much smaller.
_ROUNDING = 2**-11 / 2 + 1e-5


def sigmoid(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.asarray(values, dtype=np.float64))))


def scaled(volume: Volume) -> npt.NDArray[np.float64]:
    return np.asarray((np.clip(volume.array, -1000, 1000) + 1000) / 2000)


def test_maps_hold_what_the_network_says_at_every_voxel_in_any_orientation(
    oriented: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.0], [4.0]], [0.0, -2.0]))
    found = answer([as_source(oriented)], spec, Sessions(threads=1), maps=True)
    (made,) = found.maps
    assert made.segment == spec.segments[0]
    assert made.volume.dtype == np.uint16
    np.testing.assert_array_equal(made.volume.affine, oriented.affine)
    values = made.volume.array * made.slope
    assert np.abs(values - sigmoid(4 * scaled(oriented) - 2)).max() <= _ROUNDING
    decided = np.abs(values - 0.5) > _ROUNDING
    assert ((values > 0.5) == (found.segmentation.volume.array == 1))[decided].all()


def test_every_label_has_a_map_and_together_with_the_background_they_are_one(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    weights, bias = [[0.0], [3.0], [-2.0]], [0.0, -1.0, 1.5]
    spec = bundle(tmp_path, "segment", mixing(weights, bias), labels=2)
    found = answer([as_source(phantom)], spec, Sessions(threads=1), maps=True)
    logits = scaled(phantom)[None] * np.array(weights)[:, 0, None, None, None] + np.array(bias)[:, None, None, None]
    expected = np.exp(logits) / np.exp(logits).sum(axis=0)
    assert [one.segment.number for one in found.maps] == [1, 2]
    for one, needed in zip(found.maps, expected[1:], strict=True):
        assert np.abs(one.volume.array * one.slope - needed).max() <= _ROUNDING


def test_nobody_pays_for_maps_that_were_not_asked_for(phantom: Volume, as_source: AsSource, tmp_path: Path) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.0], [4.0]], [0.0, -2.0]))
    assert answer([as_source(phantom)], spec, Sessions(threads=1)).maps == ()
    classifier = 'activation = "softmax"\nquestion = { value = "Q", scheme = "99TEST", meaning = "What" }'
    other = bundle(tmp_path / "other", "classify", pooling([[1.0], [0.0]], [0, 0]), labels=2, output=classifier)
    assert answer([as_source(phantom)], other, Sessions(threads=1), maps=True).maps == ()


def test_outside_of_where_a_cascade_looks_nothing_is_probable(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    coarse = [mixing([[0.0], [400.0]], [0.0, -300.0])]
    fine = [mixing([[0.0], [0.0]], [0.0, 2.0])]
    write(tmp_path / "small" / "coarse", coarse, description("segment", coarse, name="coarse"))
    rest = '[cascade]\nfolder = "coarse"\nmargin_mm = 0.0\n'
    spec = load_bundle(write(tmp_path / "small", fine, description("segment", fine, rest=rest)))
    (made,) = answer([as_source(phantom)], spec, Sessions(threads=1), maps=True).maps
    where = np.argwhere(phantom.array > 500)
    box = tuple(slice(low, high + 1) for low, high in zip(where.min(axis=0), where.max(axis=0), strict=True))
    expected = np.zeros(phantom.array.shape)
    expected[box] = sigmoid(np.array(2.0))
    assert 0 < np.count_nonzero(expected) < expected.size
    assert np.abs(made.volume.array * made.slope - expected).max() <= _ROUNDING


def test_the_map_of_a_label_that_is_divided_into_lesions_is_called_by_its_type(
    phantom: Volume, as_source: AsSource, tmp_path: Path
) -> None:
    rest = '[[post]]\nstep = "lesions"\nsegments = [1]\ninto = [2, 3]\n'
    spec = bundle(tmp_path, "segment", mixing([[0.0], [400.0]], [0.0, -200.0]), labels=1, derived=2, rest=rest)
    (made,) = answer([as_source(phantom)], spec, Sessions(threads=1), maps=True).maps
    assert (made.segment.number, made.segment.label) == (1, spec.segments[0].type.meaning)


def test_maps_count_when_memory_is_asked_for(
    phantom: Volume, as_source: AsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = bundle(tmp_path, "segment", mixing([[0.0], [3.0], [1.0]], [0.0, 0.0, 0.0]), labels=2)
    needed = map_bytes(phantom.spatial_shape, spec)
    assert needed == 3 * 2 * 2 * phantom.array.size
    without = demand.bytes_needed([Grid.of(phantom)], spec, None, 2**40)
    monkeypatch.setattr(demand, "available_bytes", lambda: without + needed - 1)
    demand.require_memory([phantom], spec)
    with pytest.raises(Unsuitable, match="GiB of memory for this series"):
        demand.require_memory([phantom], spec, maps=True)
