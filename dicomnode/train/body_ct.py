"""Training of body-ct on phantoms alone: ``python -m dicomnode.train.body_ct --minutes 10 --seed 1``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset

from dicomnode.train.describe import Run
from dicomnode.train.describe_body import write_card, write_model_toml
from dicomnode.train.evaluate_body import HELD_OUT_SEEDS, on_phantoms, on_study, table
from dicomnode.train.network import LungNetwork, export_onnx
from dicomnode.train.phantoms import Patient, patient
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Grid
from dicomnode.train.training import Plan, Sample, Training, say

SPACING_MM = (6.0, 4.0, 4.0)
SLAB, TILE = (12, 144, 144), (8, 128, 128)
"""Voxels along (slice, row, column)."""
WIDTHS = (8, 12, 16, 24, 32, 32)
CLIP_HU = (-1000.0, 400.0)
BATCH = 2
LEARNING_RATE = 2e-3
REUSED = 6
"""So often each patient is scanned anew."""
_SEEDS_PER_RUN = 10_000_000


def patient_of(seed: int, index: int) -> Patient:
    """Part of a patient from the neck to the pelvis."""
    rng = np.random.default_rng([seed, index, 3])
    grid = Grid(
        shape=SLAB,
        spacing_mm=SPACING_MM,
        centre_mm=(float(rng.uniform(-330, 260)), float(rng.uniform(-60, 60)), float(rng.uniform(-60, 60))),
    )
    return patient(seed * _SEEDS_PER_RUN + index, grid, 1.0)


def tile_of(drawn: Patient, seed: int) -> tuple[Tensor, Tensor]:
    """Image (1, slice, row, column) in 0..1 and body (slice, row, column) of one scan of part of a patient."""
    rng = np.random.default_rng([seed, 4])
    starts = [int(rng.integers(0, whole - part + 1)) for whole, part in zip(SLAB, TILE, strict=True)]
    box = tuple(slice(start, start + part) for start, part in zip(starts, TILE, strict=True))
    middle = [float(drawn.grid.axis_mm(axis)[box[axis]].mean()) for axis in range(3)]
    grid = Grid(shape=TILE, spacing_mm=SPACING_MM, centre_mm=(middle[0], middle[1], middle[2]))
    target = drawn.body[box].astype(np.uint8)
    hounsfield = scan(seed, grid, drawn.image[box].copy(), target, 1.0)
    low, high = CLIP_HU
    scaled = (np.clip(hounsfield.astype(np.float32), low, high) - low) / (high - low)
    return torch.from_numpy(scaled)[None], torch.from_numpy(target.astype(np.int64))


class BodyTiles(IterableDataset[tuple[Tensor, ...]]):
    """An endless, reproducible stream of tiles; two patients take turns, each `REUSED` times."""

    def __init__(self, seed: int, first: int = 0) -> None:
        self.seed, self.first = seed, first

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        share, mine = (1, 0) if worker is None else (worker.num_workers, worker.id)
        kept: dict[int, Patient] = {}
        index = self.first
        while True:
            number = index // (BATCH * REUSED) * BATCH + index % BATCH
            if number // BATCH % share == mine:
                if number not in kept:
                    kept = {one: drawn for one, drawn in kept.items() if one // BATCH == number // BATCH}
                    kept[number] = patient_of(self.seed, number)
                yield tile_of(kept[number], self.seed * _SEEDS_PER_RUN + index)
            index += 1


def loss(logits: Tensor, targets: Sample) -> Tensor:
    """Cross-entropy plus soft Dice loss of the body."""
    (labels,) = targets
    logits = logits.float()
    probability = torch.softmax(logits, dim=1)[:, 1]
    truth = labels.to(probability.dtype)
    dice = (2 * (probability * truth).sum() + 100) / (probability.sum() + truth.sum() + 100)
    return functional.cross_entropy(logits, labels) + 1 - dice


def main() -> None:
    """Train, export and describe the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="wall-clock budget of the training")
    parser.add_argument("--steps", type=int, help="train so many steps instead (reproducible)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("models/body-ct"))
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "dicomnode-body-ct.pt")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 16))
    parser.add_argument("--evaluate", type=Path, nargs="*", default=[], help="study folders to measure on for the card")
    parser.add_argument("--note", default="", help="a sentence for the card, such as how the run was resumed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = Plan(
        tiles=lambda first: BodyTiles(options.seed, first), loss=loss, batch=BATCH, rate=LEARNING_RATE,
        minutes=options.minutes, steps=options.steps, checkpoint=options.checkpoint,
    )  # fmt: skip
    training = Training(LungNetwork(2, WIDTHS), plan, options.seed)
    training.run(options.workers)
    budget = f"--steps {options.steps}" if options.steps else f"--minutes {options.minutes:g}"
    command = f"python -m dicomnode.train.body_ct {budget} --seed {options.seed}"
    if options.evaluate:
        command += " --evaluate STUDY_FOLDER …"
    _publish(training, options.out, options.evaluate, command, options.note)


def _publish(training: Training, out: Path, studies: Sequence[Path], command: str, note: str) -> None:
    """Export the network, describe it, and measure it for the card."""
    out.mkdir(parents=True, exist_ok=True)
    device = "one GPU" if training.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    run = Run(
        seed=training.seed, steps=training.step, minutes=training.seconds / 60, batch=BATCH,
        parameters=sum(p.numel() for p in training.network.parameters()), device=device, note=note,
    )  # fmt: skip
    assert isinstance(training.network, LungNetwork)
    export_onnx(training.network, out / "model.onnx", TILE)
    write_model_toml(out, run.version, spacing_mm=SPACING_MM, clip_hu=CLIP_HU, tile=TILE)
    performance = table(
        {f"{len(HELD_OUT_SEEDS)} held-out phantoms": on_phantoms(out)}
        | {study.name: [on_study(study, out)] for study in studies}
    )
    say(performance)
    write_card(out, run, performance, command)


if __name__ == "__main__":
    main()
