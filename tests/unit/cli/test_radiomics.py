"""The verbs on cohorts as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dicomnode import cli


def typed(monkeypatch: pytest.MonkeyPatch, words: Sequence[str]) -> int:
    """Exit status of the command."""
    monkeypatch.setattr("sys.argv", ["dicomnode", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_harmonise_writes_the_file_and_the_lines_of_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)
    table = tmp_path / "features.csv"
    lines = ["ManufacturerModelName,patient,original_firstorder_Mean,original_glcm_Contrast"]
    for patient in range(25):
        mean, contrast = random.normal(40, 10), random.normal(8, 2)
        lines += [f"A,{patient},{mean},{contrast}", f"B,{patient},{1.3 * mean + 10},{random.normal(8, 2)}"]
    table.write_text("\n".join(lines))
    out = tmp_path / "harmonisation.json"
    words = ["radiomics", "harmonise", str(table), "--batch", "ManufacturerModelName", "--retest", "patient"]
    assert typed(monkeypatch, [*words, "--reference", "A", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 features kept" in said and "original_glcm_Contrast" in said and "[harmonisation]" in said
    assert json.loads(out.read_text())["kept"] == ["original_firstorder_Mean"]
    assert typed(monkeypatch, [*words, "--reference", "Z", "--out", str(out)]) == 2
    assert "no such batch; there are A, B" in capsys.readouterr().err


def test_extract_asks_for_settings_and_for_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["radiomics", "extract", "--out", str(tmp_path / "f.csv")]
    assert typed(monkeypatch, [*words, str(tmp_path)]) == 2
    assert "--settings FILE or --model NAME" in capsys.readouterr().err
    settings = tmp_path / "settings.toml"
    settings.write_text("[radiomics]\n")
    assert typed(monkeypatch, [*words, "--settings", str(settings)]) == 2
    assert "PATHS or --store" in capsys.readouterr().err


def test_extract_without_any_case_says_so_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, dicom = tmp_path / "settings.toml", tmp_path / "dicom"
    settings.write_text("[radiomics]\n")
    dicom.mkdir()
    out = tmp_path / "f.csv"
    assert typed(monkeypatch, ["radiomics", "extract", str(dicom), "--out", str(out), "--settings", str(settings)]) == 1
    assert "0 cases measured" in capsys.readouterr().out
    assert out.read_text().startswith("patient,study_instance_uid")
