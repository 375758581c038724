"""Cards of models: what CLAIM and TRIPOD ask for is told or named, and the RQS sheet adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicomnode.domain.model import ModelSpec, Task
from dicomnode.flow.models.card import lacking
from dicomnode.flow.models.rqs import RQS, rqs_sheet
from dicomnode.infer.bundle.load import load_bundle
from tests.toy import CARD, write_bundle


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    return load_bundle(write_bundle(tmp_path))


def test_a_whole_card_lacks_nothing_and_an_empty_one_everything(spec: ModelSpec) -> None:
    assert list(lacking(spec, CARD)) == []
    found = list(lacking(spec, "# A toy\n"))
    assert len(found) == 9 and "intended use (CLAIM 3)" in found


@pytest.mark.parametrize("heading", ["Intended use", "Model", "Training", "Performance", "Limits", "Licence"])
def test_a_section_that_is_gone_or_marked_as_missing_is_told(spec: ModelSpec, heading: str) -> None:
    for card in (
        CARD.replace(f"## {heading}", "## Else"),
        CARD.replace(f"## {heading}\n", f"## {heading}\nMISSING: it. "),
    ):
        assert any(heading.lower().split()[0] in one for one in lacking(spec, card))


@pytest.mark.parametrize("said", ["Good by", "Not measured anywhere, 1 test of 2026 by"])
def test_performance_without_a_figure_is_none(spec: ModelSpec, said: str) -> None:
    assert list(lacking(spec, CARD.replace("Dice 1.0 by", said))) == ["performance, with figures (CLAIM 28 to 37)"]


def test_a_score_has_to_tell_what_tripod_asks_for(spec: ModelSpec) -> None:
    score = replace(spec, task=Task.SCORE)
    found = list(lacking(score, CARD))
    assert all("TRIPOD" in one for one in found) and any("calibration" in one for one in found)
    more = """
## Outcome
Death within two years of the scan.
## Predictors
Four features of the tumour.
## Participants
420 patients with 373 events; cases with missing data were left out.
## Missing data
Cases with missing data were left out.
## Validation
Performance in other patients: c-index 0.65, calibration by plot; external validation in 136.
## Performance, as TRIPOD asks
C-index 0.65 in external validation, calibration slope 0.9.
"""
    assert list(lacking(score, CARD + more)) == []


def test_what_only_measures_needs_neither_data_nor_training(spec: ModelSpec) -> None:
    card = "\n".join(
        f"## {name}\nErrors of 0.4 mm or less." for name in ("Intended use", "Performance", "Limits", "Licence")
    )
    assert list(lacking(replace(spec, task=Task.MEASURE), card)) == []


def test_the_sheet_has_sixteen_criteria_and_thirty_six_points() -> None:
    assert len(RQS) == 16 and sum(most for _name, _least, most in RQS) == 36
    rows, total = rqs_sheet("RQS 5: 3\nRQS 12: −5\nRQS 1: 9\n")
    assert total == "-2 of 36 points; 2 of 16 criteria stated in the card"
    assert rows[0][3] == "9, out of range" and rows[4][3] == "3" and rows[1][3] == ""
