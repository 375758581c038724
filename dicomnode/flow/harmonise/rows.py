"""Rows of a CSV with features, and what is wrong with their values."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.infer.bundle.radiomics import feature_parts

#: More faults of one kind than this hide the others.
_MOST_FAULTS = 5

Row = Mapping[str, str]


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """All rows, and the names of the columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            return list(reader), [name for name in reader.fieldnames or () if name]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "no CSV in UTF-8"
        raise ConfigError([Fault(key="FEATURES.csv", value=path.name, remedy=f"cannot be read: {reason}")]) from error


def is_feature(name: str) -> bool:
    """Whether a column is named as pyradiomics names a feature."""
    try:
        feature_parts(name)
    except ValueError:
        return False
    return True


def faults_in(rows: Sequence[Row], batch: Sequence[str], features: Sequence[str]) -> list[Fault]:
    """Batches without a name, and values that are no finite numbers."""
    return [*_limited([*_unnamed(rows, batch)]), *_limited([*_unfit(rows, features)])]


def _unnamed(rows: Sequence[Row], batch: Sequence[str]) -> Iterator[Fault]:
    for name in batch:
        if empty := sum(not row[name].strip() for row in rows):
            remedy = f"empty in {empty} rows with features; remove these rows, or name their batch"
            yield Fault(key="--batch", value=name, remedy=remedy)


def _unfit(rows: Sequence[Row], features: Sequence[str]) -> Iterator[Fault]:
    for name in features:
        if bad := sum(not _is_number(row[name]) for row in rows):
            remedy = f"no finite number in {bad} of {len(rows)} rows; remove these rows, or --leave-out '{name}'"
            yield Fault(key="feature", value=name, remedy=remedy)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _limited(faults: Sequence[Fault]) -> list[Fault]:
    more = len(faults) - _MOST_FAULTS
    told = [*faults[:_MOST_FAULTS]]
    return [*told, Fault(key=faults[0].key, value=f"{more} more", remedy="as above")] if more > 0 else told
