"""Training tiles with lesions: a slab of a patient, drawn once, gets other lesions and another scan each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from dicomnode.train.draw import Draw
from dicomnode.train.lesions import Site, add_lesions
from dicomnode.train.phantoms import patient
from dicomnode.train.scanner import scan
from dicomnode.train.shapes import Field, Grid

SPACING_MM = (3.0, 2.0, 2.0)
SLAB = (26, 144, 192)
TILE = (16, 96, 96)
"""Voxels along (slice, row, column)."""
CLIP_HU = (-1000.0, 400.0)
LESION = 3
"""The label of lesions; 1 and 2 are right and left lung, 0 is what remains."""
SLABS, REUSED = 8, 12
"""So many slabs at a time take turns, and each serves so often."""
_SEEDS_PER_RUN = 10_000_000
_SHIFT = 4
_USUAL_ML = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """Part of a patient before lesions and scanner."""

    seed: int
    grid: Grid
    image: Field
    labels: npt.NDArray[np.uint8]
    site: Site
    edge_mm: float


def slab_of(seed: int, index: int) -> Slab:
    """The slab of one number; most show lung, some what lies above or below it."""
    rng = np.random.default_rng([seed, index, 1])
    z = rng.uniform(-115, 115) if rng.random() < 0.88 else rng.uniform(-330, 230)
    scale = float(np.exp(rng.uniform(-0.12, 0.12)))  # small and large patients
    grid = Grid(
        shape=SLAB,
        spacing_mm=(SPACING_MM[0] * scale, SPACING_MM[1] * scale, SPACING_MM[2] * scale),
        centre_mm=(float(z), float(rng.uniform(-25, 25)), float(rng.uniform(-25, 25))),
    )
    variety = float(rng.uniform(0.3, 1.0))  # lungs that are ill all over hide lesions, so not all are
    drawn = patient(seed * _SEEDS_PER_RUN + index, grid, variety, masses=False)
    return Slab(
        seed=seed * _SEEDS_PER_RUN + index, grid=grid, image=drawn.image, labels=drawn.labels,
        site=Site.of(drawn.chest), edge_mm=drawn.edge_mm,
    )  # fmt: skip


def tile_of(slab: Slab, turn: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image (1, slice, row, column) in 0..1, labels and weights (slice, row, column) of one tile.

    The voxels of small lesions weigh more, else large ones alone would be learnt.
    """
    rng = np.random.default_rng([slab.seed, turn, 2])
    lung = np.flatnonzero(slab.labels)
    if len(lung) and rng.random() < 0.8:  # about a place in the lung
        middle = np.unravel_index(lung[int(rng.integers(len(lung)))], SLAB)
    else:
        middle = tuple(rng.integers(0, whole) for whole in SLAB)
    starts = [int(np.clip(at - part // 2, 0, whole - part)) for at, part, whole in zip(middle, TILE, SLAB, strict=True)]
    box = tuple(slice(start, start + part) for start, part in zip(starts, TILE, strict=True))
    z, y, x = (float(slab.grid.axis_mm(axis)[box[axis]].mean()) for axis in range(3))
    grid = Grid(shape=TILE, spacing_mm=slab.grid.spacing_mm, centre_mm=(z, y, x))
    image, labels = slab.image[box].copy(), slab.labels[box].copy()
    count = 0 if rng.random() < 0.1 else int(rng.integers(1, 5))
    seed = slab.seed * 1000 + turn
    site = slab.site.cut((box[0], box[1], box[2]))
    mask, lesions = add_lesions(Draw(seed, "lesions"), grid, site, image, labels, slab.edge_mm, count)
    both = labels + np.uint8(_SHIFT) * mask
    hounsfield = scan(seed, grid, image, both, 1.0)
    low, high = CLIP_HU
    scaled = (np.clip(hounsfield.astype(np.float32), low, high) - low) / (high - low)
    labels, mask = both % _SHIFT, both // _SHIFT
    target = np.where(mask > 0, LESION, labels).astype(np.int64)
    weight_of = np.ones(count + 1, dtype=np.float32)
    for lesion in lesions:
        weight_of[lesion.number] = np.clip(2 * np.sqrt(_USUAL_ML / lesion.volume_ml), 1.5, 6.0)
    weight = weight_of[mask]
    for axis in range(3):  # tiles that are larger than the volume are filled up with 0
        if rng.random() < 0.08:
            edge = int(rng.integers(1, TILE[axis] // 3))
            cut = slice(0, edge) if rng.random() < 0.5 else slice(-edge, None)
            where = (slice(None),) * axis + (cut,)
            scaled[where], target[where], weight[where] = 0, 0, 1
    return torch.from_numpy(scaled)[None], torch.from_numpy(target), torch.from_numpy(weight)


class LesionTiles(IterableDataset[tuple[Tensor, ...]]):
    """An endless, reproducible stream of tiles.

    Tile i of a block of `SLABS` × `REUSED` shows slab i modulo `SLABS` of that block.

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
        share, mine = (1, 0) if worker is None else (worker.num_workers, worker.id)
        if SLABS % share:
            raise ValueError(f"{share} workers, needed a divisor of {SLABS}, so that each keeps slabs of its own")
        kept: dict[int, Slab] = {}
        for index in self._indices(share, mine):
            number = index // (SLABS * REUSED) * SLABS + index % SLABS
            if number not in kept:
                kept = {one: slab for one, slab in kept.items() if one // SLABS == number // SLABS}
                kept[number] = slab_of(self.seed, number)
            yield tile_of(kept[number], index // SLABS % REUSED)

    def _indices(self, share: int, mine: int) -> Iterator[int]:
        index = self.first
        while True:
            if index % share == mine:
                yield index
            index += 1
