"""Rules about values: their range, whether a CT has Hounsfield units, and the measures of pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dicomnode.domain.finding import Check, SourceSeries
from dicomnode.domain.model import InputSpec, ModelSpec, Severity
from dicomnode.infer.quality.believable import intensity_range
from dicomnode.infer.quality.hounsfield import HOUNSFIELD
from dicomnode.infer.quality.outcome import Outcome, Rule, number, within
from dicomnode.infer.quality.pixels import MEASURES
from dicomnode.infer.quality.tags import items, texts, values
from dicomnode.infer.quality.units import asked, units

#: Steps before the network after which values still lie in the range that the series has.
KEEPS_VALUES = frozenset(
    {
        "align", "body_mask", "crop_or_pad", "crop_to_mask", "fill", "gaussian",
        "lungs", "median", "reorient", "resample", "resize", "set_outside",
    }
)  # fmt: skip

#: Rescale Type of Hounsfield units, as measured and as derived from several energies (PS3.3 C.11.1.1.2).
HOUNSFIELD_TYPES = frozenset({"HU", "HU_MOD"})


def always(source: SourceSeries, input_: InputSpec, spec: ModelSpec) -> Iterator[Check]:
    """The checks that every series has to pass, whatever its bundle states.

    Whether it shows anything at all (`constant_image`), anything in the range that the model looks at
    (`intensities`), and values that its unit can have (`intensity_range`); for CT whether its values are Hounsfield
    units (`rescale`, `rescale_type`), unless the bundle asks for others.
    """
    array = source.volume.array
    # Float Pixel Data may hold NaN where there is nothing, which says nothing about the rest.
    low, high = float(np.fmin.reduce(array, axis=None)), float(np.fmax.reduce(array, axis=None))
    found = f"intensities from {number(low)} to {number(high)}"
    yield _check("constant_image", found, "contrast", low < high)
    seen = seen_range(input_, spec)
    if seen is not None:
        needed = f"contrast between {seen[0]:g} and {seen[1]:g}"
        yield _check("intensities", found, needed, low < seen[1] and high > seen[0])
    yield from intensity_range(source)
    wanted = asked(input_, spec)
    if texts(source, "Modality") == ("CT",) and (not wanted or HOUNSFIELD in wanted):
        yield from _hounsfield(source, wanted)


def _hounsfield(source: SourceSeries, wanted: tuple[str, ...]) -> Iterator[Check]:
    """Rescale Slope, Intercept and Type are required in CT images (PS3.3 C.8.2.1); Type is often missing, then HU.

    A Modality LUT stands for all three (PS3.3 C.11.1).
    """
    total = len(source.planes)
    rescaled = min(len(values(source, keyword)) for keyword in ("RescaleSlope", "RescaleIntercept"))
    stated = rescaled + len(values(source, "ModalityLUTSequence"))
    found = f"in {stated} of {total} images" if stated else "no Rescale Slope and Intercept"
    needed = "Rescale Slope and Intercept in all, to have Hounsfield units"
    yield _check("rescale", found, needed, stated >= total)
    types = [str(item.get("ModalityLUTType") or "") for item in items(source, "ModalityLUTSequence")]
    kinds = dict.fromkeys(kind for kind in (*texts(source, "RescaleType"), *types) if kind)
    other = [kind for kind in kinds if kind.upper() not in HOUNSFIELD_TYPES]
    found = f"Rescale Type is {' and '.join(other) or 'HU or not stated'}"
    yield _check("rescale_type", found, "HU, else values are not Hounsfield units", not other or source.unit in wanted)


def seen_range(input_: InputSpec, spec: ModelSpec) -> tuple[float, float] | None:
    """The range of values of the series outside which the network sees no differences; None where it sees all."""
    slope, intercept = 1.0, 0.0
    for step in spec.prepare:
        if step.name in KEEPS_VALUES or (step.inputs and input_.name not in step.inputs):
            continue
        if step.name == "scale":
            (low, high), (start, end) = step.options["range"], step.options.get("to", (0.0, 1.0))
            gain = (end - start) / (high - low)
            slope, intercept = slope * gain, (intercept - low) * gain + start
            continue
        if step.name == "clip":
            ends = step.options["range"]
        elif step.name == "window":
            centre, width = float(step.options["centre"]), float(step.options["width"])
            ends = (centre - width / 2, centre + width / 2)
        else:
            return None
        first, last = sorted((float(value) - intercept) / slope for value in ends)
        return first, last
    return None


def _check(rule: str, found: str, needed: str, passed: bool, severity: Severity = Severity.BLOCK) -> Check:
    return Check(rule=rule, found=found, limit=needed, passed=passed, severity=severity)


def _measured(name: str, measure: Callable[[SourceSeries], float]) -> Rule:
    """The rule that a measure of pixels lies in a range; it does not tell where there is nothing to measure."""
    unit = {"ml": "ml", "hu": "HU", "levels": "grey levels"}.get(name.rpartition("_")[2], "")

    def rule(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
        value = measure(source)
        if math.isnan(value):
            return Outcome(found="not measurable", needed=within([], limit, unit).needed, passed=None)
        return within([value], limit, unit)

    return rule


RULES: Mapping[str, Rule] = {
    "units": units,
    **{name: _measured(name, measure) for name, measure in MEASURES.items()},
}
