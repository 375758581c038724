"""What nnU-Net has measured of its own folds, and the clean-up that it found to be worth while."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicomnode.train.importing.faults import need, read_json, refuse
from dicomnode.train.importing.nnunet_folder import ResultFolder
from dicomnode.train.importing.nnunet_labels import Labels

#: The one clean-up that nnU-Net 2 knows; pieces hang together by corners there (skimage's default).
_LARGEST = "remove_all_but_largest_component_from_segmentation"

_POST = "postprocessing.json"


def own_figures(folder: ResultFolder, labels: Labels) -> str:
    """Dice coefficients that nnU-Net's trainer left with each fold, for the card; empty where a fold has none.

    Raises
    ------
    ConfigError
        If a file of figures is not one of nnU-Net's.
    """
    paths = {fold: folder.path / f"fold_{fold}" / "validation" / "summary.json" for fold in folder.checkpoints}
    if not all(path.is_file() for path in paths.values()):
        return ""
    lines = (f"- fold {fold}: {_dices(path, labels)}\n" for fold, path in paths.items())
    whose = "held out from it" if "all" not in paths else "**on which it was trained**"
    return (
        f"Dice coefficients that nnU-Net itself measured of each fold on cases {whose}\n"
        "(`validation/summary.json`; before any clean-up, not measured again here, nor on other data):\n"
        f"{''.join(lines)}"
    )


def clean_up(folder: ResultFolder, labels: Labels) -> list[dict[str, Any]]:
    """The steps that nnU-Net's search for the best configuration found to be worth while for these folds.

    They stand in `crossval_results_folds_…/postprocessing.json`; where there is none, none were looked for.

    Raises
    ------
    ConfigError
        If a step is another than to keep the largest piece of labels.
    """
    path = _post_path(folder)
    if not path.is_file():
        return []
    read = read_json(path)
    names = need(read, "postprocessing_fns", list, _POST)
    settings = need(read, "postprocessing_kwargs", list, _POST)
    if len(names) != len(settings):
        refuse(_POST, f"{len(names)} steps, {len(settings)} settings", "needed as many; the file is damaged")
    return [_step(path, name, one, labels) for name, one in zip(names, settings, strict=True)]


def others(folder: ResultFolder) -> str:
    """Names of the clean-ups that were found for other folds, which are not taken over."""
    own = _post_path(folder)
    return ", ".join(sorted(path.parent.name for path in folder.path.glob(f"*/{_POST}") if path != own))


def _post_path(folder: ResultFolder) -> Path:
    return folder.path / f"crossval_results_folds_{'_'.join(sorted(folder.checkpoints))}" / _POST


def _step(path: Path, name: object, settings: object, labels: Labels) -> dict[str, Any]:
    treated = settings.get("labels_or_regions") if isinstance(settings, Mapping) else None
    wanted = treated if isinstance(treated, list) else [treated]
    away = f"no step of a bundle does that; move {path.parent.name}/{_POST} away to import without it"
    if name != _LARGEST or labels.regions or not isinstance(settings, Mapping) or settings.get("background_label", 0):
        refuse(_POST, f"{name} of {wanted}{' of regions' if labels.regions else ''}", away)
    if not wanted or not all((one,) in labels.holds for one in wanted):
        refuse(_POST, wanted, f"needed labels of the data set; {away}")
    # Labels are numbered from 1 without a gap, as segments are.
    step = {"step": "keep_largest", "segments": wanted, "touching": "corners"}
    return {**step, "together": True} if len(wanted) > 1 else step


def _dices(path: Path, labels: Labels) -> str:
    read = read_json(path)
    where = f"{path.parent.parent.name}/validation/{path.name}"
    by_label = {_numbers(key): one for key, one in need(read, "mean", dict, where).items()}
    told = [
        f"{name} {_dice(by_label.get(holds), where)}" for name, holds in zip(labels.names, labels.holds, strict=True)
    ]
    cases = read.get("metric_per_case")
    count = f"; {len(cases)} cases" if isinstance(cases, Sequence) else ""
    return f"{', '.join(told)}{count}"


def _numbers(key: object) -> tuple[int, ...]:
    """The labels of a key: `1`, or `(1, 2)` of a region."""
    return tuple(map(int, re.findall(r"\d+", str(key))))


def _dice(one: object, where: str) -> str:
    dice = one.get("Dice") if isinstance(one, Mapping) else None
    if dice is None:
        return "not stated"
    if not isinstance(dice, int | float):
        refuse(f"{where}: Dice", dice, "needed a number; the file is damaged or not nnU-Net's: move it away")
    return "undefined" if math.isnan(dice) else f"{dice:.3f}"
