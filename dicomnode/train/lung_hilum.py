"""Tiles about the hila, where the network of lung-ct has to learn that main bronchi are no lung."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from dicomnode.train.phantoms import Patient, patient
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Grid

SHAPE = (8, 128, 160)
"""Voxels along (slice, row, column)."""
REUSED = 4
"""So often each patient is scanned anew."""
LEVELS_MM = (-40.0, 65.0)
"""From below the hila to above the carina, about the middle of the lungs."""
AIRWAY_WEIGHT = 8.0
_SEEDS_PER_RUN = 10_000_000
_WEIGHED = 4


def patient_of(
    seed: int, index: int, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int] = SHAPE
) -> Patient:
    """The middle of a chest, as healthy as in the demonstration or with everything that there is."""
    rng = np.random.default_rng([seed, index, 5])
    scale = float(np.exp(rng.uniform(-0.12, 0.12)))
    grid = Grid(
        shape=shape,
        spacing_mm=(spacing_mm[0] * scale, spacing_mm[1] * scale, spacing_mm[2] * scale),
        centre_mm=(float(rng.uniform(*LEVELS_MM)), float(rng.uniform(-15, 15)), float(rng.uniform(-15, 15))),
    )
    # The last seeds of the run, which its first training never comes to.
    return patient((seed + 1) * _SEEDS_PER_RUN - 1 - index, grid, 0.3 if rng.random() < 0.5 else 1.0)


def tile_of(drawn: Patient, seed: int, clip_hu: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """Image (1, slice, row, column) in 0..1, labels and weights (slice, row, column) of one scan."""
    airway = (drawn.chest.airway <= 0) & (drawn.labels == 0)
    both = drawn.labels + np.uint8(_WEIGHED) * airway.astype(np.uint8)
    hounsfield = scan(seed, drawn.grid, drawn.image.copy(), both, 1.0 if seed % 2 else 0.3)
    low, high = clip_hu
    image = (np.clip(hounsfield.astype(np.float32), low, high) - low) / (high - low)
    weight = np.where(both >= _WEIGHED, np.float32(AIRWAY_WEIGHT), np.float32(1.0))
    labels = (both % _WEIGHED).astype(np.int64)
    return torch.from_numpy(image)[None], torch.from_numpy(labels), torch.from_numpy(weight)


class HilumTiles(IterableDataset[tuple[Tensor, ...]]):
    """An endless, reproducible stream of tiles; each patient is scanned `REUSED` times in a row."""

    def __init__(
        self, seed: int, first: int, spacing_mm: tuple[float, float, float], clip_hu: tuple[float, float]
    ) -> None:
        self.seed, self.first, self.spacing_mm, self.clip_hu = seed, first, spacing_mm, clip_hu

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = torch.utils.data.get_worker_info()
        share, mine = (1, 0) if worker is None else (worker.num_workers, worker.id)
        number, drawn = -1, None
        index = self.first
        while True:
            if index // REUSED % share == mine:
                if drawn is None or number != index // REUSED:
                    number = index // REUSED
                    drawn = patient_of(self.seed, number, self.spacing_mm)
                yield tile_of(drawn, self.seed * _SEEDS_PER_RUN + index, self.clip_hu)
            index += 1
