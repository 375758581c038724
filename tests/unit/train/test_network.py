"""The network gives logits on the grid of its tile, and its export computes the same."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from dicomnode.train.describe import write_model_toml  # noqa: E402
from dicomnode.train.lung_ct import CLIP_HU, SPACING_MM, TILE, loss, phantom_tile  # noqa: E402
from dicomnode.train.network import DIVISOR, LungNetwork, export_onnx, folded  # noqa: E402

SMALL = (4, 64, 96)


@pytest.fixture(scope="module")
def network() -> LungNetwork:
    torch.manual_seed(3)
    result = LungNetwork()
    with torch.no_grad():
        result(torch.rand(2, 1, *SMALL))  # running statistics that folding has to respect
    return result.eval()


def test_the_tile_of_the_model_suits_the_network() -> None:
    assert all(size % divisor == 0 for size, divisor in zip(TILE, DIVISOR, strict=True))


def test_logits_have_three_channels_on_the_grid_of_the_tile(network: LungNetwork) -> None:
    assert network(torch.rand(2, 1, *SMALL)).shape == (2, 3, *SMALL)


def test_folding_the_normalisation_changes_nothing(network: LungNetwork) -> None:
    image = torch.rand(1, 1, *SMALL)
    with torch.no_grad():
        assert torch.allclose(folded(network)(image), network(image), atol=1e-4)


def test_the_export_computes_what_the_network_computes_for_any_size(network: LungNetwork, tmp_path: Path) -> None:
    export_onnx(network, tmp_path / "model.onnx", SMALL)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch, shape in ((1, SMALL), (2, (8, 32, 64))):
        image = torch.rand(batch, 1, *shape)
        with torch.no_grad():
            expected = network(image).numpy()
        (logits,) = session.run(["logits"], {"image": image.numpy()})
        assert logits.shape == (batch, 3, *shape)
        # Kernels are stored in half precision: 11 significant bits.
        assert np.allclose(logits, expected, atol=2e-2 * np.abs(expected).max())
        assert (logits.argmax(1) == expected.argmax(1)).mean() > 0.99


def test_the_description_names_the_digest_and_the_preparation_of_training(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    write_model_toml(tmp_path, "1.2.3", spacing_mm=SPACING_MM, clip_hu=CLIP_HU, tile=TILE)
    text = tomllib.loads((tmp_path / "model.toml").read_text(encoding="utf-8"))
    assert text["model"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    prepare = {step["step"]: step for step in text["prepare"]}
    assert tuple(prepare["resample"]["spacing_mm"]) == SPACING_MM
    assert tuple(prepare["scale"]["range"]) == CLIP_HU
    assert tuple(text["tile"]["shape"]) == TILE
    assert [segment["laterality"]["meaning"] for segment in text["segment"]] == ["Right", "Left"]


def test_a_training_tile_is_reproducible_and_scaled() -> None:
    image, labels = phantom_tile(1, 5)
    again, _ = phantom_tile(1, 5)
    assert torch.equal(image, again)
    assert image.shape == (1, *TILE)
    assert labels.shape == TILE
    assert image.min() >= 0
    assert image.max() <= 1


def test_the_loss_prefers_the_truth() -> None:
    labels = torch.randint(0, 3, (1, 4, 8, 8))
    right = 10 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert loss(right, labels) < 0.1 < loss(right.flip(1), labels)
