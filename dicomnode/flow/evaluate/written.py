"""Writes what an evaluation has to say: tables, a summary for programs, and the page for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dicomnode import __version__
from dicomnode.domain.model import ModelSpec
from dicomnode.flow.cohort.output import write_csv, write_settings
from dicomnode.flow.evaluate.figures import Row
from dicomnode.flow.evaluate.rows import CANDIDATE, LESION, STRUCTURE, UNIT
from dicomnode.flow.evaluate.summary import FIGURES, Summary
from dicomnode.flow.evaluate.wish import Wish
from dicomnode.report.evaluation.page import page

TABLE, REPORT, PICTURES = "cases.csv", "report.html", "pictures"

#: Name of a table → the kinds of its rows.
_TABLES = {TABLE: (STRUCTURE,), "lesions.csv": (LESION, CANDIDATE), "lungs.csv": (UNIT,)}


def write(
    rows: Sequence[Row], figures: list[Summary], spec: ModelSpec, wish: Wish, out: Path, cases: int
) -> tuple[Path, ...]:
    """The files, in place of those of an earlier run.

    Parameters
    ----------
    cases
        How many there are, tried or not.
    """
    made = []
    for name, kinds in _TABLES.items():
        table = [row for row in rows if row["row"] in kinds]
        columns = list(dict.fromkeys(key for row in table for key in row))
        if table:
            write_csv([{key: row.get(key) for key in columns} for row in table], out / name)
            made.append(out / name)
    told: dict[str, Any] = {
        "model": spec.name,
        "version": spec.version,
        "recipe": spec.recipe,
        "node": __version__,
        "cases": cases,
        "tolerance_mm": wish.tolerance_mm,
        "seed": wish.seed,
        "rois": {name: list(patterns) for name, patterns in wish.rois.items()},
        "exclude": list(wish.exclude),
        "lungs": list(wish.lungs),
        "figures": figures,
    }
    made.append(write_settings(told, out / "summary"))
    report = out / REPORT
    report.write_text(page(told, FIGURES, rows, out / PICTURES, spec.title), encoding="utf-8")
    return (*made, report)


def table_of(figures: Sequence[Summary]) -> list[tuple[str, ...]]:
    """Lines for a terminal: structure, figure, mean with interval, median, worst and best."""
    lines = []
    for one in figures:
        found = [
            (FIGURES[key], f"{of['mean']:.4g}", _ends(of["mean_interval"]), f"{of['median']:.4g}", _ends(of["range"]))
            for key, of in one["figures"].items()
        ]
        lines += [(name, *row) for name, row in zip_longest([one["structure"]], found, fillvalue="") if row]
    return lines


def _ends(ends: Sequence[float] | None) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends else ""
