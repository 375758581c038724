"""From probabilities to one label per voxel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dicomnode.domain.model import Step

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

#: Steps that make labels; one of them comes first.
DECISIONS = ("argmax", "threshold")

ARGMAX = Step(name="argmax")


def decision_of(steps: Sequence[Step], labels: int, background: bool) -> Step:
    """The step that makes labels: the first one if it is of that kind, else the most probable channel wins.

    Without a channel for the background, a label wins above 0.5.
    """
    first = steps[0] if steps and steps[0].name in DECISIONS else ARGMAX
    if first.name == "argmax" and not background:
        options = {"segments": (), "threshold": (0.5,) * labels, "resolve": "highest"}
        return Step(name="threshold", options=options)
    return first


def decide(probabilities: Floats, step: Step, labels: Labels) -> None:
    """Write the label of every voxel.

    Parameters
    ----------
    probabilities
        (channel, slice, row, column), channel 0 the background; is overwritten.
    labels
        (slice, row, column), all 0.
    """
    if step.name == "argmax":
        _rank(probabilities[0], enumerate(probabilities[1:], start=1), labels)
        return
    limits = step.options["threshold"]
    treated = step.options["segments"] or range(1, len(limits) + 1)
    pairs = sorted(zip(treated, limits, strict=True))
    if step.options["resolve"] == "last":
        for number, limit in pairs:
            labels[probabilities[number] > limit] = number
        return
    best = np.ones(labels.shape, dtype=np.float32)
    for number, limit in pairs:
        probabilities[number] /= np.float32(limit)
    _rank(best, ((number, probabilities[number]) for number, _ in pairs), labels)


def _rank(best: Floats, channels: Iterable[tuple[int, Floats]], labels: Labels) -> None:
    """Give every voxel the number of the channel that exceeds `best` and all others; of equals the first."""
    for number, probability in channels:
        higher = probability > best
        labels[higher] = number
        np.maximum(best, probability, out=best)
