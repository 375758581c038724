"""How well repeated scans agree on a feature: concordance and intraclass correlation with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

#: Fewest pairs: the variance of Lin's estimate is divided by n - 2.
MINIMUM_PAIRS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A coefficient with its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def ccc(first: Values, second: Values, level: float = 0.95) -> Agreement:
    """Lin's concordance correlation coefficient of pairs.

    Lin, Biometrics 1989;45:255, moments divided by n; the interval by Fisher's z with the variance as corrected in
    Biometrics 2000;56:324.

    Parameters
    ----------
    first, second
        One number per pair, `MINIMUM_PAIRS` or more.
    """
    count = len(first)
    a, b = float(first.var()), float(second.var())
    apart = float(first.mean() - second.mean())
    together = float(((first - first.mean()) * (second - second.mean())).mean())
    whole = a + b + apart**2
    if a <= 0 or b <= 0:
        return Agreement(value=math.nan, low=math.nan, high=math.nan)
    value = 2 * together / whole
    r = together / math.sqrt(a * b)
    if abs(value) >= 1 or r == 0:
        return Agreement(value=value, low=value, high=value) if r else Agreement(value=0.0, low=math.nan, high=math.nan)
    u2 = apart**2 / math.sqrt(a * b)
    variance = (
        (1 - r**2) * value**2 / ((1 - value**2) * r**2)
        + 2 * value**3 * (1 - value) * u2 / (r * (1 - value**2) ** 2)
        - value**4 * u2**2 / (2 * r**2 * (1 - value**2) ** 2)
    ) / (count - 2)
    reach = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(max(0.0, variance))
    z = math.atanh(value)
    return Agreement(value=value, low=math.tanh(z - reach), high=math.tanh(z + reach))


def icc_agreement(values: Values, level: float = 0.95) -> Agreement:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Shrout and Fleiss, Psychological Bulletin 1979;86:420; the interval after McGraw and Wong, Psychological Methods
    1996;1:30.

    Parameters
    ----------
    values
        (subject, repetition), three subjects and two repetitions or more.
    """
    n, k = values.shape
    rows, columns, rest = _mean_squares(values)
    below = rows + (k - 1) * rest + k * (columns - rest) / n
    if below <= 0:
        return Agreement(value=math.nan, low=math.nan, high=math.nan)
    value = (rows - rest) / below
    if rest <= 0 and columns <= 0:
        return Agreement(value=value, low=value, high=value)
    if value == 1:
        return Agreement(value=1.0, low=1.0, high=1.0)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * columns + b * rest) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1)))
    upper = float(stats.f.ppf((1 + level) / 2, n - 1, freedom))
    lower = float(stats.f.ppf((1 + level) / 2, freedom, n - 1))
    between = k * columns + (k * n - k - n) * rest
    return Agreement(
        value=value,
        low=n * (rows - upper * rest) / (upper * between + n * rows),
        high=n * (lower * rows - rest) / (between + n * lower * rows),
    )


def icc_consistency(values: Values, level: float = 0.95) -> Agreement:
    """ICC(3,1): two-way mixed effects, consistency, single measurement; sources and shape as `icc_agreement`."""
    n, k = values.shape
    rows, _, rest = _mean_squares(values)
    if rows <= 0 and rest <= 0:
        return Agreement(value=math.nan, low=math.nan, high=math.nan)
    value = (rows - rest) / (rows + (k - 1) * rest)
    if rest <= 0:
        return Agreement(value=value, low=value, high=value)
    ratio, inner, outer = rows / rest, n - 1, (n - 1) * (k - 1)
    low = ratio / float(stats.f.ppf((1 + level) / 2, inner, outer))
    high = ratio * float(stats.f.ppf((1 + level) / 2, outer, inner))
    return Agreement(value=value, low=(low - 1) / (low + k - 1), high=(high - 1) / (high + k - 1))


def _mean_squares(values: Values) -> tuple[float, float, float]:
    """Between subjects, between repetitions, and what is left."""
    n, k = values.shape
    whole = values.mean()
    subjects, repetitions = values.mean(axis=1), values.mean(axis=0)
    rows = k * float(((subjects - whole) ** 2).sum()) / (n - 1)
    columns = n * float(((repetitions - whole) ** 2).sum()) / (k - 1)
    left = values - subjects[:, None] - repetitions[None, :] + whole
    rest = float(np.square(left).sum()) / ((n - 1) * (k - 1))
    return rows, columns, rest
