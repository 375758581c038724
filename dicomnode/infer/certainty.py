"""How certain a model is of every lesion that it has drawn."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement, ProbabilityMap
from dicomnode.domain.model import ModelSpec, Step
from dicomnode.infer.post.pieces import Labels
from dicomnode.infer.post.tidy import boxes_of

#: "The certainty that a device places on a finding", 0 to 100 (PS3.16 TID 4006, CID 6048).
CERTAINTY = Code(value="111012", scheme="DCM", meaning="Certainty of Finding")
PERCENT = Code(value="%", scheme="UCUM", meaning="percent")


def rated(spec: ModelSpec) -> tuple[Step, ...]:
    """The steps that tell lesions apart and ask how certain each is."""
    return tuple(step for step in spec.post if step.name == "lesions" and step.options.get("certainty"))


def certainties(labels: Labels, maps: Sequence[ProbabilityMap], spec: ModelSpec) -> tuple[Measurement, ...]:
    """The mean probability over the voxels of each lesion, in percent.

    Parameters
    ----------
    labels
        (slice, row, column), after all steps.
    maps
        The probability of every channel on the same grid.
    """
    by_channel = {one.segment.number: one for one in maps}
    boxes = boxes_of(labels)
    found = []
    for step in rated(spec):
        (channel,) = step.options["segments"]
        kept = by_channel[channel]
        for number in (channel, *step.options["into"]):
            if number in boxes:
                inside = labels[boxes[number]] == number
                share = float(kept.volume.array[boxes[number]][inside].mean(dtype=float)) * kept.slope
                # As many digits as the steps in which a map is kept are worth.
                value = round(100 * share, 2)
                found.append(Measurement(segment_number=number, name=CERTAINTY, value=value, unit=PERCENT))
    return tuple(found)
