"""The table of features that a harmonisation is fitted to, read from CSV with all its faults told at once."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.batch import BETWEEN
from dicomnode.infer.bundle.radiomics import feature_parts
from dicomnode.measure.harmonise import MINIMUM_FEATURES

#: More faults of one kind than this hide the others.
_MOST_FAULTS = 5

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Features of scans that can be fitted.

    Attributes
    ----------
    values
        (scan, feature).
    batch
        Of every scan.
    pair
        What every scan is a repetition of; empty strings where nobody asked.
    left_out
        Rows without features, such as failed cases.
    """

    features: tuple[str, ...]
    values: NDArray[np.float64] = field(repr=False)
    batch: tuple[str, ...]
    pair: tuple[str, ...]
    batch_by: tuple[str, ...]
    left_out: int

    def of(self, batch: str) -> NDArray[np.float64]:
        """The scans of one batch."""
        return self.values[[name == batch for name in self.batch]]

    def counts(self) -> dict[str, int]:
        """Batch → scans, by name."""
        return dict(sorted(Counter(self.batch).items()))


def read_table(
    path: Path, batch: Sequence[str], retest: Sequence[str], batch_by: Sequence[str], leave_out: Sequence[str]
) -> FeatureTable:
    """The rows of a CSV that have features.

    Parameters
    ----------
    batch, retest
        Columns whose values, joined, name the batch, and what a scan repeats.
    batch_by
        DICOM keywords that the batch stands for; where empty, the column `batch_by` says, or the names in `batch` do.
    leave_out
        Features that are not fitted; `*` stands for anything.

    Raises
    ------
    ConfigError
        With every fault: no such column, no features, values that are absent or not finite.
    """
    rows, names = _rows(path)
    if missing := [name for name in (*batch, *retest) if name not in names]:
        remedy = f"no such column; {path.name} has {', '.join(name for name in names if not _is_feature(name))}"
        raise ConfigError([Fault(key="--batch or --retest", value=name, remedy=remedy) for name in missing])
    named = [name for name in names if _is_feature(name)]
    features = [name for name in named if not any(fnmatchcase(name, one) for one in leave_out)]
    if len(features) < MINIMUM_FEATURES:
        remedy = f"{len(features)} columns named as pyradiomics names features, needed {MINIMUM_FEATURES} or more"
        raise ConfigError([Fault(key="FEATURES.csv", value=path.name, remedy=remedy)])
    full = [row for row in rows if any(row.get(name) for name in features)]
    faults = [*_limited([*_unnamed(full, batch)]), *_limited([*_unfit(full, features)])]
    if faults or not full:
        raise ConfigError(faults or [Fault(key="FEATURES.csv", value=path.name, remedy="no row has features")])
    return FeatureTable(
        features=tuple(features),
        values=np.array([[float(row[name]) for name in features] for row in full]),
        batch=tuple(_joined(row, batch) for row in full),
        pair=tuple(_joined(row, retest) for row in full),
        batch_by=_keywords(full, batch, batch_by),
        left_out=len(rows) - len(full),
    )


def _rows(path: Path) -> tuple[list[Row], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            return list(reader), [name for name in reader.fieldnames or () if name]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "no CSV in UTF-8"
        raise ConfigError([Fault(key="FEATURES.csv", value=path.name, remedy=f"cannot be read: {reason}")]) from error


def _is_feature(name: str) -> bool:
    try:
        feature_parts(name)
    except ValueError:
        return False
    return True


def _joined(row: Row, columns: Sequence[str]) -> str:
    return BETWEEN.join(" ".join(row[name].split()) for name in columns)


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


def _keywords(rows: Sequence[Row], batch: Sequence[str], stated: Sequence[str]) -> tuple[str, ...]:
    """The DICOM keywords that name the batch when the harmonisation is applied."""
    if stated or list(batch) != ["batch"]:
        return tuple(stated or batch)
    found = sorted({row.get("batch_by", "") for row in rows})
    if len(found) == 1 and found[0]:
        return tuple(found[0].split("+"))
    remedy = (
        f"column batch_by says {found}; needed one for all rows (one modality), or --batch-by with the DICOM keywords"
    )
    raise ConfigError([Fault(key="--batch", value="batch", remedy=remedy)])
