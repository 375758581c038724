"""Training of the model lung-ct on phantoms alone: ``python -m dicomnode.train.lung_ct --minutes 45 --seed 1``."""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from dicomnode.train.describe import Run, write_card, write_model_toml
from dicomnode.train.evaluate_lung import HELD_OUT_SEEDS, on_phantoms, on_study, table
from dicomnode.train.network import LungNetwork, export_onnx
from dicomnode.train.phantoms import thorax

SPACING_MM = (3.0, 2.0, 2.0)
TILE = (16, 192, 192)
CLIP_HU = (-1000.0, 400.0)
BATCH = 2
LEARNING_RATE = 3e-3
_SEEDS_PER_RUN = 10_000_000


class PhantomTiles(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless, reproducible stream of tiles, each from a phantom of its own.

    Parameters
    ----------
    seed : int
        Seed of the run.
    first : int
        Index of the first tile, to go on where a checkpoint stopped.
    """

    def __init__(self, seed: int, first: int = 0) -> None:
        self.seed, self.first = seed, first

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        step, index = (
            (1, self.first) if worker is None else (worker.num_workers * BATCH, self.first + worker.id * BATCH)
        )
        while True:
            # a worker makes whole batches, so that the order does not depend on how many workers there are
            for offset in range(1 if worker is None else BATCH):
                yield phantom_tile(self.seed, index + offset)
            index += step


def phantom_tile(seed: int, index: int) -> tuple[Tensor, Tensor]:
    """Image (1, slice, row, column), scaled to 0..1, and labels (slice, row, column) of one training tile."""
    rng = np.random.default_rng([seed, index])
    inside = rng.random() < 0.8
    z = rng.uniform(-125, 125) if inside else rng.uniform(-330, 230)
    aside = 75 if rng.random() < 0.4 else 20
    scale = float(np.exp(rng.uniform(-0.12, 0.12)))  # small and large patients
    phantom = thorax(
        seed * _SEEDS_PER_RUN + index,
        spacing_mm=(SPACING_MM[0] * scale, SPACING_MM[1] * scale, SPACING_MM[2] * scale),
        shape=TILE,
        centre_mm=(float(z), float(rng.uniform(-aside, aside)), float(rng.uniform(-aside, aside))),
        variety=1.0,
    )
    low, high = CLIP_HU
    image = (np.clip(phantom.hounsfield.astype(np.float32), low, high) - low) / (high - low)
    labels = phantom.labels.astype(np.int64)
    for axis in range(3):  # tiles that are larger than the volume are filled up with 0
        if rng.random() < 0.08:
            edge = int(rng.integers(1, TILE[axis] // 3))
            cut = slice(0, edge) if rng.random() < 0.5 else slice(-edge, None)
            where = (slice(None),) * axis + (cut,)
            image[where], labels[where] = 0, 0
    return torch.from_numpy(image)[None], torch.from_numpy(labels)


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss of both lungs over the batch."""
    logits = logits.float()
    probability = torch.softmax(logits, dim=1)[:, 1:]
    truth = functional.one_hot(labels, 3).movedim(-1, 1)[:, 1:].to(probability.dtype)
    axes = (0, 2, 3, 4)
    overlap = (probability * truth).sum(axes)
    dice = (2 * overlap + 100) / (probability.sum(axes) + truth.sum(axes) + 100)
    return functional.cross_entropy(logits, labels) + (1 - dice).mean()


def say(text: str) -> None:
    """Show progress of the command."""
    print(text, flush=True)  # noqa: T201


class Training:
    """One run: network, optimiser, progress and checkpoint."""

    def __init__(self, seed: int, minutes: float, steps: int | None, checkpoint: Path) -> None:
        torch.manual_seed(seed)
        self.seed, self.minutes, self.steps, self.checkpoint = seed, minutes, steps, checkpoint
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = LungNetwork()
        self.network.to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
        self.step, self.seconds, self.calibrated = 0, 0.0, False
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds, self.calibrated = state["step"], state["seconds"], state["calibrated"]

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        return min(1.0, self.step / self.steps if self.steps else self.seconds / (60 * self.minutes))

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "seconds": self.seconds, "calibrated": self.calibrated,
        }  # fmt: skip
        temporary = self.checkpoint.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def batches(self, workers: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Training batches on the device, made by other processes in the meantime."""
        loader = DataLoader(
            PhantomTiles(self.seed, first),
            batch_size=BATCH,
            num_workers=workers,
            prefetch_factor=6 if workers else None,
        )
        for image, labels in loader:
            yield (
                image.to(self.device, non_blocking=True, memory_format=torch.channels_last_3d),
                labels.to(self.device, non_blocking=True),
            )

    def run(self, workers: int) -> None:
        """Train until the budget is spent, then settle the normalisation."""
        self.network.train()
        half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        mixed = self.device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        scaler = torch.amp.GradScaler(self.device.type, enabled=half == torch.float16)
        batches = self.batches(workers, self.step * BATCH)
        said, saved, started = 0.0, time.monotonic(), time.monotonic() - self.seconds
        running = 0.0
        while self.progress < 1:
            image, labels = next(batches)
            rate = LEARNING_RATE * min(1.0, self.step / 60 + 0.02) * 0.5 * (1 + math.cos(math.pi * self.progress))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(self.device.type, half, enabled=mixed):
                logits, coarse = self.network(image)
            small = labels[:, :, 2::4, 2::4]
            total = loss(logits, labels) + 0.3 * loss(coarse, small)
            self.optimiser.zero_grad(set_to_none=True)
            scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            scaler.step(self.optimiser)
            scaler.update()
            self.step, self.calibrated = self.step + 1, False
            self.seconds = time.monotonic() - started
            running += (float(total.detach()) - running) * max(0.02, 1 / self.step)
            if self.seconds - said > 20:
                said = self.seconds
                say(f"step {self.step}  {100 * self.progress:.0f} %  loss {running:.3f}")
            if time.monotonic() - saved > 60:
                saved = time.monotonic()
                self.save()
        if not self.calibrated:
            self._calibrate(batches)
        self.save()

    def _calibrate(self, batches: Iterator[tuple[Tensor, Tensor]], count: int = 60) -> None:
        """Replace the running statistics of small batches by their mean over many, with the final weights."""
        norms = [m for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm3d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with torch.no_grad():
            for _ in range(count):
                self.network(next(batches)[0])
        self.calibrated = True


def main() -> None:
    """Train, export and describe the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="wall-clock budget of the training")
    parser.add_argument("--steps", type=int, help="train so many steps instead (reproducible)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("models/lung-ct"))
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "dicomnode-lung-ct.pt")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--evaluate", type=Path, help="study folder with CT and RTSTRUCT to measure on for the card")
    parser.add_argument("--note", default="", help="a sentence for the card, such as how the run was resumed")
    options = parser.parse_args()
    torch.set_num_threads(min(os.cpu_count() or 1, 16))
    training = Training(options.seed, options.minutes, options.steps, options.checkpoint)
    training.run(options.workers)
    _publish(training, options.out, options.evaluate, options.note)


