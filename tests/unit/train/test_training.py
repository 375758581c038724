"""A run can be interrupted, goes on where it was, and learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from dicomnode.train.network import LungNetwork, continued, export_onnx, folded  # noqa: E402
from dicomnode.train.training import Plan, Training  # noqa: E402

WIDTHS = (4, 4, 6, 6, 8, 8)
SHAPE = (4, 32, 32)


class Halves(torch.utils.data.IterableDataset):  # type: ignore[misc]
    """Bright voxels are the label."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        index = self.first
        while True:
            image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(index))
            yield image, (image[0] > 0.5).long()
            index += 1


def plan(checkpoint: Path, steps: int) -> Plan:
    return Plan(
        tiles=Halves, loss=lambda logits, targets: torch.nn.functional.cross_entropy(logits.float(), targets[0]),
        batch=2, rate=1e-2, minutes=1, steps=steps, checkpoint=checkpoint, calibrate=4,
    )  # fmt: skip


def test_a_run_learns_and_a_finished_one_is_not_trained_again(tmp_path: Path) -> None:
    training = Training(LungNetwork(2, WIDTHS), plan(tmp_path / "run.pt", 30), 1)
    training.run(0)
    image, labels = next(iter(Halves(999)))
    with torch.no_grad():
        found = folded(training.network)(image[None]).argmax(1)[0]
    assert (found == labels).float().mean() > 0.8
    again = Training(LungNetwork(2, WIDTHS), plan(tmp_path / "run.pt", 30), 2)
    assert (again.step, again.progress, again.calibrated) == (30, 1.0, True)
    for one, same in zip(training.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, same)


def test_an_interrupted_run_goes_on_with_the_tiles_that_come_next(tmp_path: Path) -> None:
    first = Training(LungNetwork(2, WIDTHS), plan(tmp_path / "run.pt", 3), 1)
    first.run(0)
    further = Training(LungNetwork(2, WIDTHS), plan(tmp_path / "run.pt", 5), 1)
    assert further.step == 3
    image, _ = next(further.batches(0, further.step * 2))
    assert torch.equal(image[0], next(iter(Halves(6)))[0])
    further.run(0)
    assert further.step == 5


def test_a_network_that_goes_on_begins_with_what_was_exported(tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = LungNetwork(3)
    with torch.no_grad():
        network(torch.rand(2, 1, *SHAPE))
    export_onnx(network, tmp_path / "model.onnx", SHAPE)
    begun = continued(tmp_path / "model.onnx", 4).eval()
    image = torch.rand(1, 1, *SHAPE)
    with torch.no_grad():
        before, after = network.eval()(image), begun(image)
    # Kernels are stored in half precision: 11 significant bits.
    assert torch.allclose(before / 2, after[:, :3], atol=2e-2 * float(before.abs().max()))
    assert after[:, 3].mean() < 0
    assert all(weights.requires_grad for weights in begun.parameters())
