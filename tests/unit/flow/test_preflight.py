"""The check before the start finds what rules and models have against each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dicomnode.cli import app
from dicomnode.config import parse
from dicomnode.flow.preflight.models import models
from dicomnode.flow.verdict import Check, Verdict
from tests.toy import write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path)
    return tmp_path


def checks(folder: Path, rule: dict[str, Any], **work: Any) -> dict[str, Check]:
    rule = {"name": "r", "model": "toy", **rule}
    settings = parse({"models": {"folder": str(folder)}, "work": work, "rule": [rule]})
    return {one.subject: one for one in models(settings)}


def test_a_rule_for_an_input_that_the_model_lacks_fails_with_a_remedy(folder: Path) -> None:
    found = checks(folder, {"inputs": {"pet": {"Modality": "PT"}}})["rule r"]
    assert found.verdict is Verdict.FAIL and found.found == "rule r names input pet; model toy has ct"
    assert "[input.<name>]" in found.remedy


def test_a_rule_that_fits_its_model_needs_no_word(folder: Path) -> None:
    found = checks(folder, {"inputs": {"ct": {"Modality": "CT"}}}, device="cpu")
    assert set(found) == {"model toy"} and found["model toy"].verdict is Verdict.OK
    assert "runs on CPU" in found["model toy"].found


def test_a_candidate_that_is_not_there_fails_as_the_judge_of_a_reload_would_have_it(folder: Path) -> None:
    found = checks(folder, {"series": {"Modality": "CT"}, "shadow_model": "toy-2"})["rule r"]
    assert found.verdict is Verdict.FAIL and found.found.startswith("shadow_model toy-2 is not in")
    assert "known: toy" in found.remedy


def test_a_graphics_card_that_was_asked_for_and_is_not_there_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.infer.network.device.NVIDIA", folder / "no such device")
    found = checks(folder, {"series": {"Modality": "CT"}}, device="cuda")
    assert found["work.device"].verdict is Verdict.WARN and "cuda was asked for" in found["work.device"].found
    assert "runs on CPU" in found["model toy"].found


def told(*arguments: str, folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["models", *arguments, "--folder", str(folder)])
    return done.exit_code, done.output


def test_a_bundle_without_a_card_is_a_warning_since_nobody_can_know_what_it_is_for(folder: Path) -> None:
    (folder / "toy" / "CARD.md").unlink()
    settings = parse({"models": {"folder": str(folder)}})
    runs, lacks = list(models(settings))
    assert runs.verdict is Verdict.OK and (lacks.verdict, lacks.found) == (Verdict.WARN, "no CARD.md")
    assert told("verify", "toy", folder=folder) == (1, told("verify", folder=folder)[1])
    assert "toy 1.0.0: no CARD.md" in told("verify", folder=folder)[1]
    code, output = told("show", "toy", folder=folder)
    assert code == 0 and "sha256" in output and output.rstrip().endswith("no CARD.md")


def test_models_verify_without_a_name_checks_every_bundle_and_tells_each(folder: Path) -> None:
    shutil.copytree(folder / "toy", folder / "second")
    text = (folder / "second" / "model.toml").read_text().replace('"toy"', '"second"')
    (folder / "second" / "model.toml").write_text(text)
    code, output = told("verify", folder=folder)
    assert code == 0 and all(f"ok {one} 1.0.0: hash and network" in output for one in ("toy", "second"))
    (folder / "second" / "model.onnx").write_bytes(b"another")
    (folder / "broken").mkdir()
    (folder / "broken" / "model.toml").write_text("[model]\n")
    code, output = told("verify", folder=folder)
    assert code == 1 and "toy 1.0.0: hash and network are as declared" in output
    assert "second 1.0.0: model second: model.onnx has SHA-256" in " ".join(output.split())
    assert "broken: broken/model.toml" in output
