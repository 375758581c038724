"""The shipped lesion model on a real patient: the tumour is among its candidates, and what else it marks is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.train.evaluate_lesions import case_text, on_study

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]


def test_the_tumour_of_lung1_002_is_among_the_candidates(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = real_data / "lung1" / "LUNG1-002_20180526_CT"
    case, mask = on_study(study, ROOT / "models" / "lung-lesion-ct")
    with capsys.disabled():
        print("\n" + case_text(study.name, case, mask, "GTV-1"))  # noqa: T201 - figures belong in the log
    (tumour,) = case.truths
    assert tumour.found
    assert case.false_positives < len(case.candidates) <= 8
