"""The verbs on models as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode import cli
from tests.unit.flow import evaluating
from tests.unit.flow.evaluating import BLOCK

Typed = Callable[..., tuple[int, str]]


CONFIGURATION = """
[store]
folder = "store"
[models]
folder = "models"
[work]
device = "cpu"
[[peer]]
name = "PACS"
aet = "PACS"
host = "127.0.0.1"
port = 104
[[rule]]
name = "r"
model = "dense"
outputs = ["sr"]
use = "clinical"
destinations = ["PACS"]
[rule.series]
Modality = "CT"
"""


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    monkeypatch.setattr("dicomnode.log.configure", lambda *_settings: None)
    monkeypatch.setenv("COLUMNS", "400")

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["dicomnode", "models", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    return run


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration with one clinical rule."""
    evaluating.bundle(tmp_path / "models")
    evaluating.case(tmp_path / "cases", "1", {"GTV-1": [BLOCK]})
    (tmp_path / "store").mkdir(mode=0o700)
    path = tmp_path / "dicomnode.toml"
    path.write_text(CONFIGURATION)
    return path


def test_evaluate_prints_figures_and_writes_a_report(typed: Typed, site: Path, tmp_path: Path) -> None:
    words = ["evaluate", "dense", "--cases", tmp_path / "cases", "--models", tmp_path / "models", "--device", "cpu"]
    code, said = typed(*words, "--out", tmp_path / "out", "--roi", "lesions=GTV-1")
    assert code == 0 and "Surface Dice" in said and "1 cases tried" in said and "report.html" in said
    code, said = typed(*words, "--out", tmp_path / "other", "--roi", "liver=Liver")
    assert code == 2 and "model dense has lesions, dense" in said
    code, said = typed(*words, "--out", tmp_path / "third", "--roi", "lesions=Liver")
    assert code == 1 and "1 not evaluated" in said


def test_accept_disable_enable_and_list_tell_of_each_other(typed: Typed, site: Path, tmp_path: Path) -> None:
    by_config = ["--config", site]
    code, said = typed("accept", "dense", "--cases", tmp_path / "cases", "--by", "Dr Accepts", *by_config)
    assert code == 0, said
    assert "model dense 1.0.0 is accepted by Dr Accepts on 1 cases" in said
    assert (tmp_path / "store" / "acceptance" / "dense" / "report.html").is_file()
    code, said = typed("list", *by_config, "--warm")
    assert code == 0 and "as declared" in said and "CPU" in said
    code, said = typed("disable", "dense", "--reason", "recalled", *by_config)
    assert code == 0 and "0 jobs are held" in said
    code, said = typed("list", *by_config, "--json")
    (found,) = json.loads(said)["models"]
    assert found["accepted"].startswith("disabled: recalled; Dr Accepts") and found["inputs"] == "ct (CT)"
    assert found["lately"] == "no job yet" and found["labels"] == "Dense"
    assert typed("enable", "dense", *by_config)[0] == 0
    code, said = typed("show", "dense", *by_config)
    assert code == 0 and "accepted: Dr Accepts" in said and "warm: " in said and "sha256" in said


def test_list_fits_a_terminal_of_80_columns_and_cuts_nothing(typed: Typed, tmp_path: Path) -> None:
    evaluating.bundle(tmp_path / "models", name="a-model-with-a-long-name")
    code, said = typed("list", "--folder", tmp_path / "models")
    assert code == 0 and "…" not in said and max(map(len, said.splitlines())) <= 80
    assert said.splitlines()[0].split() == ["name", "version", "status", "inputs", "files"]
    for word in ("a-model-with-a-long-name", "1.0.0", "research", "ct (CT)", "as declared"):
        assert word in said, word


def test_list_fails_where_files_are_not_the_declared_ones(typed: Typed, tmp_path: Path) -> None:
    (evaluating.bundle(tmp_path / "models") / "model.onnx").write_bytes(b"another network")
    for words in (["list"], ["list", "--json"]):
        code, said = typed(*words, "--folder", tmp_path / "models")
        assert code == 1 and "SHA-256" in said


def test_verify_looks_where_the_configuration_says(typed: Typed, site: Path, tmp_path: Path) -> None:
    code, said = typed("verify", "--config", site)
    assert code == 1 and "dense 1.0.0" in said and "CARD.md lacks intended use (CLAIM 3)" in said


def test_verify_names_what_a_card_lacks(typed: Typed, site: Path, tmp_path: Path) -> None:
    code, said = typed("verify", "dense", "--folder", tmp_path / "models")
    assert code == 1 and "CARD.md lacks intended use (CLAIM 3)" in said
