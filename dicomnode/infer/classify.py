"""Answers a question about a series with one of several classes."""

from __future__ import annotations

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import Classification
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.activation import Floats


def classified(vector: Floats, spec: ModelSpec) -> Classification:
    """The most probable class, and the probability of each.

    Parameters
    ----------
    vector
        Probabilities by the number of the class, (channel,); a single one is that of the second of two classes.
    """
    if spec.question is None:
        raise ModelError(f"model {spec.name}: no question, needed the concept that its classes answer")
    values = vector.tolist()
    if len(values) == 1:
        values = [1 - values[0], values[0]]
    ranked = max(spec.classes, key=lambda label: values[label.number])
    return Classification(
        question=spec.question,
        answer=ranked.code,
        probabilities=tuple((label.code, values[label.number]) for label in spec.classes),
    )
