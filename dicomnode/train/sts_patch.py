"""Training patches of the sarcoma model: a case cut, turned, scaled, mirrored and disturbed at random."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dicomnode.train.sts_cases import Sample

PATCH = 32
"""Voxels along every side of a training patch."""
CUT_VOXELS = 12
"""Up to so much is cut off every side: the images end 5 cm from the tumour, and the network shall not learn that."""
LOG_RANGE = math.log(31.0)
"""The first channel is log(1 + SUV) / log(31), as the bundle prepares it."""


def patch(case: Sample, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Image (2, slice, row, column) and share of tumour (slice, row, column) of one patch, sides of `PATCH`."""
    image, truth = _cut(case, rng)
    both = torch.from_numpy(np.concatenate([image, truth[None]]))[None]
    grid = functional.affine_grid(_place(truth, rng)[None], [1, 3, PATCH, PATCH, PATCH], align_corners=False)
    taken = functional.grid_sample(both, grid, align_corners=False)[0]
    return _disturbed(taken[:2], case.has_ct, rng), taken[2]


def _cut(case: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """The case without random slabs at its six sides."""
    sides = []
    for length in case.truth.shape:
        low, high = rng.integers(0, CUT_VOXELS + 1, size=2)
        sides.append(slice(int(low), int(length - high)) if length - low - high >= 8 else slice(None))
    box = tuple(sides)
    return np.ascontiguousarray(case.image[(slice(None), *box)]), np.ascontiguousarray(case.truth[box])


def _place(truth: np.ndarray, rng: np.random.Generator) -> Tensor:  # type: ignore[type-arg]
    """From places of the patch to places of the volume, both in -1 … 1 along (column, row, slice), (3, 4)."""
    shape = np.array(truth.shape)
    inside = np.argwhere(truth >= 0.5)
    if len(inside) and rng.random() < 0.6:
        centre = inside[rng.integers(len(inside))] + rng.uniform(-PATCH / 4, PATCH / 4, size=3)
    else:
        centre = rng.uniform(0, shape)
    about_slices, about_rows, about_columns = rng.normal(0, (0.25, 0.1, 0.1))
    turn = _rotation(0, about_slices) @ _rotation(1, about_rows) @ _rotation(2, about_columns)
    zoom = np.exp(rng.uniform(-0.2, 0.2)) * np.exp(rng.uniform(-0.08, 0.08, size=3))
    mirrored = rng.choice([-1.0, 1.0], size=3)
    matrix = (turn * (zoom * mirrored)) * PATCH / shape[:, None]
    shift = 2 * (centre + 0.5) / shape - 1
    theta = np.concatenate([matrix[::-1, ::-1], shift[::-1, None]], axis=1)
    return torch.from_numpy(theta.astype(np.float32))


def _rotation(axis: int, radians: float) -> np.ndarray:  # type: ignore[type-arg]
    """A turn about one of (slice, row, column)."""
    matrix = np.eye(3)
    first, second = (number for number in range(3) if number != axis)
    matrix[[first, second], [first, second]] = math.cos(radians)
    matrix[first, second], matrix[second, first] = -math.sin(radians), math.sin(radians)
    return matrix


def _disturbed(image: Tensor, has_ct: bool, rng: np.random.Generator) -> Tensor:
    """Other uptake, blur, noise and attenuation; now and then no CT, as in the cases that have none."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pet, ct = image[:1], image[1:]
    if rng.random() < 0.25:
        pet = functional.avg_pool3d(pet[None], 3, 1, 1)[0]
    uptake = torch.expm1(pet * LOG_RANGE) * math.exp(rng.normal(0, 0.25))
    uptake = uptake * (1 + rng.uniform(0, 0.12) * torch.randn(pet.shape, generator=generator))
    pet = torch.log1p(uptake.clamp(0, 30)) / LOG_RANGE
    if not has_ct or rng.random() < 0.15:
        return torch.cat([pet, torch.zeros_like(ct)])
    noise = rng.uniform(0, 0.04) * torch.randn(ct.shape, generator=generator)
    ct = torch.where(ct > 0, ct * math.exp(rng.normal(0, 0.08)) + rng.normal(0, 0.03) + noise, ct)
    return torch.cat([pet, ct.clamp(0, 1)])
