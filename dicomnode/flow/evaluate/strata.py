"""Classes of cases whose figures are told apart: thickness of slices, size, place, and columns that somebody adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from dicomnode.flow.evaluate.figures import Row

#: Upper edges in mm. Thin sections end at 1.5 mm; RECIST 1.1 (Eisenhauer et al. 2009, section 3.1) asks for at most 5.
_THICKNESS_MM = (1.5, 3.0, 5.0)

#: Greatest dimension in mm at which the T category of lung cancer changes (8th edition: T1a, b, c, T2a, b, T3, T4).
_SIZES_MM = (10.0, 20.0, 30.0, 40.0, 50.0, 70.0)

#: Structures have no such classes: thirds by volume, where each is of this many cases or more.
_LEAST_OF_A_THIRD = 3


def strata(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[tuple[str, str, list[Row]]]:
    """Name of a column, name of a class and its rows, for every column that has more than one class.

    Parameters
    ----------
    rows
        Of one structure, those that were evaluated.
    columns
        That somebody has added.
    """
    named: list[tuple[str, Callable[[Row], str]]] = [
        ("slice thickness", lambda row: _class(row.get("slice_spacing_mm"), _THICKNESS_MM, "mm"))
    ]
    if any(row.get("reference_long_mm") for row in rows):
        named.append(("size (long axis)", lambda row: _class(row.get("reference_long_mm"), _SIZES_MM, "mm")))
    elif len(volumes := [row["reference_ml"] for row in rows if row.get("reference_ml")]) >= 3 * _LEAST_OF_A_THIRD:
        edges = tuple(float(f"{edge:.3g}") for edge in np.quantile(volumes, (1 / 3, 2 / 3)))
        named.append(("size (volume)", lambda row: _class(row.get("reference_ml"), edges, "ml")))
    taken = [] if "location" in columns else ["location"]
    named += [(column, partial(_text, column)) for column in (*taken, *columns)]
    for name, of in named:
        classes: dict[str, list[Row]] = {}
        for row in rows:
            if label := of(row):
                classes.setdefault(label, []).append(row)
        if len(classes) > 1:
            yield from ((name, label, classes[label]) for label in sorted(classes, key=_order))


def _text(column: str, row: Row) -> str:
    return str(row.get(column) or "")


def _class(value: float | None, edges: Sequence[float], unit: str) -> str:
    if value is None or not np.isfinite(value):
        return ""
    # Spacings are computed from positions of two decimals.
    value = round(value, 2)
    if value <= edges[0]:
        return f"≤ {edges[0]:g} {unit}"
    for low, high in pairwise(edges):
        if value <= high:
            return f"> {low:g} to {high:g} {unit}"
    return f"> {edges[-1]:g} {unit}"


def _order(label: str) -> tuple[float, str]:
    """Classes of numbers from the smallest up, others by name."""
    first = label.split()
    if first[0] == "≤":
        return (float("-inf"), "")
    return (float(first[1]), "") if first[0] == ">" else (0.0, label)
