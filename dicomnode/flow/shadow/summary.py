"""Sums up what candidates answered: per rule and figure the median, and bias with limits of agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dicomnode.store.shadow import Compared, Difference

#: Limits of agreement lie that many standard deviations beside the mean difference (Bland and Altman, Lancet
#: 1986;327:307-310).
_LIMIT = 1.96

#: Figures that are differences, for which bias and limits mean something.
_DIFFERENCES = ("volume", "score", "probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One figure over all comparisons of a rule with a candidate.

    Attributes
    ----------
    n
        Comparisons in which both models told it; `of` is all that did not fail.
    median
        Of coefficients and counts; of differences the median difference.
    bias, low, high
        Mean difference, candidate minus model, and the limits between which 95 % of normally distributed differences
        lie; None where the figure is no difference, the limits also with fewer than two.
    """

    rule: str
    model: str
    candidate: str
    figure: str
    subject: str
    code: str
    unit: str
    n: int
    of: int
    median: float | None
    bias: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How often a candidate was tried beside a model, why it failed, and how long both took (median, seconds)."""

    rule: str
    model: str
    candidate: str
    versions: tuple[str, ...]
    done: int
    failed: int
    reasons: tuple[str, ...]
    model_seconds: float | None
    candidate_seconds: float | None
    figures: tuple[Summary, ...]


def summed_up(rows: Sequence[Compared]) -> list[Tried]:
    """Each rule and candidate, in the order in which they were first tried."""
    groups: dict[tuple[str, str, str], list[Compared]] = {}
    for row in rows:
        groups.setdefault((row.rule, row.model, row.candidate), []).append(row)
    return [_tried(*key, group) for key, group in groups.items()]


def _tried(rule: str, model: str, candidate: str, rows: Sequence[Compared]) -> Tried:
    done = [row for row in rows if not row.reason]
    return Tried(
        rule=rule, model=model, candidate=candidate,
        versions=tuple(dict.fromkeys(row.version for row in done)),
        done=len(done), failed=len(rows) - len(done),
        reasons=tuple(dict.fromkeys(row.reason for row in rows if row.reason)),
        model_seconds=_median([row.model_seconds for row in done]),
        candidate_seconds=_median([row.candidate_seconds for row in done]),
        figures=tuple(_figures(rule, model, candidate, done)),
    )  # fmt: skip


def _figures(rule: str, model: str, candidate: str, rows: Sequence[Compared]) -> Iterator[Summary]:
    figures: dict[tuple[str, str, str], list[Difference]] = {}
    for row in rows:
        for one in row.differences:
            figures.setdefault((one.figure, one.code, one.subject), []).append(one)
    for (figure, code, subject), found in figures.items():
        values = [one.value for one in found if one.value is not None]
        bias = low = high = None
        if figure in _DIFFERENCES and values:
            bias = float(np.mean(values))
            if len(values) > 1:
                spread = _LIMIT * float(np.std(values, ddof=1))
                low, high = bias - spread, bias + spread
        yield Summary(
            rule=rule, model=model, candidate=candidate, figure=figure, subject=subject, code=code,
            unit=found[0].unit, n=len(values), of=len(rows), median=_median(values), bias=bias, low=low, high=high,
        )  # fmt: skip


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None