def _publish(training: Training, out: Path, study: Path | None, note: str) -> None:
    """Export the network, describe it, and measure it for the card."""
    out.mkdir(parents=True, exist_ok=True)
    run = Run(
        seed=training.seed,
        steps=training.step,
        minutes=training.seconds / 60,
        batch=BATCH,
        parameters=sum(p.numel() for p in training.network.parameters()),
        device="one GPU" if training.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads",
        note=note,
    )
    export_onnx(training.network, out / "model.onnx", TILE)
    write_model_toml(out, run.version, spacing_mm=SPACING_MM, clip_hu=CLIP_HU, tile=TILE)
    held_out = f"{len(HELD_OUT_SEEDS)} held-out phantoms"
    rows = {held_out: on_phantoms(out)}
    if study is not None:
        rows[f"{study.name}, outside GTV-1"] = [on_study(study, out, "Lung R", "Lung L", "GTV-1")]
    performance = table(rows)
    say(performance)
    budget = f"--steps {training.steps}" if training.steps else f"--minutes {training.minutes:g}"
    command = f"python -m dicomnode.train.lung_ct {budget} --seed {training.seed} --out models/lung-ct"
    write_card(out, run, performance, command + (" --evaluate STUDY_FOLDER" if study else ""))


if __name__ == "__main__":
    main()
