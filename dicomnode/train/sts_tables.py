"""Tables of what was measured of the sarcoma model, for its card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dicomnode.train.sts_dicom import Examined
from dicomnode.train.sts_measure import METHODS, Row, interval

MISSED = 0.1
"""A Dice coefficient below this counts as a tumour that was not found."""


def summary(rows: Sequence[Row]) -> str:
    """Mean Dice with its confidence interval by method, of all patients and of those with and without CT."""
    groups = {
        "all": list(rows),
        "with CT": [one for one in rows if one.has_ct],
        "PET alone": [one for one in rows if not one.has_ct],
    }
    groups = {name: group for name, group in groups.items() if group}
    lines = [
        f"| Dice, mean (95 % CI) | {' | '.join(f'{name}, n = {len(group)}' for name, group in groups.items())} |",
        f"|---|{'---|' * len(groups)}",
    ]
    for number, method in enumerate(METHODS):
        cells = [_mean([one.dices[number] for one in group]) for group in groups.values()]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    for number, method in ((2, METHODS[2]), (3, METHODS[3]), (4, METHODS[4])):
        cells = [_mean([one.dices[0] - one.dices[number] for one in group]) for group in groups.values()]
        lines.append(f"| network less {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def patients(rows: Sequence[Row]) -> str:
    """One line for every patient."""
    lines = [
        f"| patient | CT | contour ml | found ml | of it outside the contour ml | {' | '.join(METHODS)} |",
        f"|---|---|---|---|---|{'---|' * len(METHODS)}",
    ]
    for one in rows:
        cells = " | ".join(f"{value:.2f}" for value in one.dices)
        outside = f"{one.found_ml - _shared_ml(one):.0f}"
        lines.append(
            f"| {one.name} | {'yes' if one.has_ct else 'no'} | {one.truth_ml:.0f} | {one.found_ml:.0f} "
            f"| {outside} | {cells} |"
        )
    return "\n".join(lines)


def numbers(tested: Sequence[Examined]) -> str:
    """What the node's reports state of the DICOM patients, with the same of the contour in brackets."""
    names = list(dict.fromkeys(name for one in tested for name in one.measured))
    lines = [
        f"| report (contour) | {' | '.join(one.row.name for one in tested)} |",
        f"|---|{'---|' * len(tested)}",
    ]
    for name in names:
        cells = [_pair(one.measured.get(name)) for one in tested]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| radiomics features | {' | '.join(str(one.features) for one in tested)} |")
    lines.append(f"| seconds, all stages | {' | '.join(f'{one.seconds:.0f}' for one in tested)} |")
    return "\n".join(lines)


def sensitivity(rows: Sequence[Row]) -> str:
    """How many tumours cross-validation found, with what counts as found and what a blind guess finds, for reports."""
    hits, alone = _hits(rows, "network"), _hits(rows, "crop alone")
    return (
        f"Dice of {MISSED:g} or more in {hits} of {len(rows)} sarcomas, five-fold cross-validation, one centre, on "
        f"crops round the tumour, where an ellipsoid drawn without a look at the image has it in {alone} of {len(rows)}"
    )


def found(rows: Sequence[Row]) -> str:
    """How many tumours were found, and what else was marked, in a sentence."""
    hits, alone = _hits(rows, "network"), _hits(rows, "crop alone")
    strays = [f"{one.stray_ml:.0f} ml in {one.name}" for one in rows if one.stray_pieces]
    outside = [one.found_ml - _shared_ml(one) for one in rows]
    low = min(rows, key=lambda one: one.dices[0])
    return (
        f"Found (Dice of {MISSED:g} or more): {hits} of {len(rows)}; by the crop alone, {alone} of {len(rows)}.\n"
        f"Median Dice {np.median([one.dices[0] for one in rows]):.3f}, lowest {low.dices[0]:.3f} ({low.name}).\n"
        f"Whole-field false positives: pieces that touch no contour, {', '.join(strays) or 'none'}; all that lies "
        f"outside the contours, touching or not, {np.mean(outside):.0f} ml in the mean, {max(outside):.0f} ml at most."
    )


def _hits(rows: Sequence[Row], method: str) -> int:
    return sum(one.dices[METHODS.index(method)] >= MISSED for one in rows)


def _shared_ml(one: Row) -> float:
    """What result and contour have in common, by their Dice coefficient."""
    return one.dices[0] * (one.found_ml + one.truth_ml) / 2


def _mean(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"


def _pair(value: tuple[float, float, str] | None) -> str:
    return "absent" if value is None else f"{value[0]:.4g} ({value[1]:.4g}) {value[2]}"
