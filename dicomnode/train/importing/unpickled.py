"""Reads a PyTorch checkpoint without running what it holds."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicomnode.train.importing.faults import refuse

#: What pickles of numpy's scalars call, as a scalar says itself.
_SCALAR: Any = np.float64(0).__reduce__()[0]

#: What training leaves in a checkpoint beside tensors (losses, scores, the state of its logger), under the
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

#: Where programs for training put the weights inside of a checkpoint.
_PLACES = ("state_dict", "model", "network", "net", "model_state_dict")

#: Beginnings that wrappers put before every name (torch.compile, DistributedDataParallel).
_WRAPPED = ("_orig_mod.", "module.")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a network by name, wherever in a checkpoint they are.

    Raises
    ------
    ConfigError
        As `read_pickle` and `tensors` do.
    """
    found = read_pickle(path)
    for place in _PLACES:
        if isinstance(found, Mapping) and isinstance(found.get(place), Mapping):
            found = found[place]
    where = f"{path.parent.name}/{path.name}"
    if not isinstance(found, Mapping) or not found:
        refuse(where, type(found).__name__, "needed the tensors of a network by name")
    return tensors(found, where)


def read_pickle(path: Path) -> Any:
    """What a checkpoint holds.

    Raises
    ------
    ConfigError
        If the file is truncated, of another kind, or holds anything that would have to be run.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        with torch.serialization.safe_globals(NUMPY_SCALARS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        unsafe = _UNSAFE.search(" ".join(str(error).split()))
        holds = f"holds {unsafe[1]}, which would be run" if unsafe else "is no checkpoint of PyTorch, or is damaged"
        refuse(where, str(path), f"{holds}; an import reads tensors, plain values and numpy's scalars alone")
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        refuse(where, str(path), f"cannot be read ({said}); the file is truncated or of another kind")


def tensors(held: Mapping[Any, Any], where: str) -> dict[str, torch.Tensor]:
    """Tensors by the names of their network, without those of wrappers.

    Raises
    ------
    ConfigError
        If one is no tensor, or holds numbers that are not finite.
    """
    weights = {}
    for name, value in held.items():
        key = str(name)
        for beginning in _WRAPPED:
            key = key.removeprefix(beginning)
        if not isinstance(value, torch.Tensor):
            refuse(f"{where}.{key}", type(value).__name__, "needed a tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            refuse(f"{where}.{key}", "", "holds numbers that are not finite; its training has failed")
        weights[key] = value
    return weights
