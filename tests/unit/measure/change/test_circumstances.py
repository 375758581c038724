"""What forbids a comparison, what limits it, and what does neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dicomnode.measure.change.circumstances import Circumstances, judge

CT = Circumstances(modality="CT", thickness_mm=2.5, kernel="B30f", contrast=True, phase="portal_venous")
PET = Circumstances(modality="PT", thickness_mm=4.0, uptake_minutes=60.0, reconstruction="OSEM 3i21s")


@pytest.mark.parametrize("same", [CT, PET])
def test_the_same_circumstances_neither_forbid_nor_limit(same: Circumstances) -> None:
    verdict = judge(same, same)
    assert verdict.forbids == () and verdict.limits == ()


@pytest.mark.parametrize(("base", "other", "words"), [
    (CT, {"modality": "MR"}, "CT then, MR now"),
    (CT, {"contrast": False}, "contrast agent present then, absent now"),
    (CT, {"phase": "arterial"}, "contrast phase portal venous then, arterial now"),
    (CT, {"thickness_mm": 5.1}, "slice thickness 2.5 mm then, 5.1 mm now"),
    (CT, {"thickness_mm": 1.2}, "slice thickness 2.5 mm then, 1.2 mm now"),
    (PET, {"uptake_minutes": 70.1}, "uptake time 60 min then, 70.1 min now"),
    (PET, {"reconstruction": "PSF+TOF 2i21s"}, "reconstruction"),
])  # fmt: skip
def test_what_moves_numbers_as_far_as_the_thresholds_forbids(
    base: Circumstances, other: dict[str, Any], words: str
) -> None:
    assert any(words in text for text in judge(base, replace(base, **other)).forbids)


@pytest.mark.parametrize(("base", "other", "words"), [
    (CT, {"thickness_mm": 5.0}, "slice thickness"),
    (CT, {"kernel": "B70f"}, "kernel B30f then, B70f now"),
    (CT, {"contrast": None}, "contrast agent is stated then only"),
    (PET, {"uptake_minutes": None}, "uptake time is stated then only"),
])  # fmt: skip
def test_lesser_differences_and_what_is_not_stated_limit(base: Circumstances, other: Any, words: str) -> None:
    verdict = judge(base, replace(base, **other))
    assert verdict.forbids == () and any(words in text for text in verdict.limits)


def test_an_uptake_of_ten_minutes_more_is_allowed() -> None:
    assert judge(PET, replace(PET, uptake_minutes=70.0)) == judge(PET, PET)


def test_words_name_what_is_known() -> None:
    assert CT.words == {
        "modality": "CT", "slice thickness": "2.5 mm", "kernel": "B30f", "contrast agent": "present",
        "contrast phase": "portal venous",
    }  # fmt: skip
