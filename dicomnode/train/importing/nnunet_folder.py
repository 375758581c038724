"""Finds in an nnU-Net v2 result folder what an import needs: plans, data set, configuration, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicomnode.train.importing.faults import read_json, refuse

PLANS, DATASET = "plans.json", "dataset.json"
FINAL = "checkpoint_final.pth"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFolder:
    """One trained configuration.

    Attributes
    ----------
    checkpoints
        By fold, in order.
    trainer, configuration
        As the folder's name says (`trainer__plans__configuration`); empty where it says nothing.
    """

    path: Path
    plans: Mapping[str, Any] = field(repr=False)
    dataset: Mapping[str, Any] = field(repr=False)
    checkpoints: Mapping[str, Path]
    trainer: str
    configuration: str


def find(source: Path, configuration: str = "", folds: Sequence[str] = (), checkpoint: str = FINAL) -> ResultFolder:
    """The folder with plans.json: `source` itself, or the one below it that was trained for `configuration`.

    Raises
    ------
    ConfigError
        If there is none or more than one, or a file that it needs is missing.
    """
    folder = _trained(source, configuration)
    parts = folder.name.split("__")
    trainer, named = (parts[0], parts[2]) if len(parts) == 3 else ("", "")
    if configuration and named and named != configuration:
        refuse("--configuration", configuration, f"this folder was trained for {named}; leave the option out")
    found = {path.parent.name.removeprefix("fold_"): path for path in sorted(folder.glob(f"fold_*/{checkpoint}"))}
    if not found:
        others = sorted({path.name for path in folder.glob("fold_*/*.pth")})
        there = f"; there are {', '.join(others)}: name one with --checkpoint" if others else ""
        refuse(str(folder), checkpoint, f"no fold_*/{checkpoint}, needed one at least{there}")
    if missing := [fold for fold in folds if fold not in found]:
        say = f"no such fold with {checkpoint} in {folder.name}; there are {', '.join(found)}"
        refuse("--folds", ",".join(missing), say)
    # A fold named all was trained on everything and is no fifth part of an ensemble.
    default = [fold for fold in found if fold != "all"] or ["all"]
    return ResultFolder(
        path=folder,
        plans=read_json(folder / PLANS),
        dataset=read_json(folder / DATASET),
        checkpoints={fold: found[fold] for fold in folds or default},
        trainer=trainer,
        configuration=configuration or named,
    )


def stage_before(folder: ResultFolder, configuration: str) -> Path:
    """The folder beside, of the same trainer and plans, whose labels a network of `folder` was trained to take.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    own = folder.path.resolve()
    beside = own.with_name("__".join([*own.name.split("__")[:2], configuration]))
    if not (beside / PLANS).is_file():
        refuse(
            "SOURCE",
            str(beside),
            f"no {PLANS} in it: the network of {own.name} takes the labels of {configuration}, trained by the same "
            "trainer and plans, as input; put that folder beside it, or import 3d_fullres",
        )
    return beside


def _trained(source: Path, configuration: str) -> Path:
    if (source / PLANS).is_file():
        return source
    if not source.is_dir():
        refuse("SOURCE", str(source), "no such folder; name one that holds plans.json, dataset.json and fold_*")
    below = sorted(path.parent for path in source.glob(f"*/{PLANS}"))
    fitting = [path for path in below if not configuration or path.name.endswith(f"__{configuration}")]
    if len(fitting) == 1:
        return fitting[0]
    if not below:
        refuse("SOURCE", str(source), f"no {PLANS} in it; name the folder trainer__plans__configuration that holds it")
    names = ", ".join(path.name.rpartition("__")[2] for path in below)
    return refuse("--configuration", configuration, f"choose one of those that were trained here: {names}")
