"""The check before the start finds what rules and models have against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.flow.preflight_models import models
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


def test_a_graphics_card_that_was_asked_for_and_is_not_there_is_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.infer.network.device.NVIDIA", folder / "no such device")
    found = checks(folder, {"series": {"Modality": "CT"}}, device="cuda")
    assert found["work.device"].verdict is Verdict.WARN and "cuda was asked for" in found["work.device"].found
    assert "runs on CPU" in found["model toy"].found
