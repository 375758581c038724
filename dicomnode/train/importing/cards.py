"""The card of an imported model: what its source tells, and what nobody can know from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dicomnode.train.importing.compare import Difference

#: What stands under a heading that the source leaves empty (CLAIM, Radiology: AI 2024).
_MISSING = {
    "Intended use": "purpose, patients, users.",
    "Data": "sources, scanners, dates, inclusion and exclusion, demographics, reference standard and who drew it, how "
    "data were divided.",
    "Training": "epochs, hardware, seed, augmentation.",
    "Performance": "no figure of its accuracy was imported; measure it on cases with a reference.",
    "Limits": "where it fails; for which scanners, protocols and patients it was validated. `[valid]` and "
    "`[plausible]`\nin model.toml say what keeps it from images unlike those it was trained on, if anything does.",
    "Licence": "whoever trained it has to say.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an import has found out.

    Attributes
    ----------
    source
        What it was imported from, and the verb that did it.
    told
        What the source says, by heading of the card.
    remarks
        What the bundle does otherwise than its source.
    difference
        Between the source's runtime and onnxruntime, and the name of the former.
    """

    name: str
    source: str
    verb: str
    labels: Sequence[str]
    told: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    difference: Difference
    runtime: str


def card(made: Told) -> str:
    """CARD.md with the headings of the CLAIM checklist that apply to a model."""
    runtimes = f"{made.runtime} on the same tile of noise: {made.difference}."
    sections = {
        "Intended use": _section(made, "Intended use")
        + "\n**Not a medical device; not for clinical use** until somebody has accepted it on local cases.",
        "Labels": ", ".join(made.labels),
        "Data": _section(made, "Data"),
        "Model": "\n".join([made.told.get("Model", ""), *(f"- {remark}" for remark in made.remarks)]).strip()
        or "model.toml states preparation, tiles and steps after the network.",
        "Training": _section(made, "Training"),
        "Performance": f"{_section(made, 'Performance')}\n{runtimes}",
        "Limits": _section(made, "Limits"),
        "Licence": _section(made, "Licence"),
    }
    body = "\n\n".join(f"## {heading}\n{text}" for heading, text in sections.items())
    return (
        f"# {made.name} 1.0.0: imported from {made.source}\n\n"
        f"Imported by `dicomnode models import {made.verb}`. What stands as MISSING here is not in the source;\n"
        f"whoever wants to rely on the model has to fill it in.\n\n{body}\n"
    )


def _section(made: Told, heading: str) -> str:
    known = made.told.get(heading, "").strip()
    # Nobody can tell whether what a source says of its data or its limits is all.
    return (
        known if known and heading == "Licence" else "\n".join(filter(None, [known, f"MISSING: {_MISSING[heading]}"]))
    )
