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


def activated(logits: Floats, activation: str) -> Floats:
    """Probabilities of logits whose channels lie along axis 1; may overwrite them."""
    if activation == SOFTMAX:
        return softmax(logits)
    return sigmoid(logits) if activation == SIGMOID else logits


def softmax(logits: Floats) -> Floats:
    """Probabilities that add up to one over channels, axis 1; overwrites the logits."""
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
