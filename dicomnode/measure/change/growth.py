"""How one lesion changed between two times: percentages, growth rate and doubling time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

from dicomnode.domain.response import Change, Lesion, Standing

#: What is told of a change, by names of `Lesion`.
QUANTITIES = ("longest_mm", "short_mm", "volume_ml", "product_mm2")


def change(before: Lesion, now: Lesion, days: int) -> Change:
    """The change of a lesion that was found again.

    Growth is taken as exponential between both times: specific growth rate ln(V2 / V1) / t (Mehrara et al., Cancer
    Res 2007;67:3970), doubling time ln 2 · t / ln(V2 / V1) (Schwartz, Cancer 1961;14:1272).

    Parameters
    ----------
    days
        From before to now. On one day there is neither a rate nor a doubling time.
    """
    rate = _rate_per_day(before.volume_ml, now.volume_ml, days)
    return Change(
        standing=Standing.MATCHED,
        before=before,
        now=now,
        percent=dict(_percents(before, now)),
        growth_percent_per_day=None if rate is None else 100.0 * rate,
        doubling_days=math.log(2.0) / rate if rate else None,
    )


def percent(before: float, now: float) -> float | None:
    """Change in percent; None from zero."""
    return 100.0 * (now - before) / before if before else None


def days_between(before: date, now: date) -> int:
    """Whole days."""
    return (now - before).days


def _percents(before: Lesion, now: Lesion) -> Iterator[tuple[str, float]]:
    for name in QUANTITIES:
        earlier, later = getattr(before, name), getattr(now, name)
        changed = None if earlier is None or later is None else percent(earlier, later)
        if changed is not None:
            yield name, changed


def _rate_per_day(before_ml: float | None, now_ml: float | None, days: int) -> float | None:
    if not before_ml or not now_ml or days <= 0:
        return None
    return math.log(now_ml / before_ml) / days
