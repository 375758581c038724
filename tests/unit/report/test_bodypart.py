"""Side and body part: what type 2C asks for, and nothing invented."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from dicomnode.report.bodypart import tell_body_part


@pytest.mark.parametrize(
    ("part", "side", "expected"),
    [("CHEST", "", None), ("KNEE", "", ""), ("KNEE", "L", "L"), ("", "", ""), ("", "R", "R")],
)
def test_the_side_is_told_empty_or_left_out(part: str, side: str, expected: str | None) -> None:
    header, result = Dataset(), Dataset()
    header.BodyPartExamined, header.Laterality = part, side
    tell_body_part(result, header)
    assert result.get("BodyPartExamined") == (part or None)
    assert ("Laterality" in result) == (expected is not None)
    assert (result.get("Laterality") or "") == (expected or "")
