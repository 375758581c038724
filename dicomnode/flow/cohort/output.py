"""Writes the table of a cohort as CSV or Parquet, with the settings beside it."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.cohort.case import Row
from dicomnode.flow.harmonise.rows import is_feature

#: Columns that every table has, first, whatever came of its cases.
FIRST = (
    "patient", "study_instance_uid", "series_instance_uid", "contours_sop_instance_uid", "region", "segment_number",
    "status", "reason",
)  # fmt: skip

#: Columns of numbers beside the features.
_COUNTS = frozenset({"segment_number", "voxels"})
_NUMBERS = frozenset({"slice_spacing_mm", "row_spacing_mm", "column_spacing_mm", "volume_ml", "anisotropy"})

CSV, PARQUET = ".csv", ".parquet"

#: What begins a formula in a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def require_format(path: Path) -> None:
    """Refuse what cannot be written before anything is computed.

    Raises
    ------
    ConfigError
        If the name ends otherwise, the folder is missing, or what writes Parquet is not installed.
    """
    if path.suffix not in (CSV, PARQUET):
        remedy = f"ends in {path.suffix or 'nothing'}, needed {CSV} or {PARQUET}"
    elif not path.parent.is_dir():
        remedy = "its folder does not exist; make it first"
    elif path.suffix == PARQUET and importlib.util.find_spec("pyarrow") is None:
        remedy = "Parquet needs pyarrow, which is not installed; install it (pip install pyarrow), or name a .csv"
    else:
        return
    raise ConfigError([Fault(key="--out", value=path.name, remedy=remedy)])


def write_table(rows: Callable[[], Iterable[Row]], path: Path) -> int:
    """Write all rows in place of the table that was there; how many.

    Parameters
    ----------
    rows
        Gives the rows, as often as it is asked.
    """
    columns = _columns(rows())
    return int(_written(path, lambda part: _WRITERS[path.suffix](rows(), columns, part)))


def write_settings(told: dict[str, Any], path: Path) -> Path:
    """Write settings and versions beside the table."""
    beside = path.with_name(f"{path.name}.json")
    _written(beside, lambda part: part.write_text(json.dumps(told, indent=1, default=str) + "\n", encoding="utf-8"))
    return beside


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows that have all the same columns."""
    _written(path, lambda part: _as_csv(rows, [*rows[0]] if rows else [], part))


def _columns(rows: Iterable[Row]) -> list[str]:
    """What is known of every region, then features, each in the order in which rows name them."""
    found = dict.fromkeys(FIRST)
    for row in rows:
        found.update(dict.fromkeys(row))
    features = {name for name in found if is_feature(name)}
    return [*(name for name in found if name not in features), *(name for name in found if name in features)]


def _written(path: Path, write: Callable[[Path], Any]) -> Any:
    part = path.with_name(f"{path.name}.part")
    try:
        done = write(part)
        part.replace(path)
    except OSError as error:
        remedy = f"cannot be written: {error.strerror}"
        raise ConfigError([Fault(key="--out", value=path.name, remedy=remedy)]) from error
    return done


def _as_csv(rows: Iterable[Row], columns: Sequence[str], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _as_text(value) for name, value in row.items()})
            count += 1
    return count


def _as_text(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: names of regions are whatever somebody typed.

    Source: OWASP, CSV Injection; numbers keep their sign.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_parquet(rows: Iterable[Row], columns: Sequence[str], path: Path) -> int:
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:
        for name in columns:
            values[name].append(row.get(name))
    types = {name: _type(name, arrow) for name in columns}
    table = arrow.table({name: arrow.array(values[name], types[name]) for name in columns})
    parquet.write_table(table, path)
    return int(table.num_rows)


def _type(name: str, arrow: Any) -> Any:
    if name in _COUNTS:
        return arrow.int64()
    return arrow.float64() if name in _NUMBERS or is_feature(name) else arrow.string()


_WRITERS = {CSV: _as_csv, PARQUET: _as_parquet}
