"""Compares what a model lately did on the images of a scanner with what it did before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy import stats

from dicomnode.config.alerts import Drift
from dicomnode.domain.outcome import Ending, Outcome
from dicomnode.store.database import Database
from dicomnode.store.outcomes import Origin, Outcomes

#: Runs that say something about the images; a fault of the node does not.
_SPEAKING = (Ending.DONE, Ending.BLOCKED, Ending.UNSUITABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What some runs came to; None where there is nothing to tell it from."""

    runs: int
    not_analysed_percent: float | None
    nothing_found_percent: float | None
    findings_mean: float | None
    volume_median_ml: float | None
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure that differs by more than chance and by enough to matter."""

    figure: str
    p_value: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """One model on one scanner: the newest runs, those before, and what has changed.

    Attributes
    ----------
    compared
        Whether there were enough runs on either side to say anything.
    """

    origin: Origin
    last: Figures
    before: Figures
    compared: bool
    changes: tuple[Change, ...]


def drifts(db: Database, table: Drift, least: int | None = None) -> list[Drifted]:
    """Every model and scanner with at least so many runs (by default: enough to be compared).

    Compared are studies, each once for a rule: `table.last` newest with `table.before` before them. Shares by Fisher's
    exact test, numbers by the Mann-Whitney U test with ties, both two-sided. A change is told where p is below
    `table.p_value` and the shares differ by `table.share_points`, or the medians (of findings: the means) by
    `table.median_percent`.
    """
    if not table.last or not table.before:
        return []
    rows = Outcomes(db)
    found = []
    for origin in rows.origins(2 * table.least if least is None else least):
        runs = rows.latest(origin, table.last + table.before)
        found.append(_compared(origin, runs[: table.last], runs[table.last :], table))
    return found


def _compared(origin: Origin, last: Sequence[Outcome], before: Sequence[Outcome], table: Drift) -> Drifted:
    enough = min(len(_speaking(last)), len(_speaking(before))) >= table.least
    changes = tuple(_changes(last, before, table)) if enough else ()
    return Drifted(origin=origin, last=_figures(last), before=_figures(before), compared=enough, changes=changes)


def _changes(last: Sequence[Outcome], before: Sequence[Outcome], table: Drift) -> Iterator[Change]:
    shares: tuple[tuple[str, Callable[[Sequence[Outcome]], list[bool]]], ...] = (
        ("not analysed", _not_analysed), ("nothing found", _nothing_found),
    )  # fmt: skip
    for name, share in shares:
        new, old = share(last), share(before)
        if min(len(new), len(old)) < table.least:
            continue
        counts = np.array([[sum(new), len(new) - sum(new)], [sum(old), len(old) - sum(old)]])
        p = float(stats.fisher_exact(counts).pvalue)
        now, then = 100 * sum(new) / len(new), 100 * sum(old) / len(old)
        if p < table.p_value and abs(now - then) >= table.share_points:
            text = f"{name} in {now:.0f} % of {len(new)} runs, {then:.0f} % of {len(old)} before (p = {p:.1g})"
            yield Change(figure=name, p_value=p, text=text)
    numbers: tuple[tuple[str, str, Callable[[Sequence[Outcome]], list[float]], Callable[[list[float]], float]], ...] = (
        ("findings per study", "", _findings, lambda values: float(np.mean(values))),
        ("median volume", " ml", _volumes, median),
    )
    for name, unit, number, middle in numbers:
        few, many = number(last), number(before)
        if min(len(few), len(many)) < table.least:
            continue
        p = float(stats.mannwhitneyu(few, many, alternative="two-sided", method="asymptotic").pvalue)
        now, then = middle(few), middle(many)
        if p < table.p_value and abs(now - then) * 100 >= table.median_percent * abs(then) and now != then:
            text = f"{name} {now:.3g}{unit} in {len(few)} runs, {then:.3g}{unit} in {len(many)} before (p = {p:.1g})"
            yield Change(figure=name, p_value=p, text=text)


def _figures(runs: Sequence[Outcome]) -> Figures:
    refused, nothing, findings, volumes = _not_analysed(runs), _nothing_found(runs), _findings(runs), _volumes(runs)
    return Figures(
        runs=len(runs),
        not_analysed_percent=100 * sum(refused) / len(refused) if refused else None,
        nothing_found_percent=100 * sum(nothing) / len(nothing) if nothing else None,
        findings_mean=float(np.mean(findings)) if findings else None,
        volume_median_ml=median(volumes) if volumes else None,
        failed=sum(one.ending is Ending.FAILED for one in runs),
    )


def _speaking(runs: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in runs if one.ending in _SPEAKING]


def _not_analysed(runs: Sequence[Outcome]) -> list[bool]:
    """Whether the quality gate, or something else about the series, stood in the way."""
    return [one.ending is not Ending.DONE for one in _speaking(runs)]


def _nothing_found(runs: Sequence[Outcome]) -> list[bool]:
    return [one.findings == 0 for one in runs if one.ending is Ending.DONE and one.findings is not None]


def _findings(runs: Sequence[Outcome]) -> list[float]:
    return [float(one.findings) for one in runs if one.ending is Ending.DONE and one.findings is not None]


def _volumes(runs: Sequence[Outcome]) -> list[float]:
    """Volumes of what was found; that nothing was is a figure of its own."""
    return [one.volume_ml for one in runs if one.ending is Ending.DONE and one.volume_ml]
