"""A run can be interrupted, goes on where it was, and learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from torch import Tensor, nn  # noqa: E402
from torch.utils.data import IterableDataset  # noqa: E402

from dicomnode.train.network import LungNetwork, continued, export_onnx  # noqa: E402
from dicomnode.train.training import Plan, Training  # noqa: E402

SHAPE = (4, 32, 32)


class Halves(IterableDataset[tuple[Tensor, ...]]):
    """Bright voxels are the label."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        index = self.first
        while True:
            image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(index))
            yield image, (image[0] > 0.5).long()
            index += 1


class Voxelwise(nn.Module):
    """The least network that has what a run asks for: coarse logits in training, and a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm3d(1)
        self.head = nn.Conv3d(1, 2, 1)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        logits: Tensor = self.head(self.normalisation(image))
        return (logits, logits[:, :, :, 2::4, 2::4]) if self.training else logits


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plan(checkpoint: Path, steps: int) -> Plan:
    return Plan(
        tiles=Halves, loss=lambda logits, targets: torch.nn.functional.cross_entropy(logits.float(), targets[0]),
        batch=2, rate=0.2, minutes=1, steps=steps, checkpoint=checkpoint, calibrate=4,
    )  # fmt: skip


def test_a_run_learns_and_a_finished_one_is_not_trained_again(tmp_path: Path) -> None:
    training = Training(Voxelwise(), plan(tmp_path / "run.pt", 60), 1)
    training.run(0)
    image, labels = next(iter(Halves(999)))
    with torch.no_grad():
        found = training.network.eval()(image[None]).argmax(1)[0]
    assert (found == labels).float().mean() > 0.95
    again = Training(Voxelwise(), plan(tmp_path / "run.pt", 60), 2)
    assert (again.step, again.progress, again.calibrated) == (60, 1.0, True)
    for one, same in zip(training.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, same)


def test_an_interrupted_run_goes_on_with_the_tiles_that_come_next(tmp_path: Path) -> None:
    first = Training(Voxelwise(), plan(tmp_path / "run.pt", 3), 1)
    first.run(0)
    further = Training(Voxelwise(), plan(tmp_path / "run.pt", 5), 1)
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
    image = torch.rand(1, 1, *SHAPE)
    begun = continued(tmp_path / "model.onnx", 4, [torch.rand(1, 1, *SHAPE), image]).eval()
    with torch.no_grad():
        before, after = network.eval()(image), begun(image)
    # Kernels are stored in half precision: 11 significant bits.
    assert torch.allclose(before / 2, after[:, :3], atol=2e-2 * float(before.abs().max()))
    assert after[:, 3].mean() < 0
    assert any(isinstance(module, nn.BatchNorm3d) for module in begun.modules())
