"""Units as bundles write them: known ones in either spelling, and what a series in another unit means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.sr.codedict import Collection

from dicomnode.infer.quality.intensity import RULES
from dicomnode.infer.quality.units import canonical, known
from dicomnode.infer.read.suv import UNITS
from tests.headers import series


def test_every_kind_of_suv_is_written_as_the_standard_codes_it() -> None:
    assert set(UNITS.values()) <= {code.value for code in Collection("CID85").concepts.values()}


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("{SUVbw}g/ml", "g/ml{SUVbw}"),
        ("g/mL{SUVlbm(Janma)}", "g/ml{SUVlbm(Janma)}"),
        ("{SUVbsa}cm2/ml", "cm2/ml{SUVbsa}"),
        ("{counts}/s", "{counts}/s"),
        ("[arb'U]", "1"),
        ("[hnsf'U]", "[hnsf'U]"),
        ("um2/s", "um2/s"),
        ("g/ml", "g/ml"),
    ],
)
def test_a_unit_may_be_written_in_either_way(written: str, unit: str) -> None:
    assert known(written) == canonical(written) == unit


@pytest.mark.parametrize("unit", ["HU", "SUV", "BQML", "g/ml{SUVbq}", "g/ml{SUVlbm}", "", "kg"])
def test_a_unit_in_which_no_series_is_read_is_not_known(unit: str) -> None:
    with pytest.raises(ValueError, match=r"no series is read in .*; write \[hnsf'U\], .*g/ml\{SUVbw\}"):
        known(unit)


def test_units_are_compared_whatever_their_spelling() -> None:
    pet = series(Modality="PT", unit="g/ml{SUVbw}")
    assert RULES["units"](pet, ("{SUVbw}g/ml",)).passed
    assert not RULES["units"](pet, ("g/ml{SUVbsa}",)).passed


def test_a_pet_without_suv_cannot_feed_a_model_that_needs_it() -> None:
    limit = ("g/ml{SUVbw}",)
    outcome = RULES["units"](series(Modality="PT", unit="Bq/ml"), limit)
    assert (outcome.passed, outcome.found, outcome.needed) == (False, "intensities in Bq/ml", "g/ml{SUVbw}")
    assert RULES["units"](series(Modality="PT", unit="g/ml{SUVbw}"), limit).passed


def test_the_reason_why_there_is_no_suv_is_told() -> None:
    source = replace(series(unit="Bq/ml"), warnings=("no SUV: no plausible weight: 0 kg", "something else"))
    found = RULES["units"](source, ("g/ml{SUVbw}",)).found
    assert found == "intensities in Bq/ml (no SUV: no plausible weight: 0 kg)"
