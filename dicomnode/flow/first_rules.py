"""Rules for a first configuration, one for each model that comes with the program."""

from __future__ import annotations

from dicomnode.domain.model import ModelSpec

_HEAD = """\
[[rule]]                   # which series a model runs on, and where the results go
name = "{name}"
model = "{model}"
outputs = {outputs}
destinations = ["sender"]  # the peer that sent the study; or names of peers
"""

#: By model: name of the rule, outputs, and conditions.
_SHIPPED = {
    "lung-ct": (
        "chest-ct",
        '["seg", "sr"]    # DICOM Segmentation and Structured Report',
        """\
[rule.series]              # DICOM keywords; every line has to hold
Modality = "CT"
ImageType = { contains = "ORIGINAL" }
BodyPartExamined = { any_of = ["CHEST", "LUNG", "THORAX"], or_missing = true }
SliceThickness = { at_most = 5.0, or_missing = true }
""",
    ),
    "body-ct": (
        "body-ct",
        '["seg"]',
        """\
[rule.series]
Modality = "CT"
ImageType = { contains = "ORIGINAL" }
""",
    ),
    "measure-contours": (
        "drawn",
        '["sr"]           # what a person has drawn gets a report of its own',
        """\
[rule.inputs.contours]
Modality = { any_of = ["SEG", "RTSTRUCT"] }
""",
    ),
}


def first_rule(spec: ModelSpec) -> str:
    """A rule for a model: as its card has it, else with nothing but the modality of each of its inputs."""
    name, outputs, conditions = _SHIPPED.get(spec.name) or (spec.name, '["seg", "sr"]', _modalities(spec))
    return _HEAD.format(name=name, model=spec.name, outputs=outputs) + conditions


def _modalities(spec: ModelSpec) -> str:
    asked = {
        fed.name: next((one.operand for one in fed.conditions if one.key == "Modality"), "CT") for fed in spec.inputs
    }
    tables = [f'[rule.inputs.{name}]\nModality = "{modality}"\n' for name, modality in asked.items()]
    return "".join(tables)
