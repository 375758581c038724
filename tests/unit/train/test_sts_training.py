"""Training of the sarcoma model is reproducible, goes on where it stopped, and its export computes the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from highdicom import Volume

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from dicomnode.train.network import folded  # noqa: E402
from dicomnode.train.sts_bundle import TILE  # noqa: E402
from dicomnode.train.sts_cases import Case, Sample  # noqa: E402
from dicomnode.train.sts_network import DIVISOR, SarcomaNetwork, export_onnx  # noqa: E402
from dicomnode.train.sts_patch import LOG_RANGE, PATCH, patch  # noqa: E402
from dicomnode.train.sts_petct import FOLDS, folds  # noqa: E402
from dicomnode.train.sts_training import Plan, Training, loss  # noqa: E402

SMALL = (16, 24, 32)


def _sample(seed: int = 0, *, has_ct: bool = True) -> Sample:
    """A bright ball in a dim cube."""
    rng = np.random.default_rng(seed)
    distance = np.linalg.norm(np.indices((44, 40, 42)) - np.array([22, 20, 21]).reshape(3, 1, 1, 1), axis=0)
    truth = (distance < 8).astype(np.float32)
    pet = np.log1p(np.where(truth > 0, 6.0, 1.0)) / LOG_RANGE + rng.normal(0, 0.01, size=truth.shape)
    ct = np.where(truth > 0, 0.5, 0.3) if has_ct else np.zeros(truth.shape)
    image = np.stack([pet, ct]).astype(np.float32)
    return Sample(name=f"STS_{seed}", image=image, truth=truth, has_ct=has_ct)


def test_the_tile_and_the_patch_suit_the_network() -> None:
    assert all(side % DIVISOR == 0 for side in (*TILE, PATCH))


def test_a_patch_depends_on_its_generator_alone_and_keeps_image_and_truth_together() -> None:
    case = _sample()
    overlaps = []
    for seed in range(12):
        image, truth = patch(case, np.random.default_rng(seed))
        again, _ = patch(case, np.random.default_rng(seed))
        assert torch.equal(image, again)
        assert image.shape == (2, PATCH, PATCH, PATCH) and truth.shape == image.shape[1:]
        assert float(image.min()) >= 0 and float(image.max()) <= 1.01 and float(truth.min()) >= 0
        inside, outside = truth > 0.9, (truth < 0.1) & (image[0] > 0)
        if inside.sum() > 50 and outside.sum() > 50:
            overlaps.append(float(image[0][inside].mean() - image[0][outside].mean()))
    assert len(overlaps) >= 4 and min(overlaps) > 0.2


def test_a_case_without_ct_never_gets_one() -> None:
    case = _sample(has_ct=False)
    assert all(patch(case, np.random.default_rng(seed))[0][1].abs().max() == 0 for seed in range(6))


def test_the_loss_prefers_the_truth() -> None:
    truth = (torch.rand(2, 8, 8, 8) > 0.5).float()
    right = 10 * torch.stack([1 - truth, truth], dim=1)
    assert loss(right, truth) < 0.1 < loss(right.flip(1), truth)


def test_the_export_computes_what_the_network_computes_for_any_size(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = SarcomaNetwork()
    with torch.no_grad():
        network(torch.rand(2, 2, *SMALL))  # running statistics that folding has to respect
    network.eval()
    export_onnx(network, tmp_path / "model.onnx", SMALL)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch, shape in ((1, SMALL), (2, (24, 16, 16))):
        image = torch.rand(batch, 2, *shape)
        with torch.no_grad():
            expected = network(image).numpy()
            assert np.allclose(folded(network)(image).numpy(), expected, atol=1e-4)
        (logits,) = session.run(["logits"], {"image": image.numpy()})
        assert logits.shape == (batch, 2, *shape)
        assert np.allclose(logits, expected, atol=1e-4)


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.train.sts_training.CALIBRATION", 2)
    cases = [_sample(1), _sample(2, has_ct=False)]
    plan = Plan(name="whole", seed=5, steps=3)
    whole = Training(plan, cases, tmp_path).run()
    stopped = Training(replace(plan, name="stopped"), cases, tmp_path)
    batch = stopped.batch

    def fail_at_the_third(number: int) -> object:
        if number == 2:
            stopped.save()
            raise KeyboardInterrupt
        return batch(number)

    monkeypatch.setattr(stopped, "batch", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = Training(replace(plan, name="stopped"), cases, tmp_path)
    assert resumed.step == 2
    for one, other in zip(resumed.run().parameters(), whole.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_every_patient_is_left_out_once_and_folds_hold_all_sizes() -> None:
    volume = Volume(np.zeros((12, 10, 10), dtype=np.float32), np.diag([5.0, 5.0, 5.0, 1.0]), "PATIENT")
    cases = [
        Case(name=f"STS_{number}", pet=volume, ct=volume, truth=np.arange(1200).reshape(12, 10, 10) < 10 * number,
             has_ct=True)
        for number in range(1, 24)
    ]  # fmt: skip
    found = folds(cases, seed=1)
    assert sorted(name for fold in found for name in fold) == sorted(case.name for case in cases)
    assert len(found) == FOLDS and {len(fold) for fold in found} == {4, 5}
    for first in range(0, 20, FOLDS):
        block = {case.name for case in cases[first : first + FOLDS]}
        assert all(len(block & set(fold)) == 1 for fold in found)
    assert folds(cases, seed=1) == found != folds(cases, seed=2)


def test_a_run_may_begin_with_the_weights_of_another(tmp_path: Path) -> None:
    first = Training(Plan(name="first", seed=1, steps=1), [_sample()], tmp_path).network
    second = Training(Plan(name="second", seed=2, steps=1), [_sample()], tmp_path, start=first).network
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))
