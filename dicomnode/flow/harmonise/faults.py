"""What keeps a table of features from being harmonised, each fault with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from pydicom.datadict import tag_for_keyword

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.flow.batch import BETWEEN
from dicomnode.flow.harmonise.table import FeatureTable
from dicomnode.measure.concordance import MINIMUM_PAIRS

#: A spread below this share of the values is rounding: float64 keeps 16 digits, and the mean of thousands loses a few.
_NO_SPREAD = 1e-12


def faults_of(table: FeatureTable, reference: str, counts: Mapping[str, int], minimum: int) -> Iterator[Fault]:
    """Why no harmonisation can be fitted to a table."""
    if reference not in counts:
        yield Fault(key="--reference", value=reference, remedy=f"no such batch; there are {', '.join(counts)}")
    elif len(counts) < 2:
        yield Fault(key="--batch", value=reference, remedy="the only batch, needed two or more to bring one to another")
    for batch, count in counts.items():
        if count < minimum:
            remedy = f"{count} scans, needed {minimum} or more; leave these rows out, or say --minimum"
            yield Fault(key="batch", value=batch, remedy=remedy)
            continue
        values = table.of(batch)
        still = values.std(axis=0) <= _NO_SPREAD * np.abs(values).max(axis=0)
        for name in np.array(table.features)[still]:
            remedy = f"the same in all scans of batch {batch}; say --leave-out '{name}'"
            yield Fault(key="feature", value=str(name), remedy=remedy)
    for keyword in table.batch_by:
        if tag_for_keyword(keyword) is None:
            remedy = "no DICOM keyword, by which the node finds the batch of a new series; say --batch-by"
            yield Fault(key="--batch", value=keyword, remedy=remedy)
    parts = len(table.batch_by)
    for batch in counts:
        if parts > 1 and batch.count(BETWEEN) != parts - 1:
            remedy = f"needed a value for each of {', '.join(table.batch_by)}, with '{BETWEEN}' between"
            yield Fault(key="batch", value=batch, remedy=remedy)


def pairs_of(table: FeatureTable) -> list[tuple[int, int]]:
    """Rows that show the same thing; what was scanned once only is no pair.

    Raises
    ------
    ConfigError
        If something was scanned more than twice, or too little was scanned twice.
    """
    same: dict[str, list[int]] = {}
    for row, name in enumerate(table.pair):
        same.setdefault(name, []).append(row)
    faults = [
        Fault(
            key="--retest", value=name, remedy=f"{len(rows)} rows, needed two; name more columns that tell them apart"
        )
        for name, rows in same.items()
        if len(rows) > 2
    ]
    pairs = [(rows[0], rows[1]) for rows in same.values() if len(rows) == 2]
    if not faults and len(pairs) < MINIMUM_PAIRS:
        remedy = f"{MINIMUM_PAIRS} or more scans made twice are needed"
        faults = [Fault(key="--retest", value=f"{len(pairs)} pairs", remedy=remedy)]
    if faults:
        raise ConfigError(faults[:1])
    return pairs
