"""The card of a model imported from nnU-Net: what its folder tells, and what nobody can know from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomnode.train.importing.compare import Difference
from dicomnode.train.importing.nnunet_labels import Labels
from dicomnode.train.importing.nnunet_plans import Plan

_FOR_PROCESSORS = (
    "Convolutions are written for a node without a graphics card (`--processor`): the answers are the same but for\n"
    "rounding, and on a graphics card they are likely to come later.\n"
)

_NO_FIGURES = "MISSING: no figure of its accuracy came with every fold; measure it on cases with a reference."


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an import has found out.

    Attributes
    ----------
    cases
        How many the data set had, as it says; None where it does not.
    differences
        Between PyTorch and onnxruntime, fold by fold.
    figures
        What nnU-Net measured of the folds, in words; empty where it left nothing.
    cleaned, left_out
        How many steps of its clean-up were taken over, and the names of those that were found for other folds.
    before
        The stage whose labels the network takes beside the image, if it is the second of a cascade.
    """

    name: str
    plan: Plan
    labels: Labels
    trainer: str
    folds: Sequence[str]
    epochs: Sequence[int | None]
    mirror: Sequence[int]
    processor: bool
    orientation: str
    modalities: Sequence[str]
    licence: str
    cases: int | None
    parameters: int
    differences: Sequence[Difference]
    figures: str
    cleaned: int
    left_out: str
    before: Import | None = None


def card(made: Import) -> str:
    """CARD.md with the headings of the CLAIM checklist (Radiology: AI 2024) that apply to a model."""
    plan, labels = made.plan, made.labels
    epochs = ", ".join("unknown" if epoch is None else str(epoch) for epoch in made.epochs)
    differences = "".join(
        f"- {stage}fold {fold}: {one}\n"
        for stage, part in ((f"{plan.previous}, ", made.before), ("", made))
        if part is not None
        for fold, one in zip(part.folds, part.differences, strict=True)
    )
    turned = (
        f"Images are turned to {made.orientation} (growing slice, row, column) first, as the network was trained."
        if made.orientation
        else "Images are taken in the order of axes in which they were acquired, slices along their normal. If\n"
        "training images lay otherwise (converters to NIfTI often flip rows), results are worse or mirrored: compare\n"
        "with cases that you know, and import again with `--orientation`."
    )
    regions = (
        f"\nThe network's channels are regions that overlap: {', '.join(labels.names)}. In the mask a voxel bears the\n"
        "last of them that passes 0.5, as in nnU-Net's own label map: a segment is its region without those behind,\n"
        "and is named and coded as such.\n"
        if labels.regions
        else ""
    )
    licence = made.licence or "MISSING: whoever trained it has to say; `--licence` records it."
    return f"""# {made.name} 1.0.0: imported from nnU-Net v2

Imported by `dicomnode models import nnunet`. What stands as MISSING here is not in the folder of the source; whoever
wants to rely on the model has to fill it in.

## Intended use
MISSING: purpose, patients, users. **Not a medical device; not for clinical use** until somebody has accepted it on
local cases.

## Labels
{", ".join(labels.parts)}
{regions}
## Data
Data set {plan.dataset_name or "of unknown name"}, training cases: {made.cases or "unknown"}, input:
{", ".join(made.modalities)}.
MISSING: sources, scanners, dates, inclusion and exclusion, demographics, reference standard and who drew it, how data
were divided.

## Model
nnU-Net v2, configuration {_run(made)}
{_cascaded(made)}{_FOR_PROCESSORS if made.processor else ""}{turned}{_cleaned(made)}
Normalisation: {", ".join(plan.schemes)}. Steps and their order are nnU-Net's; model.toml states them.

## Training
Epochs by fold: {epochs}. MISSING: hardware, seed, augmentation beyond the trainer's.

## Performance
{made.figures or _NO_FIGURES}
PyTorch and onnxruntime on the same tile of noise:
{differences}
## Limits
MISSING: where it fails; for which scanners, protocols and patients it was validated. `[valid]` and `[plausible]` in
model.toml are empty: nothing keeps it from images unlike those it was trained on.

## Licence
{licence}
"""


def _run(made: Import) -> str:
    """A configuration, its network, and how that is run."""
    plan = made.plan
    mirror = f"mirrored along axes {', '.join(map(str, made.mirror))}" if made.mirror else "not mirrored"
    return f"""{plan.configuration}, {plan.architecture[0]}, {made.parameters} parameters, trainer
{made.trainer or "unknown"}, folds {", ".join(made.folds)}, whose logits are averaged. Tiles of
{" × ".join(map(str, plan.patch))} voxels at {" × ".join(f"{one:.4g}" for one in plan.spacing_mm)} mm, half a tile
apart, weighted by a Gaussian, {mirror}."""


def _cascaded(made: Import) -> str:
    """Where the labels come from that the network of a second stage takes."""
    if made.before is None:
        return ""
    epochs = ", ".join("unknown" if epoch is None else str(epoch) for epoch in made.before.epochs)
    return (
        "It is the second stage of a cascade: labels that a first stage finds, resampled to its own grid, are further\n"
        "channels of 0 and 1 behind the image. As in nnU-Net no clean-up comes between the stages.\n"
        f"First stage: configuration {_run(made.before)}\nIts epochs by fold: {epochs}.\n"
    )


def _cleaned(made: Import) -> str:
    """What became of nnU-Net's clean-up."""
    text = ""
    if made.cleaned:
        text += f"\nThe largest piece alone is kept where nnU-Net's postprocessing.json says so ({made.cleaned} steps)."
    if made.left_out:
        text += f"\nnnU-Net's clean-up that was found for other folds is not taken over: {made.left_out}."
    return text
