"""Training of the sarcoma network on prepared cases: patches drawn and changed at random, by seed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dicomnode.train.sts_cases import Sample
from dicomnode.train.sts_network import SarcomaNetwork
from dicomnode.train.sts_patch import patch

BATCH = 2
LEARNING_RATE = 3e-3
CALIBRATION = 60
"""Batches over which the running statistics are averaged with the final weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What decides a run: same plan, same cases and same machine, same weights."""

    name: str
    seed: int
    steps: int


def loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss of the tumour, patch by patch; `truth` is the share of tumour per voxel."""
    logits = logits.float()
    probability = torch.softmax(logits, dim=1)[:, 1]
    axes = (1, 2, 3)
    dice = (2 * (probability * truth).sum(axes) + 20) / (probability.sum(axes) + truth.sum(axes) + 20)
    entropy = functional.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], truth)
    return entropy + (1 - dice).mean()


def say(text: str) -> None:
    """Show progress of the command."""
    print(text, flush=True)  # noqa: T201


class Training:
    """One run: network, optimiser, progress and checkpoint; it goes on where a checkpoint of the same plan stopped.

    Parameters
    ----------
    folder
        Of the checkpoints.
    start
        Its weights are those to begin with; at random where it is None.
    """

    def __init__(self, plan: Plan, cases: Sequence[Sample], folder: Path, start: SarcomaNetwork | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.cases = plan, cases
        self.checkpoint = folder / f"{plan.name}-{plan.seed}-{plan.steps}.pt"
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = SarcomaNetwork()
        if start is not None:
            self.network.load_state_dict(start.state_dict())
        self.network.to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
        self.step, self.seconds, self.calibrated = 0, 0.0, False
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds, self.calibrated = state["step"], state["seconds"], state["calibrated"]

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "seconds": self.seconds, "calibrated": self.calibrated,
        }  # fmt: skip
        temporary = self.checkpoint.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """The patches of a step on the device; they depend on seed and number alone."""
        rng = np.random.default_rng([self.plan.seed, number])
        chosen = [patch(self.cases[int(rng.integers(len(self.cases)))], rng) for _ in range(BATCH)]
        image = torch.stack([image for image, _ in chosen])
        truth = torch.stack([truth for _, truth in chosen])
        return image.to(self.device, memory_format=torch.channels_last_3d), truth.to(self.device)

    def run(self) -> SarcomaNetwork:
        """Train to the end of the plan, then settle the normalisation."""
        self.network.train()
        mixed = self.device.type == "cuda"
        scaler = torch.amp.GradScaler(self.device.type, enabled=mixed)
        said, saved, started = -math.inf, time.monotonic(), time.monotonic() - self.seconds
        running, first = 0.0, self.step
        while self.step < self.plan.steps:
            image, truth = self.batch(self.step)
            progress = self.step / self.plan.steps
            rate = LEARNING_RATE * min(1.0, self.step / 30 + 0.05) * 0.5 * (1 + math.cos(math.pi * progress))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            with torch.autocast(self.device.type, torch.float16, enabled=mixed):
                logits, coarse = self.network(image)
            total = loss(logits, truth) + 0.3 * loss(coarse, functional.avg_pool3d(truth[:, None], 2)[:, 0])
            self.optimiser.zero_grad(set_to_none=True)
            scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            scaler.step(self.optimiser)
            scaler.update()
            self.step, self.calibrated = self.step + 1, False
            self.seconds = time.monotonic() - started
            running += (float(total.detach()) - running) * max(0.02, 1 / (self.step - first))
            if self.seconds - said > 15:
                said = self.seconds
                say(f"{self.plan.name}  step {self.step} of {self.plan.steps}  loss {running:.3f}")
            if time.monotonic() - saved > 60:
                saved = time.monotonic()
                self.save()
        if not self.calibrated:
            self._calibrate()
        self.save()
        return self.network

    def _calibrate(self) -> None:
        """Replace the running statistics of small batches by their mean over many, with the final weights."""
        for norm in (m for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm3d)):
            norm.reset_running_stats()
            norm.momentum = None
        with torch.no_grad():
            for number in range(CALIBRATION):
                self.network(self.batch(self.plan.steps + number)[0])
        self.calibrated = True
