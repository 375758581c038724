"""Reads a PyTorch checkpoint without running what it holds."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.nnunet_weights import NUMPY_SCALARS

#: How torch's reader names what it does not let in.
_UNSAFE = re.compile(r"unsupported global:? (?:GLOBAL )?([\w.]+)", re.IGNORECASE)

#: Where programs for training put the weights inside of a checkpoint.
_PLACES = ("state_dict", "model", "network", "net", "model_state_dict")

#: Beginnings that wrappers put before every name (torch.compile, DistributedDataParallel).
_WRAPPED = ("_orig_mod.", "module.")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a network by name.

    Raises
    ------
    ConfigError
        If the file is truncated, of another kind, holds anything that would have to be run, or numbers that are not
        finite.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsafe = _UNSAFE.search(" ".join(str(error).split()))
        holds = f"holds {unsafe[1]}, which would be run" if unsafe else "is no checkpoint of PyTorch, or is damaged"
        refuse(where, str(path), f"{holds}; an import reads tensors, plain values and numpy's scalars alone")
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        refuse(where, str(path), f"cannot be read ({said}); the file is truncated or of another kind")
    return _tensors(found, where)


def _tensors(found: Any, where: str) -> dict[str, torch.Tensor]:
    for place in _PLACES:
        if isinstance(found, Mapping) and isinstance(found.get(place), Mapping):
            found = found[place]
    if not isinstance(found, Mapping) or not found:
        refuse(where, type(found).__name__, "needed the tensors of a network by name")
    weights = {}
    for name, value in found.items():
        key = str(name)
        for beginning in _WRAPPED:
            key = key.removeprefix(beginning)
        if not isinstance(value, torch.Tensor):
            refuse(f"{where}: {key}", type(value).__name__, "needed a tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            refuse(f"{where}: {key}", "", "holds numbers that are not finite; its training has failed")
        weights[key] = value
    return weights
