"""ComBat recovers known effects of batches, and equals its published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.measure.harmonise import effect

Values = NDArray[np.float64]


def combat(values: Values, reference: Values) -> Values:
    """Johnson 2007, equations 3.1 and 3.2, for a reference batch, feature by feature as plain loops."""
    centre, width = reference.mean(axis=0), reference.std(axis=0)
    z = (values - centre) / width
    count, features = z.shape
    gamma = [z[:, g].mean() for g in range(features)]
    delta = [z[:, g].var(ddof=1) for g in range(features)]
    tau2, bar = np.var(gamma, ddof=1), np.mean(gamma)
    v, s2 = np.mean(delta), np.var(delta, ddof=1)
    alpha, beta = (v**2 + 2 * s2) / s2, (v**3 + v * s2) / s2
    out = np.empty_like(values)
    for g in range(features):
        mean, variance = gamma[g], delta[g]
        for _ in range(500):
            mean = (count * tau2 * gamma[g] + variance * bar) / (count * tau2 + variance)
            variance = (beta + ((z[:, g] - mean) ** 2).sum() / 2) / (count / 2 + alpha - 1)
        out[:, g] = width[g] / np.sqrt(variance) * (z[:, g] - mean) + centre[g]
    return out


def batches(scans: int, features: int) -> tuple[Values, Values, Values, Values]:
    random = np.random.default_rng(3)
    scale, level = random.uniform(0.5, 40, features), random.uniform(-200, 300, features)
    shift, factor = random.normal(1.2, 0.6, features), random.uniform(0.6, 1.6, features)
    reference = level + scale * random.normal(size=(scans, features))
    other = level + scale * (shift + factor * random.normal(size=(scans, features)))
    return reference, other, level + scale * shift - level / (1 / factor), factor


def test_it_equals_the_formulas_of_the_paper() -> None:
    reference, other, *_ = batches(25, 40)
    found = effect(other, reference)
    expected = combat(other, reference)
    # The fitted values stop at a relative change of 1e-4, the formulas above run on.
    assert np.abs((other - found.shift) * found.factor - expected).max() < 2e-3 * reference.std(axis=0).max()


def test_known_effects_are_recovered() -> None:
    reference, other, _, factor = batches(4000, 30)
    found = effect(other, reference)
    harmonised = (other - found.shift) * found.factor
    # Four standard errors of mean and standard deviation of 4 000 numbers, each of both batches.
    assert (harmonised.mean(axis=0) - reference.mean(axis=0)) / reference.std(axis=0) == pytest.approx(0, abs=0.09)
    assert harmonised.std(axis=0) / reference.std(axis=0) == pytest.approx(1, abs=0.065)
    assert found.factor * factor == pytest.approx(1, abs=0.065)


def test_few_scans_are_drawn_towards_what_all_features_show() -> None:
    random = np.random.default_rng(5)
    reference = random.normal(size=(2000, 60))
    other = 1.0 + random.normal(size=(20, 60))
    found = effect(other, reference)
    raw = other.mean(axis=0)
    assert np.std(found.shift) < np.std(raw)
    # Where every feature is truly shifted by one, the shrunk shifts lie nearer to it than the means themselves.
    located = (other.mean(axis=0) - found.shift) * found.factor
    assert np.abs(raw - located - 1).mean() < np.abs(raw - 1).mean()


def test_a_batch_like_the_reference_is_left_as_it_is() -> None:
    random = np.random.default_rng(6)
    reference = random.normal(5, 2, size=(5000, 10))
    other = random.normal(5, 2, size=(5000, 10))
    found = effect(other, reference)
    # Four standard errors of a mean and of a standard deviation, of both batches.
    assert (other - found.shift) * found.factor - other == pytest.approx(0, abs=0.9)
    assert found.factor == pytest.approx(1, abs=0.06)


def test_features_that_vary_alike_are_no_error() -> None:
    reference = np.array([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]])
    found = effect(reference + np.array([5.0, 7.0]), reference)
    assert np.isfinite(found.shift).all() and np.isfinite(found.factor).all()
