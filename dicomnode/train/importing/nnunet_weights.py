"""Reads nnU-Net checkpoints without running what they hold: tensors, plain values and numpy's scalars alone."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicomnode.train.importing.faults import need, refuse

#: What pickles of numpy's scalars call, as a scalar says itself.
_SCALAR: Any = np.float64(0).__reduce__()[0]

#: What nnU-Net's training leaves in a checkpoint beside tensors (losses, scores, the state of its logger), under the
#: names of numpy 1 and 2. None of it does anything but hold a number.
NUMPY_SCALARS: list[Any] = [
    (_SCALAR, "numpy._core.multiarray.scalar"),
    (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float16)),
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
    type(np.dtype(np.int32)),
    type(np.dtype(np.int64)),
    type(np.dtype(np.bool_)),
]

#: How torch's reader names what it does not let in.
_UNSAFE = re.compile(r"unsupported global:? (?:GLOBAL )?([\w.]+)", re.IGNORECASE)

#: Beginnings that wrappers put before every name (torch.compile, DistributedDataParallel).
_WRAPPED = ("_orig_mod.", "module.")


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
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = " ".join(str(error).split())
        unsafe = _UNSAFE.search(said)
        holds = f"holds {unsafe[1]}, which would be run" if unsafe else "is no checkpoint of PyTorch, or is damaged"
        refuse(
            where, str(path.parent.parent), f"{holds}; an import reads tensors, plain values and numpy's scalars alone"
        )
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        refuse(where, str(path.parent.parent), f"cannot be read ({said}); the file is truncated or of another kind")
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
    found = {}
    for name, value in weights.items():
        key = str(name)
        for beginning in _WRAPPED:
            key = key.removeprefix(beginning)
        if not isinstance(value, torch.Tensor):
            refuse(f"{where}: network_weights.{key}", type(value).__name__, "needed a tensor")
        if key.startswith("decoder.encoder.") or ".all_modules." in key:
            continue
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            refuse(f"{where}: network_weights.{key}", "", "holds numbers that are not finite; its training has failed")
        found[key] = value
    return found
