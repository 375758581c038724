"""Training of a network on drawn tiles: mixed precision, progress, a checkpoint to go on from, final calibration."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

Sample = tuple[Tensor, ...]
Loss = Callable[[Tensor, Sample], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is made of.

    Attributes
    ----------
    tiles
        From the index of the first tile to an endless stream of (image, target …); the same every time.
    loss
        Of logits against the targets; called again with the coarse logits and every fourth row and column.
    minutes, steps
        Budget by wall clock, or by steps, which makes the run reproducible.
    heads
        How much faster the last layers learn: a new channel of a trained network has further to go than the rest.
    calibrate
        Tiles over which normalisations are settled at the end; 0 where the network has none.
    """

    tiles: Callable[[int], IterableDataset[Sample]]
    loss: Loss
    batch: int
    rate: float
    minutes: float
    steps: int | None
    checkpoint: Path
    heads: float = 1.0
    calibrate: int = 60


def say(text: str) -> None:
    """Show progress of the command."""
    print(text, flush=True)  # noqa: T201


class Training:
    """One run: network, optimiser, progress and checkpoint."""

    def __init__(self, network: nn.Module, plan: Plan, seed: int) -> None:
        torch.manual_seed(seed)
        self.plan, self.seed = plan, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network
        self.network.to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        named = list(self.network.named_parameters())
        groups = [
            {"params": [weights for name, weights in named if ("head." in name) == last], "faster": factor}
            for last, factor in ((False, 1.0), (True, plan.heads))
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=plan.rate, weight_decay=1e-3)
        self.step, self.seconds, self.calibrated = 0, 0.0, not plan.calibrate
        if plan.checkpoint.exists():
            state = torch.load(plan.checkpoint, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds, self.calibrated = state["step"], state["seconds"], state["calibrated"]

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, 0 to 1."""
        return min(1.0, self.step / self.plan.steps if self.plan.steps else self.seconds / (60 * self.plan.minutes))

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        self.plan.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
            "step": self.step, "seconds": self.seconds, "calibrated": self.calibrated,
        }  # fmt: skip
        temporary = self.plan.checkpoint.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(self.plan.checkpoint)

    def batches(self, workers: int, first: int) -> Iterator[Sample]:
        """Training batches on the device, made by other processes in the meantime."""
        loader = DataLoader(
            self.plan.tiles(first),
            batch_size=self.plan.batch,
            num_workers=workers,
            prefetch_factor=6 if workers else None,
        )
        for image, *targets in loader:
            moved = image.to(self.device, non_blocking=True, memory_format=torch.channels_last_3d)
            yield (moved, *(target.to(self.device, non_blocking=True) for target in targets))

    def run(self, workers: int) -> None:
        """Train until the budget is spent, then settle the normalisation."""
        self.network.train()
        # On the CPU bfloat16 saved a quarter of the time and gave numbers that are none (PyTorch 2.13, AVX-512).
        mixed = self.device.type == "cuda"
        scaler = torch.amp.GradScaler(self.device.type, enabled=mixed)
        batches = self.batches(workers, self.step * self.plan.batch)
        said, saved, started = 0.0, time.monotonic(), time.monotonic() - self.seconds
        running, first = 0.0, self.step
        while self.progress < 1:
            image, *targets = next(batches)
            rise = min(1.0, self.step / 40 + 0.02)
            for group in self.optimiser.param_groups:
                falling = 0.5 * (1 + math.cos(math.pi * self.progress))
                group["lr"] = self.plan.rate * group["faster"] * rise * falling
            with torch.autocast(self.device.type, torch.float16 if mixed else None, enabled=mixed):
                logits, coarse = self.network(image)
            small = tuple(target[:, :, 2::4, 2::4] for target in targets)
            total = self.plan.loss(logits, tuple(targets)) + 0.3 * self.plan.loss(coarse, small)
            self.optimiser.zero_grad(set_to_none=True)
            scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(self.optimiser)
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            if mixed or torch.isfinite(norm):  # the scaler looks for itself
                scaler.step(self.optimiser)
                scaler.update()
            self.step, self.calibrated = self.step + 1, not self.plan.calibrate
            self.seconds = time.monotonic() - started
            if torch.isfinite(total):
                running += (float(total.detach()) - running) * max(0.02, 1 / (self.step - first))
            if self.seconds - said > 20:
                said = self.seconds
                say(f"step {self.step}  {100 * self.progress:.0f} %  loss {running:.3f}")
            if time.monotonic() - saved > 60:
                saved = time.monotonic()
                self.save()
        if not self.calibrated:
            self._calibrate(batches)
        self.save()

    def _calibrate(self, batches: Iterator[Sample]) -> None:
        """Replace the running statistics of small batches by their mean over many, with the final weights."""
        norms = [m for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm3d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with torch.no_grad():
            for _ in range(self.plan.calibrate):
                self.network(next(batches)[0])
        self.calibrated = True
