"""From a network's numbers to probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SOFTMAX = "softmax"
SIGMOID = "sigmoid"
NONE = "none"

#: The manner of blending that averages numbers before they become probabilities.
LOGITS = "logits"

#: What is interpolated on the way back, where that is not what was blended.
PROBABILITIES = "probabilities"

#: Logit of what is taken for certain: its probability differs from 1 by less than float32 resolves.
CERTAIN_LOGIT = 20.0

#: Values that are treated at a time, 512 KiB: what five passes go over then stays in the cache of a core, which takes
#: two thirds of the time (3 channels of 16 × 192 × 192).
BLOCK_VALUES = 1 << 17

#: From so many on numpy adds in pairs where an axis lies densely, and sums would depend on the size of a block.
MOST_CHANNELS = 8


def activated(logits: Floats, activation: str) -> Floats:
    """Probabilities of logits whose channels lie along axis 1; may overwrite them."""
    if activation == SOFTMAX:
        return softmax(logits)
    return sigmoid(logits) if activation == SIGMOID else logits


def softmax(logits: Floats) -> Floats:
    """Probabilities that add up to one over channels, axis 1; overwrites the logits."""
    if logits.ndim < 3 or logits.shape[1] >= MOST_CHANNELS or not logits.flags.c_contiguous:
        return _softmax(logits)
    flat = logits.reshape(*logits.shape[:2], -1)
    few = max(1, BLOCK_VALUES // max(1, flat.shape[1]))
    for start in range(0, flat.shape[2], few):
        _softmax(flat[:, :, start : start + few])
    return logits


def _softmax(logits: Floats) -> Floats:
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def sigmoid(logits: Floats) -> Floats:
    """A probability for every channel on its own; overwrites the logits."""
    # By way of tanh, which cannot overflow.
    logits *= 0.5
    np.tanh(logits, out=logits)
    logits += 1
    logits *= 0.5
    return logits
