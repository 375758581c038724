"""A thresholding network whose segmentation is known, run on a body in every orientation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.activation import sigmoid, softmax
from dicomnode.infer.network.session import Sessions
from dicomnode.infer.read.volume import read_series
from dicomnode.infer.segment import segment

Labels = npt.NDArray[np.uint8]
Make = Callable[..., ModelSpec]
Network = Callable[..., bytes]


def test_a_series_in_any_orientation_is_segmented_on_its_own_grid(
    oriented: Volume,
    slices: Callable[..., list[Dataset]],
    saved: Callable[[list[Dataset]], list[Path]],
    bundle: Make,
    network: Network,
    truth: Callable[[Volume], Labels],
) -> None:
    source = read_series(saved(slices(oriented)))
    spec = bundle(network())
    found = segment(source, spec, Sessions(threads=1))
    assert found.volume.array.dtype == np.uint8
    assert found.volume.array.shape == source.volume.array.shape
    assert np.array_equal(found.volume.affine, source.volume.affine)
    assert np.array_equal(found.volume.array, truth(source.volume))
    assert found.segments == spec.segments


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("tile", [(5, 7, 9), (14, 24, 30), (20, 40, 50)])
def test_tiles_batches_and_activation_do_not_change_a_clear_result(
    phantom: Volume,
    as_source: Callable[[Volume], SourceSeries],
    bundle: Make,
    network: Network,
    truth: Callable[[Volume], Labels],
    activation: str,
    batch: int,
    tile: tuple[int, ...],
) -> None:
    spec = bundle(network(), activation=activation, batch=batch, tile=tile)
    told: list[tuple[int, int]] = []
    found = segment(as_source(phantom), spec, Sessions(threads=1), progress=lambda *step: told.append(step))
    assert np.array_equal(found.volume.array, truth(phantom))
    assert told[-1][0] == told[-1][1] > 0


def test_post_processing_follows_the_bundle(
    phantom: Volume,
    as_source: Callable[[Volume], SourceSeries],
    bundle: Make,
    network: Network,
    truth: Callable[[Volume], Labels],
) -> None:
    spotted = phantom.array.copy()
    spotted[0, 0, 0] = 900
    spotted[7, 12, 21] = -900
    source = as_source(phantom.with_array(spotted))
    rough = segment(source, bundle(network()), Sessions(threads=1)).volume.array
    assert (rough[0, 0, 0], rough[7, 12, 21]) == (1, 0)
    neat = segment(source, bundle(network(), name="neat", tidy=True), Sessions(threads=1)).volume.array
    assert np.array_equal(neat, truth(phantom))


def test_activations_are_what_they_are_called() -> None:
    logits = np.array([[[-200.0, 0.0]], [[200.0, 0.0]]], dtype=np.float32).reshape(1, 2, 1, 1, 2)
    assert np.allclose(softmax(logits.copy())[0, :, 0, 0], [[0, 0.5], [1, 0.5]])
    assert np.allclose(sigmoid(logits.copy())[0, :, 0, 0], [[0, 0.5], [1, 0.5]])
    assert sigmoid(np.full(1, 2.0, dtype=np.float32)) == pytest.approx(1 / (1 + np.exp(-2.0)))
