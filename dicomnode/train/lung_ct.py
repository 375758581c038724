"""Training of the model lung-ct on phantoms alone: ``python -m dicomnode.train.lung_ct --minutes 45 --seed 1``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import IterableDataset

from dicomnode.train.describe import Run, write_card, write_model_toml
from dicomnode.train.evaluate_lung import HELD_OUT_SEEDS, on_phantoms, on_study, table
from dicomnode.train.lung_hilum import HilumTiles
from dicomnode.train.network import LungNetwork, continued, export_onnx
from dicomnode.train.phantoms import thorax
from dicomnode.train.training import Plan, Training, say

SPACING_MM = (3.0, 2.0, 2.0)
TILE = (16, 192, 192)
CLIP_HU = (-1000.0, 400.0)
BATCH = 2
LEARNING_RATE, FURTHER_RATE = 3e-3, 2e-4
FROZEN = ("stem.", "down.0.")
"""Layers that stay as they are when a trained network goes on."""
_SEEDS_PER_RUN = 10_000_000


class PhantomTiles(IterableDataset[tuple[Tensor, ...]]):
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

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
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


def loss(logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy, weighted if need be, plus soft Dice loss of both lungs over the batch."""
    logits = logits.float()
    probability = torch.softmax(logits, dim=1)[:, 1:]
    truth = functional.one_hot(labels, 3).movedim(-1, 1)[:, 1:].to(probability.dtype)
    axes = (0, 2, 3, 4)
    overlap = (probability * truth).sum(axes)
    dice = (2 * overlap + 100) / (probability.sum(axes) + truth.sum(axes) + 100)
    entropy = functional.cross_entropy(logits, labels, reduction="none")
    return (entropy if weight is None else entropy * weight).mean() + (1 - dice).mean()


def main() -> None:
    """Train, export and describe the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45, help="wall-clock budget of the training")
    parser.add_argument("--steps", type=int, help="train so many steps instead (reproducible)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("models/lung-ct"))
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "dicomnode-lung-ct.pt")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 16))
    parser.add_argument("--start", type=Path, help="bundle to go on from, with tiles about the hila alone")
    parser.add_argument("--version", default="1.0.0", help="for the card")
    parser.add_argument("--evaluate", type=Path, help="study folder with CT and RTSTRUCT to measure on for the card")
    parser.add_argument("--note", default="", help="a sentence for the card, such as how the run was resumed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    plan = Plan(
        tiles=lambda first: PhantomTiles(options.seed, first),
        loss=lambda logits, targets: loss(logits, *targets),
        batch=BATCH, rate=LEARNING_RATE, minutes=options.minutes, steps=options.steps, checkpoint=options.checkpoint,
    )  # fmt: skip
    network = LungNetwork()
    if options.start:
        examples = islice(HilumTiles(options.seed, 0, SPACING_MM, CLIP_HU), 8)
        network = continued(options.start / "model.onnx", 3, (image[None] for image, *_ in examples))
        for name, weights in network.named_parameters():
            weights.requires_grad_(not name.startswith(FROZEN))
        plan = replace(
            plan, tiles=lambda first: HilumTiles(options.seed, first, SPACING_MM, CLIP_HU), batch=1,
            rate=FURTHER_RATE,
        )  # fmt: skip
    training = Training(network, plan, options.seed)
    training.run(options.workers)
    _publish(training, options)


def _publish(training: Training, options: argparse.Namespace) -> None:
    """Export the network, describe it, and measure it for the card."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    run = Run(
        seed=training.seed,
        steps=training.step,
        minutes=training.seconds / 60,
        batch=training.plan.batch,
        parameters=sum(p.numel() for p in training.network.parameters()),
        device="one GPU" if training.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads",
        note=options.note,
        version=options.version,
    )
    assert isinstance(training.network, LungNetwork)
    export_onnx(training.network, out / "model.onnx", TILE)
    write_model_toml(out, run.version, spacing_mm=SPACING_MM, clip_hu=CLIP_HU, tile=TILE)
    held_out = f"{len(HELD_OUT_SEEDS)} held-out phantoms"
    rows = {held_out: on_phantoms(out)}
    if options.evaluate is not None:
        rows[f"{options.evaluate.name}, outside GTV-1"] = [on_study(options.evaluate, out, "Lung R", "Lung L", "GTV-1")]
    performance = table(rows)
    say(performance)
    budget = f"--steps {options.steps}" if options.steps else f"--minutes {options.minutes:g}"
    command = f"python -m dicomnode.train.lung_ct {budget} --seed {options.seed} --out models/lung-ct"
    write_card(out, run, performance, command + (" --evaluate STUDY_FOLDER" if options.evaluate else ""))


if __name__ == "__main__":
    main()
