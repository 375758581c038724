"""The shipped lung model against expert contours on a real patient, beside thresholding with closing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.train.evaluate_lung import on_study, table

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).resolve().parents[2]


def test_the_lungs_of_lung1_002_agree_with_the_expert_and_better_than_thresholding(
    real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = real_data / "lung1" / "LUNG1-002_20180526_CT"
    found = on_study(study, ROOT / "models" / "lung-ct", "Lung R", "Lung L", "GTV-1")
    with capsys.disabled():
        print("\n" + table({study.name: [found]}))  # noqa: T201 - the figures belong beside each other in the log
    right, left = found.network
    assert right >= 0.93 and left >= 0.95
    assert right > found.baseline[0] and left > found.baseline[1]
