"""Reads an nnU-Net v2 result folder whole: plan, labels, networks with weights, and the stage before in a cascade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dicomnode.train.importing.faults import refuse
from dicomnode.train.importing.nnunet_folder import FINAL, ResultFolder, find, stage_before
from dicomnode.train.importing.nnunet_labels import Labels, channels_of, labels_of
from dicomnode.train.importing.nnunet_measured import clean_up, own_figures
from dicomnode.train.importing.nnunet_network import UNet, build, load
from dicomnode.train.importing.nnunet_plans import Plan, plan_of
from dicomnode.train.importing.nnunet_weights import Checkpoint, read_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder that has been read.

    Attributes
    ----------
    channels
        Names of the image's channels, in order.
    seen
        Segments of `before` that the network takes as further channels (`Labels.seen`).
    cleaning
        Steps that tidy the labels; between two stages there are none, as in nnU-Net.
    figures
        What nnU-Net measured of the folds, in words.
    before
        The stage whose labels the network takes, if it is the second of a cascade.
    """

    folder: ResultFolder
    plan: Plan
    labels: Labels
    checkpoints: Mapping[str, Checkpoint]
    networks: Mapping[str, UNet]
    channels: tuple[str, ...]
    seen: tuple[int, ...]
    figures: str
    before: Source | None
    cleaning: Sequence[Mapping[str, Any]] = ()


def read_source(source: Path, configuration: str = "", folds: Sequence[str] = (), checkpoint: str = FINAL) -> Source:
    """What a result folder holds, with the stage before it.

    Raises
    ------
    ConfigError
        If the folder is not what it should be, its files are not of one training, or the stage before is missing or
        tells other labels apart.
    """
    found = _read(source, configuration, folds, checkpoint)
    return replace(found, cleaning=clean_up(found.folder, found.labels))


def _read(source: Path, configuration: str, folds: Sequence[str], checkpoint: str) -> Source:
    """As `read_source`, without steps that tidy the labels."""
    folder = find(source, configuration, folds, checkpoint)
    checkpoints = {fold: read_checkpoint(path) for fold, path in folder.checkpoints.items()}
    plan, labels = plan_of(folder.plans, _configuration(folder, checkpoints, checkpoint)), labels_of(folder.dataset)
    channels = channels_of(folder.dataset)
    if len(channels) != len(plan.schemes) or len(plan.masked) != len(plan.schemes):
        counts = f"{len(channels)} channels in dataset.json, {len(plan.schemes)} in plans.json"
        refuse(str(folder.path), counts, "needed as many; the files are not of one training")
    before = None
    if plan.previous:
        before = _read(stage_before(folder, plan.previous), plan.previous, folds, checkpoint)
        _require_one_cascade(plan, labels, channels, before)
    seen = labels.seen if plan.previous else ()
    networks = {
        fold: load(
            build(*plan.architecture, len(channels) + len(seen), labels.heads), one.weights, f"fold_{fold}/{checkpoint}"
        )
        for fold, one in checkpoints.items()
    }
    return Source(
        folder=folder, plan=plan, labels=labels, checkpoints=checkpoints, networks=networks, channels=channels,
        seen=seen, figures=own_figures(folder, labels), before=before,
    )  # fmt: skip


def _configuration(folder: ResultFolder, checkpoints: Mapping[str, Checkpoint], file: str) -> str:
    """The one configuration that all checkpoints were trained for."""
    first = next(iter(checkpoints.values()))
    configuration = first.configuration or folder.configuration
    if folder.configuration and configuration != folder.configuration:
        refuse(str(folder.path), configuration, f"its checkpoints were trained for that, not {folder.configuration}")
    if not configuration:
        refuse("--configuration", "", "neither folder nor checkpoint says which configuration was trained; name it")
    for fold, one in checkpoints.items():
        if one.mirror != first.mirror or one.configuration != first.configuration:
            told = "trained otherwise than the first fold; name those that belong together"
            refuse(f"fold_{fold}/{file}", one.configuration, told)
    return configuration


def _require_one_cascade(plan: Plan, labels: Labels, channels: tuple[str, ...], before: Source) -> None:
    """Both stages see the same images and tell the same labels apart."""
    both = (
        ("labels", labels == before.labels, labels.names, before.labels.names),
        ("channel_names", channels == before.channels, channels, before.channels),
    )
    for key, alike, own, other in both:
        if not alike:
            remedy = f"needed {', '.join(own)} with the same numbers, as {plan.configuration} has them: both stages "
            refuse(f"{before.folder.path.name}/dataset.json: {key}", [*other], f"{remedy}have to be of one data set")
    if before.plan.previous:
        remedy = "has a stage before it, too; a bundle says a cascade of two stages"
        refuse(f"plans.json: {plan.previous}.previous_stage", before.plan.previous, remedy)
    if len({*labels.written}) < len(labels.written):
        remedy = "needed each once, since the next stage of the cascade tells them apart"
        refuse("dataset.json: regions_class_order", [*labels.written], remedy)
