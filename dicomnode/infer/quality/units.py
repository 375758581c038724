"""The units in which bundles may ask for intensities, and the rule that a series is in one of them."""

from __future__ import annotations

import re

from pydicom.sr.codedict import Collection

from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import InputSpec, ModelSpec
from dicomnode.infer.quality.outcome import Outcome
from dicomnode.infer.read.suv import UNITS

#: Units of PET images (PS3.3 C.8.9.1.1.3) for which PS3.16 has no code.
_UNCODED = frozenset({"g/ml", "ml/ml", "ml/min/ml", "{SD}"})

#: Every unit that a series may be read in: those of images that PS3.16 lists (CID 83 and 7181), but only the uptake
#: values that can be computed.
_CODED = frozenset(code.value for cid in ("CID83", "CID7181") for code in Collection(cid).concepts.values())
KNOWN = frozenset(unit for unit in _CODED | _UNCODED if "SUV" not in unit) | frozenset(UNITS.values())


def canonical(unit: str) -> str:
    """A UCUM unit as the node writes it: ml for mL, the kind of SUV behind (CID 85), 1 for an arbitrary unit."""
    unit = unit.strip().replace("mL", "ml")
    if unit in {"[arb'U]", "{ratio}"}:
        return "1"
    return re.sub(r"^(\{SUV[^{}]*\})(.+)$", r"\2\1", unit)


def known(unit: str) -> str:
    """The unit as the node writes it.

    Raises
    ------
    ValueError
        If no series is ever read in it.
    """
    found = canonical(unit)
    if found not in KNOWN:
        examples = ", ".join(["[hnsf'U]", *sorted(set(UNITS.values())), "Bq/ml", "{counts}"])
        raise ValueError(
            f"no series is read in {unit}; write {examples}, another unit of PS3.16 CID 7181, or 1 for none"
        )
    return found


def asked(input_: InputSpec, spec: ModelSpec) -> tuple[str, ...]:
    """The units of which a bundle wants one for an input; none where it does not say."""
    return tuple(
        canonical(unit)
        for limit in spec.valid
        if limit.rule == "units" and (limit.input or spec.input.name) == input_.name
        for unit in limit.limit
    )


def units(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """Intensities are in one of these UCUM units; a PET without plausible dose, weight or times has no SUV."""
    reasons = [warning for warning in source.warnings if warning.startswith("no SUV")]
    found = f"intensities in {source.unit}" + "".join(f" ({reason})" for reason in reasons)
    passed = canonical(source.unit) in map(canonical, limit)
    return Outcome(found=found, needed=" or ".join(limit), passed=passed)
