"""Evaluation of the lung model on a real patient with the contours of experts, by the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicomnode.cli import app

pytestmark = pytest.mark.acceptance

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_lungs_of_a_real_patient_agree_with_the_experts(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.log.configure", lambda *_settings: None)
    words = ["models", "evaluate", "lung-ct", "--cases", str(real_data / "lung1"), "--models", str(MODELS)]
    roi = ["--roi", "lung_left=Lung L", "--roi", "lung_right=Lung R", "--exclude", "GTV-1"]
    done = CliRunner().invoke(app, [*words, *roi, "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["structure"]: row for row in csv.DictReader(file)}
    # As the model's card says, to the third decimal less what another version of a library may change.
    assert float(rows["Left lung"]["dice"]) > 0.96 and float(rows["Right lung"]["dice"]) > 0.945
    for row in rows.values():
        assert float(row["jaccard"]) == pytest.approx(float(row["dice"]) / (2 - float(row["dice"])))
        assert 0 < float(row["hd95_mm"]) < 10 and float(row["surface_dice"]) > 0.7
    figures = json.loads((tmp_path / "out" / "summary.json").read_text())["figures"]
    assert [one["cases"] for one in figures] == [1, 1]
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
