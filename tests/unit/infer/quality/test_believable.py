"""Values that cannot be what their unit says are told, and a CT far from Hounsfield units is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dicomnode.domain.model import Severity
from dicomnode.infer.quality.believable import intensity_range
from tests.headers import SHAPE, series

HU = "[hnsf'U]"


def spread(low: float, high: float, kind: Any = np.int32) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(SHAPE))).reshape(SHAPE).astype(kind)


def mixed(**shares: float) -> np.ndarray:
    """192 voxels: `v` followed by a value (m for minus) → the share that has it."""
    values = [int(name[1:].replace("m", "-")) for name in shares]
    array = np.repeat(values, [round(192 * share) for share in shares.values()])
    return np.resize(array, SHAPE).astype(np.int32)


@pytest.mark.parametrize(
    ("array", "passed", "severity"),
    [
        (spread(-1000, 2000), True, Severity.WARN),
        (mixed(vm2000=0.5, vm1000=0.25, v40=0.25), True, Severity.WARN),
        # A head whose field of view holds no air.
        (spread(10, 90), True, Severity.WARN),
        # Stored values 1000 too high, unsigned values read as they are, padding throughout.
        (spread(300, 3900), False, Severity.WARN),
        (spread(58976, 58984), False, Severity.BLOCK),
        (spread(-3024, -2000), False, Severity.BLOCK),
        (mixed(v40=0.5, v9000=0.5), False, Severity.WARN),
    ],
)
def test_a_ct_lies_between_air_and_metal_and_shows_air_or_tissue(
    array: np.ndarray, passed: bool, severity: Severity
) -> None:
    (check,) = intensity_range(series(array=array, unit=HU))
    assert (check.passed, check.severity) == (passed, severity)
    assert check.limit == "-1100 to 4000 HU with air or soft tissue"


def test_what_was_found_is_told_in_hounsfield_units() -> None:
    (check,) = intensity_range(series(array=np.resize([9000, 9100], SHAPE), unit=HU))
    assert check.found == "1 % to 99 % of intensities from 9000 to 9100 HU without air or soft tissue"


def test_what_is_no_number_is_not_looked_at() -> None:
    array = spread(-1000, 100, np.float32)
    array[0] = np.nan
    (check,) = intensity_range(series(array=array, unit=HU))
    assert check.passed


@pytest.mark.parametrize(("highest", "passed"), [(0.01, False), (4.0, True), (240.0, True), (5e4, False)])
def test_uptake_beyond_any_body_is_mentioned(highest: float, passed: bool) -> None:
    (check,) = intensity_range(series(Modality="PT", array=spread(0, highest, np.float32), unit="g/ml{SUVbw}"))
    assert (check.passed, check.severity) == (passed, Severity.WARN)


@pytest.mark.parametrize(("array", "passed"), [(spread(0, 800), True), (spread(-900, -1), False)])
def test_an_mr_without_signal_is_mentioned(array: np.ndarray, passed: bool) -> None:
    (check,) = intensity_range(series(Modality="MR", array=array))
    assert (check.passed, check.severity) == (passed, Severity.WARN)


def test_nothing_is_said_of_values_whose_range_is_not_known() -> None:
    assert list(intensity_range(series(Modality="PT", unit="Bq/ml"))) == []
    assert list(intensity_range(series(Modality="MR", unit="um2/s"))) == []
