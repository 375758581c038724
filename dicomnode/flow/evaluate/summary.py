"""Sums up the rows of an evaluation: figures with intervals of confidence, strata, detection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.flow.cohort.case import OK
from dicomnode.flow.evaluate.figures import Row
from dicomnode.flow.evaluate.rows import LESION, STRUCTURE, UNIT
from dicomnode.flow.evaluate.strata import strata
from dicomnode.measure.agreement.certain import auc, interval

#: Columns that are summed up, with what they are called.
FIGURES = {
    "dice": "Dice",
    "jaccard": "Jaccard",
    "surface_dice": "Surface Dice",
    "hd95_mm": "Hausdorff 95, mm",
    "mean_surface_mm": "Surface distance, mm",
    "added_path_mm": "Added path, mm",
    "added_path_pixels": "Added path, pixels",
    "added_voxels": "Added voxels",
    "volume_error_ml": "Volume error, ml",
    "volume_error_percent": "Volume error, %",
    "long_error_mm": "RECIST error, mm",
}

#: Figures of which strata are told.
_OF_STRATA = ("dice", "surface_dice", "hd95_mm", "volume_error_percent", "long_error_mm")

Summary = dict[str, Any]


def summary(rows: Sequence[Row], columns: Sequence[str], seed: int) -> list[Summary]:
    """What is to be said of every structure, in the order in which they first come."""
    names = dict.fromkeys(str(row["structure"]) for row in rows if row.get("structure"))
    return [_structure(name, [row for row in rows if row.get("structure") == name], columns, seed) for name in names]


def _structure(name: str, rows: Sequence[Row], columns: Sequence[str], seed: int) -> Summary:
    whole = [row for row in rows if row["row"] == STRUCTURE]
    done = [row for row in whole if row["status"] == OK]
    told: Summary = {
        "structure": name,
        "cases": len(done),
        "not_evaluated": len(whole) - len(done),
        "nothing_found": sum(bool(row["reference_ml"]) and not row["answer_ml"] for row in done),
        "figures": {key: one for key in FIGURES if (one := _figure(done, key, seed))},
        "strata": [
            {
                "by": by,
                "class": label,
                "cases": len(of),
                "values": [row["dice"] for row in of if row.get("dice") is not None],
                "figures": {key: one for key in _OF_STRATA if (one := _figure(of, key, seed))},
            }
            for by, label, of in strata(done, columns)
        ],
    }
    if any("lesions" in row for row in done):
        told["detection"] = _detection(done, [row for row in rows if row["row"] == UNIT], seed)
        told["detection"]["by_size"] = _by_size([row for row in rows if row["row"] == LESION])
    return told


def _figure(rows: Sequence[Row], key: str, seed: int) -> Summary | None:
    having = [row for row in rows if row.get(key) is not None]
    if not having:
        return None
    values = np.array([float(row[key]) for row in having])
    patients = [row["patient"] for row in having]
    low, median, high = np.percentile(values, (25, 50, 75))
    return {
        "cases": len(values),
        "mean": float(values.mean()),
        "mean_interval": interval(patients, lambda drawn: float(values[drawn].mean()), seed=seed),
        "median": float(median),
        "median_interval": interval(patients, lambda drawn: float(np.median(values[drawn])), seed=seed),
        "quartiles": (float(low), float(high)),
        "range": (float(values.min()), float(values.max())),
    }


def _detection(rows: Sequence[Row], units: Sequence[Row], seed: int) -> Summary:
    lesions, found, wrong = (
        np.array([row[key] for row in rows], dtype=float) for key in ("lesions", "lesions_found", "false_positives")
    )
    patients = [row["patient"] for row in rows]
    scores, truths = np.array([row["score"] for row in units]), np.array([row["lesion"] for row in units], dtype=bool)

    def sensitivity(drawn: NDArray[np.intp]) -> float | None:
        total = lesions[drawn].sum()
        return float(found[drawn].sum() / total) if total else None

    def area(drawn: NDArray[np.intp]) -> float | None:
        return auc(scores[drawn].tolist(), truths[drawn].tolist())

    return {
        "lesions": int(lesions.sum()),
        "found": int(found.sum()),
        "sensitivity": _with_interval(sensitivity, patients, seed),
        "false_positives": int(wrong.sum()),
        "false_positives_per_case": _with_interval(lambda drawn: float(wrong[drawn].mean()), patients, seed),
        "units": len(units),
        "units_with_a_lesion": int(truths.sum()),
        "unit": "lung" if any(row["location"] for row in units) else "case",
        "roc_auc": _with_interval(area, [row["patient"] for row in units], seed),
    }


def _with_interval(
    statistic: Callable[[NDArray[np.intp]], float | None], patients: Sequence[str], seed: int
) -> Summary:
    return {
        "value": statistic(np.arange(len(patients))) if patients else None,
        "interval": interval(patients, statistic, seed=seed),
    }


def _by_size(lesions: Sequence[Row]) -> list[Summary]:
    """How many of the lesions of each class were found; the diameter is that of the ball of their volume."""
    sized = [{**row, "reference_long_mm": 10 * (6 * row["volume_ml"] / np.pi) ** (1 / 3)} for row in lesions]
    return [
        {"class": label, "lesions": len(of), "found": sum(bool(row["found"]) for row in of)}
        for by, label, of in strata(sized, ())
        if by.startswith("size")
    ]
