"""Reads nnU-Net checkpoints without running what they hold: tensors, plain values and numpy's scalars alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from dicomnode.train.importing.faults import need, refuse
from dicomnode.train.importing.unpickled import read_pickle, tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One fold.

    Attributes
    ----------
    weights
        By the names of nnU-Net's network, each tensor once.
    mirror
        Axes of the network along which nnU-Net mirrors tiles.
    epoch
        Last epoch, or None.
    """

    weights: Mapping[str, torch.Tensor] = field(repr=False)
    configuration: str
    trainer: str
    mirror: tuple[int, ...]
    epoch: int | None


def read_checkpoint(path: Path) -> Checkpoint:
    """One checkpoint.

    Raises
    ------
    ConfigError
        If the file is truncated, of another kind, or holds anything that would have to be run.
    """
    where = f"{path.parent.name}/{path.name}"
    found = read_pickle(path)
    if not isinstance(found, dict):
        refuse(where, type(found).__name__, "needed a checkpoint that nnU-Net v2 has written")
    arguments = found.get("init_args")
    mirror = found.get("inference_allowed_mirroring_axes")
    epoch = found.get("current_epoch")
    return Checkpoint(
        weights=_plain(need(found, "network_weights", dict, where), where),
        configuration=str(arguments.get("configuration", "")) if isinstance(arguments, dict) else "",
        trainer=str(found.get("trainer_name", "")),
        mirror=tuple(int(axis) for axis in mirror) if mirror else (),
        epoch=int(epoch) if isinstance(epoch, int) else None,
    )


def _plain(weights: Mapping[Any, Any], where: str) -> dict[str, torch.Tensor]:
    """Every tensor once: nnU-Net's decoder and its blocks name what they hold a second time."""
    return {
        key: value
        for key, value in tensors(weights, f"{where}: network_weights").items()
        if not key.startswith("decoder.encoder.") and ".all_modules." not in key
    }
