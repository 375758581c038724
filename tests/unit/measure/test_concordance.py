"""Coefficients of agreement equal published examples and what simulation says."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.measure.concordance import ccc, icc_agreement, icc_consistency

#: Shrout and Fleiss 1979, Table 2: six targets seen by four judges.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_icc_equals_the_example_of_shrout_and_fleiss() -> None:
    # Table 4 of the paper gives .29 and .71; the intervals are those of R's psych::ICC on the same data.
    random, mixed = icc_agreement(RATINGS), icc_consistency(RATINGS)
    assert (round(random.value, 2), round(mixed.value, 2)) == (0.29, 0.71)
    assert (random.low, random.high) == pytest.approx((0.019, 0.76), abs=0.005)
    assert (mixed.low, mixed.high) == pytest.approx((0.34, 0.95), abs=0.005)


def test_ccc_is_the_definition_of_lin() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0, 6.0]), np.array([1.5, 1.8, 3.3, 4.4, 5.0])
    expected_square = ((first - second) ** 2).mean()
    independent = first.var() + second.var() + (first.mean() - second.mean()) ** 2
    assert ccc(first, second).value == pytest.approx(1 - expected_square / independent)


def test_the_interval_of_ccc_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    mean, apart, covariance = 0.0, 0.4, np.array([[1.0, 0.85], [0.85, 1.2]])
    truth = 2 * 0.85 / (1.0 + 1.2 + apart**2)
    covered = 0
    for _ in range(600):
        pairs = random.multivariate_normal([mean, mean + apart], covariance, size=60)
        found = ccc(pairs[:, 0], pairs[:, 1])
        covered += found.low <= truth <= found.high
    # Binomial error of 600 trials at 0.95 is 0.009.
    assert covered / 600 == pytest.approx(0.95, abs=0.03)


def test_equal_repetitions_agree_wholly_and_constant_ones_are_undefined() -> None:
    same = np.array([1.0, 2.0, 4.0, 8.0])
    assert ccc(same, same).low == ccc(same, same).value == pytest.approx(1)
    assert icc_agreement(np.stack([same, same], axis=1)).low == pytest.approx(1)
    assert np.isnan(ccc(np.ones(4), same).value)
    assert np.isnan(icc_consistency(np.ones((4, 2))).value)


def test_a_shift_between_repetitions_spoils_agreement_but_not_consistency() -> None:
    random = np.random.default_rng(1)
    first = random.normal(size=200)
    both = np.stack([first, first + 1 + random.normal(scale=0.05, size=200)], axis=1)
    assert icc_consistency(both).value > 0.99
    assert icc_agreement(both).value < 0.75
