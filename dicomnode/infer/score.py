"""Numbers that a model gives about a whole series, as measurements."""

from __future__ import annotations

from dicomnode.domain.finding import Measurement
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.network.activation import Floats


def scored(vector: Floats, spec: ModelSpec) -> tuple[Measurement, ...]:
    """The scores, coded; they concern the whole series (segment 0).

    Parameters
    ----------
    vector
        Values by the number of the score, (channel,).
    """
    return tuple(
        Measurement(segment_number=0, name=score.name, value=float(vector[score.number]), unit=score.unit)
        for score in spec.scores
    )
