"""Networks that rules name are loaded before the first job asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.flow.models.ready import ready
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from tests.toy import write_bundle

pytest.importorskip("onnx")


def settings(folder: Path) -> Settings:
    rule: dict[str, Any] = {"name": "dense", "model": "toy", "destinations": ["sender"], "series": {"Modality": "CT"}}
    return parse({"models": {"folder": str(folder)}, "rule": [rule]})


def test_a_network_that_a_rule_names_is_loaded_before_its_first_job(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    sessions = Sessions(threads=1, device="cpu")
    spec = load_bundle(tmp_path / "toy")
    ready(settings(tmp_path), sessions)
    # Whoever read the file now would miss it.
    (tmp_path / "toy" / "model.onnx").unlink()
    assert sessions.get(spec) is not None


def test_a_network_that_cannot_be_loaded_leaves_the_others_their_turn(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "toy" / "model.onnx").write_bytes(b"no network")
    ready(settings(tmp_path), Sessions(threads=1, device="cpu"))
