"""The table of features that a harmonisation is fitted to, read from CSV with all its faults told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.batch import BETWEEN
from dicomnode.flow.harmonise.rows import Row, faults_in, is_feature, read_rows
from dicomnode.measure.harmonise import MINIMUM_FEATURES


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
    path: Path,
    batch: Sequence[str],
    retest: Sequence[str],
    batch_by: Sequence[str],
    leave_out: Sequence[str],
    only: Sequence[str] = (),
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
    only
        COLUMN=VALUE, each of which a row has to have; others do not count.

    Raises
    ------
    ConfigError
        With every fault: no such column, no features, values that are absent or not finite.
    """
    rows, columns = read_rows(path)
    needed = dict(text.partition("=")[::2] for text in only)
    if missing := [name for name in (*batch, *retest, *needed) if name not in columns]:
        remedy = f"no such column; {path.name} has {', '.join(name for name in columns if not is_feature(name))}"
        raise ConfigError([Fault(key="--batch, --retest or --only", value=name, remedy=remedy) for name in missing])
    named = [name for name in columns if is_feature(name)]
    features = [name for name in named if not any(fnmatchcase(name, one) for one in leave_out)]
    if len(features) < MINIMUM_FEATURES:
        remedy = f"{len(features)} columns named as pyradiomics names features, needed {MINIMUM_FEATURES} or more"
        raise ConfigError([Fault(key="FEATURES.csv", value=path.name, remedy=remedy)])
    rows = [row for row in rows if all(row[name] == value for name, value in needed.items())]
    full = [row for row in rows if any(row.get(name) for name in features)]
    faults = faults_in(full, batch, features)
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


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _joined(row: Row, columns: Sequence[str]) -> str:
    return BETWEEN.join(" ".join(row[name].split()) for name in columns)


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
