"""From a plan, labels and checkpoints of nnU-Net to the tables of model.toml."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

from dicomnode.domain.code import Code
from dicomnode.train.importing.codes import CATEGORIES, SIDES, Coded
from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.nnunet_labels import Labels
from dicomnode.train.importing.nnunet_plans import Plan, Resampling

#: What nnU-Net's class reads as (slice, row, column): it turns every image to these directions before.
REORIENTING_READER, RAS = "NibabelIOWithReorient", "HAR"

#: Modalities by words in the names of channels; the rest is MR, nnU-Net's commonest input after CT.
_MODALITIES = (("CT", ("ct",)), ("PT", ("pet", "pt", "suv")), ("US", ("us", "ultrasound")))


def input_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Names of channels as keys of model.toml, each once."""
    names: list[str] = []
    for channel in channels:
        plain = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in channel.lower()).strip(
            "-"
        )
        name, number = plain or "image", 1
        while name in names:
            number += 1
            name = f"{plain or 'image'}-{number}"
        names.append(name)
    return tuple(names)


def modality_of(channel: str, scheme: str) -> str:
    """The Modality that a channel most likely comes from."""
    words = {*"".join(letter if letter.isalnum() else " " for letter in channel.lower()).split()}
    for modality, known in _MODALITIES:
        if words & {*known} or (modality == "CT" and scheme == "CTNormalization"):
            return modality
    return "MR"


def prepare_steps(plan: Plan, names: Sequence[str], orientation: str) -> list[dict[str, Any]]:
    """nnU-Net's order: axes, region that is not 0, normalisation, then spacing (`DefaultPreprocessor.run_case_npy`)."""
    steps: list[dict[str, Any]] = []
    if len(names) > 1:
        steps.append({"step": "align", "inputs": [*names[1:]], "outside": 0.0})
    if orientation:
        steps.append({"step": "reorient", "orientation": orientation})
    if plan.transpose != (0, 1, 2):
        steps.append({"step": "transpose", "axes": [*plan.transpose]})
    steps += [{"step": "nonzero"}, {"step": "crop_to_mask", "around": "nonzero"}]
    if plan.previous:
        steps.append({"step": "labelled"})
    for number, name in enumerate(names):
        only = {"inputs": [name]} if len(names) > 1 else {}
        steps += [{**step, **only} for step in _normalised(plan, number)]
    steps.append(_respaced(plan.data, plan.spacing_mm))
    return steps


def _normalised(plan: Plan, channel: int) -> list[dict[str, Any]]:
    match plan.schemes[channel]:
        case "CTNormalization":
            known = plan.intensities[channel]
            return [
                {"step": "clip", "range": [known["percentile_00_5"], known["percentile_99_5"]]},
                {"step": "zscore", "mean": known["mean"], "deviation": known["std"]},
            ]
        case "ZScoreNormalization" if plan.masked[channel]:
            return [{"step": "zscore", "over": "nonzero", "outside": 0.0}]
        case "ZScoreNormalization":
            return [{"step": "zscore"}]
        case "RescaleTo01Normalization":
            return [{"step": "minmax"}]
        case "RGBTo01Normalization":
            return [{"step": "scale", "range": [0.0, 255.0]}]
        case _:
            return []


def _respaced(how: Resampling, spacing_mm: Sequence[float]) -> dict[str, Any]:
    step: dict[str, Any] = {"step": "respace", "spacing_mm": [*spacing_mm], "interpolation": how.order}
    return {**step, "apart_above": how.above, "apart": how.apart} if how.above is not None else step


def tile_table(plan: Plan, mirror: Sequence[int]) -> dict[str, Any]:
    """The sliding window: half a tile from one to the next, and nnU-Net's axes of mirroring as ours."""
    flat = len(plan.patch) == 2
    if any(axis not in range(len(plan.patch)) for axis in mirror):
        refuse("inference_allowed_mirroring_axes", [*mirror], f"needed axes of a patch of {len(plan.patch)}")
    table: dict[str, Any] = {
        "shape": [1, *plan.patch] if flat else [*plan.patch],
        "overlap": 0.5,
        "batch": "auto",
        "manner": "nnunet",
    }
    return {**table, "mirror": [axis + flat for axis in mirror]} if mirror else table


def output_table(plan: Plan, labels: Labels) -> dict[str, Any]:
    """Logits are averaged and interpolated, and become labels last, as nnU-Net does."""
    table: dict[str, Any] = {"activation": "sigmoid" if labels.regions else "softmax", "blend": "logits"}
    if plan.answer.above is not None:
        table |= {"apart_above": plan.answer.above, "apart": plan.answer.apart}
    return table


def post_steps(labels: Labels) -> list[dict[str, Any]]:
    """Of regions that overlap, the last that passes one half."""
    return [{"step": "threshold", "threshold": [0.5] * len(labels.names), "resolve": "last"}] if labels.regions else []


def segment_tables(labels: Labels, codes: Sequence[Coded]) -> list[dict[str, Any]]:
    """Every channel as a segment, by the name of what it is in a mask."""
    count = len(labels.names)
    return [
        _segment(number, name, one, count)
        for number, (name, one) in enumerate(zip(labels.parts, codes, strict=True), start=1)
    ]


def _segment(number: int, name: str, coded: Coded, count: int) -> dict[str, Any]:
    table: dict[str, Any] = {
        "number": number,
        "label": name.replace("_", " ")[:64],
        "category": written(CATEGORIES[coded.category]),
        "type": written(coded.type),
    }
    if coded.laterality:
        table["laterality"] = written(SIDES[coded.laterality])
    if coded.region is not None:
        table["anatomic_region"] = written(coded.region)
    if coded.category in ("lesion", "lymph_node"):
        table["subject"] = coded.category
    # Hues that lie far apart for neighbours: the golden ratio leaves no two close.
    red, green, blue = colorsys.hsv_to_rgb((number * 0.618034) % 1, 0.55 if count > 12 and number % 2 else 0.75, 0.9)
    return {**table, "color_rgb": [round(255 * one) for one in (red, green, blue)]}


def written(code: Code) -> Mapping[str, str]:
    """A code as model.toml writes it."""
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
