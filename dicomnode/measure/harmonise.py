"""Fits M-ComBat: what brings features of one scanner to the scale of a reference scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: Scans per batch: Orlhac et al., "A Guide to ComBat Harmonization of Imaging Biomarkers in Multicenter Studies",
#: J Nucl Med 2022;63:172, advise 20 to 30.
MINIMUM_SCANS = 20

#: The priors are the moments of the batch effects over features; of one feature there is no variance.
MINIMUM_FEATURES = 2

#: Largest relative change at which the estimates stand: `conv` of ComBat in R's package sva (Johnson 2007).
_CONVERGED = 1e-4

#: sva iterates without limit, and has converged in some tens of steps; this one ends a sequence that swings.
_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How one batch differs from the reference: harmonised = (value - shift) * factor.

    Attributes
    ----------
    shift, factor
        By feature, in the unit of the feature and without one.
    """

    shift: Values
    factor: Values


def effect(values: Values, reference: Values) -> Effect:
    """Location and scale of a batch against a reference batch, shrunk by parametric empirical Bayes.

    Johnson et al., Biostatistics 2007;8:118, with the reference batch of Stein et al., BMC Bioinformatics 2015;16:63:
    values are standardised by mean and standard deviation of the reference (divided by n, as sva does), whose own
    values do not change. One batch variable, no covariate of the outcome.

    Parameters
    ----------
    values, reference
        (scan, feature), finite; no feature is constant in either.
    """
    centre = reference.mean(axis=0)
    width = reference.std(axis=0)
    standard = (values - centre) / width
    location, scale = _shrunk(standard)
    root = np.sqrt(scale)
    # (value - centre - width * location) / root + centre, as a shift and a factor.
    return Effect(shift=centre * (1 - root) + width * location, factor=1 / root)


def _shrunk(standard: Values) -> tuple[Values, Values]:
    """Posterior location and variance of every feature of one batch; priors are those of its features together."""
    count = len(standard)
    own_mean, own_variance = standard.mean(axis=0), standard.var(axis=0, ddof=1)
    prior_mean, prior_spread = own_mean.mean(), own_mean.var(ddof=1)
    typical, spread = own_variance.mean(), own_variance.var(ddof=1)
    if spread == 0:
        # All features vary alike: the prior of the variance is a point, and so is the posterior.
        return _posterior_mean(own_mean, own_variance, prior_mean, prior_spread, count), own_variance
    shape = 2 + typical**2 / spread
    rate = typical + typical**3 / spread
    mean, variance = own_mean, own_variance
    for _ in range(_MOST_STEPS):
        new_mean = _posterior_mean(own_mean, variance, prior_mean, prior_spread, count)
        squares = ((standard - new_mean) ** 2).sum(axis=0)
        new_variance = (squares / 2 + rate) / (count / 2 + shape - 1)
        moved = max(_change(new_mean, mean), _change(new_variance, variance))
        mean, variance = new_mean, new_variance
        if moved <= _CONVERGED:
            break
    return mean, variance


def _posterior_mean(own: Values, variance: Values, prior: float, spread: float, count: int) -> Values:
    found: Values = (count * spread * own + variance * prior) / (count * spread + variance)
    return found


def _change(new: Values, old: Values) -> float:
    """Largest relative change; one that comes from zero is measured as it is."""
    return float(np.max(np.abs(new - old) / np.where(old == 0, 1, np.abs(old))))
