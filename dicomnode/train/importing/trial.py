"""Runs a network in PyTorch: once before it is written as ONNX, then beside onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dicomnode.domain.errors import ModelError

Floats = npt.NDArray[np.float32]

#: What networks raise where a tile does not suit them.
_UNSUITED = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AssertionError, NotImplementedError)


def answering(network: nn.Module, *, flat: bool) -> Callable[[Floats], Floats]:
    """The network in its own runtime, (batch, channel, slice, row, column) to the same axes.

    Raises
    ------
    ModelError
        When it is called, if the network does not take the tile or does not answer with one array.
    """

    def answer(tiles: Floats) -> Floats:
        try:
            with torch.inference_mode():
                answers = network(torch.from_numpy(tiles[:, :, 0] if flat else tiles))
        except _UNSUITED as error:
            said = " ".join(str(error).split())[:200]
            sides = " × ".join(map(str, tiles.shape[2:]))
            raise ModelError(f"the network does not take tiles of {sides} voxels ({said}), needed others") from error
        # Some networks answer with a list of one.
        only: Any = answers[0] if isinstance(answers, list | tuple) and len(answers) == 1 else answers
        if not isinstance(only, torch.Tensor):
            raise ModelError(f"the network answers with {type(only).__name__}, needed one array of channels")
        found: Floats = only.numpy()
        return found[:, :, None] if flat and found.ndim == 4 else found

    return answer


def tried(network: nn.Module, channels: int, tile: Sequence[int]) -> None:
    """Run the network on a tile of zeros, (slice, row, column); one slice is for two dimensions.

    Raises
    ------
    ModelError
        As `answering`.
    """
    answering(network, flat=tile[0] == 1)(np.zeros((1, channels, *tile), dtype=np.float32))
