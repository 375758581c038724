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


@pytest.mark.parametrize(("activation", "channels"), [("softmax", 2), ("sigmoid", 1)])
@pytest.mark.parametrize(("back", "voxels"), [("blended", 0), ("probabilities", 1)])
def test_logits_may_be_blended_and_probabilities_brought_back(
    as_source: Callable[[Volume], SourceSeries],
    bundle: Make,
    network: Network,
    activation: str,
    channels: int,
    back: str,
    voxels: int,
) -> None:
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[[2, 1, 0], [0, 1, 2]] = 1.0
    array = np.full((1, 4, 5), -1000, dtype=np.int16)
    # A logit of -10 and one of 1, four voxels apart: three quarters of the way are -1.75, or a probability of 0.55.
    array[..., 4] = 100
    volume = Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid="1.2.3")

    def edit(text: str) -> str:
        steps = 'step = "restep"\nspacing_mm = [1.0, 1.0, 4.0]\n[[prepare]]\n'
        scale = 'step = "scale"\nrange = [0.0, 1000.0]\n[tile]'
        head, _, rest = text.partition("[[prepare]]\n")
        tail = rest.partition("[tile]")[2].replace("[output]\n", f'[output]\nblend = "logits"\nback = "{back}"\n')
        labels = tail.partition("[[segment]]\nnumber = 2")
        return f"{head}[[prepare]]\n{steps}{scale}{labels[0]}".replace("right_of = [[1, 2]]\n", "")

    weights, bias = ((0.0, 10.0), (0.0, 0.0)) if channels == 2 else ((10.0,), (0.0,))
    spec = bundle(network(weights, bias), activation=activation, tile=(1, 4, 2), edit=edit)
    found = segment(as_source(volume), spec, Sessions(threads=1)).volume.array
    assert (found[0, :, 4] == 1).all()
    assert (found[0, :, 3] == voxels).all()
    assert not found[0, :, :3].any()


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
