"""Mean and standard deviation of many voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dicomnode.measure.moments import mean_and_deviation


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 7, 128, 65_536, 65_537, 1_000_003])
def test_the_sums_are_numpys_to_the_bit(kind: type, count: int) -> None:
    values: np.ndarray[Any, Any] = np.random.default_rng(count).normal(90, 30, count).astype(kind)
    in_double = values.astype(np.float64)
    assert mean_and_deviation(values) == (in_double.mean(), in_double.std())
