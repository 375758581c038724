"""Fits a harmonisation to a table of features and writes the file that a bundle includes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.domain.measuring import Harmonisation
from dicomnode.flow.harmonise.faults import faults_of, pairs_of
from dicomnode.flow.harmonise.table import FeatureTable
from dicomnode.infer.bundle.harmonisation import content_of
from dicomnode.measure.concordance import Agreement, ccc, icc_agreement, icc_consistency
from dicomnode.measure.harmonise import Effect, effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Concordance:
    """How well repeated scans agree on one feature once it is harmonised."""

    ccc: Agreement
    icc_agreement: Agreement
    icc_consistency: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A harmonisation and what it was fitted on.

    Attributes
    ----------
    concordance
        By feature; empty without repeated scans.
    largest_shift
        By batch: the feature that moves most, and by how many standard deviations of the reference batch.
    pairs
        Repeated scans, 0 where none were named.
    """

    harmonisation: Harmonisation
    table: FeatureTable
    concordance: Mapping[str, Concordance]
    largest_shift: Mapping[str, tuple[str, float]]
    pairs: int


def fit(table: FeatureTable, reference: str, *, minimum: int, least_ccc: float, named: str, paired: bool) -> Fitted:
    """Effects of every batch against the reference, and the features that repeated scans agree on.

    Parameters
    ----------
    minimum
        Fewest scans per batch.
    least_ccc
        Concordance of harmonised values that a feature must have to be kept.
    named
        The table in words, for the file.
    paired
        Whether the table names repeated scans; otherwise every feature is kept.

    Raises
    ------
    ConfigError
        With every fault: one batch, too few scans, constant features, keywords that DICOM has not, repeated scans that
        are no pairs, no feature left.
    """
    counts = table.counts()
    if faults := [*faults_of(table, reference, counts, minimum)]:
        raise ConfigError(faults)
    target = table.of(reference)
    effects = {batch: effect(table.of(batch), target) for batch in counts if batch != reference}
    pairs = pairs_of(table) if paired else []
    concordance = _concordance(table, effects, pairs) if paired else {}
    kept = tuple(name for name in table.features if not paired or concordance[name].ccc.value >= least_ccc)
    if not kept:
        best = max(concordance.items(), key=lambda one: np.nan_to_num(one[1].ccc.value, nan=-1.0))
        remedy = f"no feature agrees as well; the best is {best[0]} with {best[1].ccc.value:.2f}"
        raise ConfigError([Fault(key="--ccc", value=least_ccc, remedy=remedy)])
    scans = ", ".join(f"{count} of {batch}" for batch, count in counts.items())
    agreed = f"CCC of {least_ccc:g} or more in {len(pairs)} pairs" if paired else "without repeated scans"
    harmonisation = Harmonisation(
        batch_by=table.batch_by,
        reference=reference,
        batches={batch: _parameters(table, one) for batch, one in effects.items()},
        kept=kept,
        source=f"M-ComBat on {scans} ({named}); {len(kept)} of {len(table.features)} features kept, {agreed}",
    )
    return Fitted(
        harmonisation=harmonisation,
        table=table,
        concordance=concordance,
        largest_shift={batch: _largest(table, reference, batch) for batch in effects},
        pairs=len(pairs),
    )


def write(found: Fitted, path: Path) -> str:
    """Write the file of a bundle; its SHA-256, which model.toml has to state."""
    content = content_of(found.harmonisation)
    try:
        path.write_bytes(content)
    except OSError as error:
        remedy = f"cannot be written: {error.strerror}"
        raise ConfigError([Fault(key="--out", value=path.name, remedy=remedy)]) from error
    return hashlib.sha256(content).hexdigest()


def _concordance(
    table: FeatureTable, effects: Mapping[str, Effect], pairs: Sequence[tuple[int, int]]
) -> dict[str, Concordance]:
    harmonised = table.values.copy()
    for batch, one in effects.items():
        rows = [name == batch for name in table.batch]
        harmonised[rows] = (harmonised[rows] - one.shift) * one.factor
    both = harmonised[np.array(pairs)]
    return {
        name: Concordance(
            ccc=ccc(both[:, 0, column], both[:, 1, column]),
            icc_agreement=icc_agreement(both[:, :, column]),
            icc_consistency=icc_consistency(both[:, :, column]),
        )
        for column, name in enumerate(table.features)
    }


def _parameters(table: FeatureTable, one: Effect) -> dict[str, tuple[float, float]]:
    numbers = zip(table.features, one.shift, one.factor, strict=True)
    return {name: (float(shift), float(factor)) for name, shift, factor in numbers}


def _largest(table: FeatureTable, reference: str, batch: str) -> tuple[str, float]:
    target = table.of(reference)
    apart = (table.of(batch).mean(axis=0) - target.mean(axis=0)) / target.std(axis=0)
    place = int(np.argmax(np.abs(apart)))
    return table.features[place], float(apart[place]) if math.isfinite(apart[place]) else 0.0
