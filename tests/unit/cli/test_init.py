"""The first configuration: asked for or given, refused at once where it cannot be used, and loading as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicomnode.cli import app
from dicomnode.config import load, shipped
from dicomnode.domain.errors import ConfigError


def init(path: Path, *arguments: str, answers: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, ["init", str(path), *arguments], input=answers)
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


GIVEN = (
    "--aet", "NODE1", "--port", "11113", "--pacs-aet", "ARCHIVE", "--pacs-host", "10.0.0.5", "--pacs-port", "104",
    "--store", "/data", "--models", "lung-ct",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "dicomnode.toml"


def test_a_wrong_answer_is_asked_for_again_with_the_remedy(path: Path) -> None:
    answers = "FAR TOO LONG A TITLE\nNODE1\n99999\n11113\n\n10.0.0.5\n\n/data\nlung\nlung-ct, sts-petct\n"
    status, told = init(path, answers=answers)
    assert status == 0
    assert "1 to 16 characters" in told and "a port from 1 to 65535" in told and "there are body-ct, lung-ct" in told
    settings = load(path)
    assert (settings.node.aet, settings.node.port, settings.web.port) == ("NODE1", 11113, 11180)
    assert [rule.model for rule in settings.rules] == ["lung-ct", "sts-petct"]
    assert set(settings.rules[1].inputs) == {"pet", "ct"}


def test_it_says_what_to_do_next_with_the_names_and_numbers_of_this_node(path: Path) -> None:
    status, told = init(path, *GIVEN)
    assert status == 0
    assert "let 10.0.0.5" in told and "TCP port 11113" in told
    assert "AE title NODE1, host" in told and "port 11113" in told
    assert f"dicomnode check --config {path}" in told
    assert "systemctl enable --now dicomnode.target" in told and "--round-trip" in told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--port", "0"), "a port from 1 to 65535"),
        (("--aet", "A\\B"), "without backslash"),
        (("--pacs-aet", "X" * 17), "1 to 16 characters"),
        (("--pacs-port", "70000"), "a port from 1 to 65535"),
        (("--models", "lungs"), "no such model is shipped"),
        (("--tls-port", "2762"), "TLS needs all of"),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_written(path: Path, given: tuple[str, str], words: str) -> None:
    status, told = init(path, *GIVEN, *given)
    assert status == 2 and words in told
    assert not path.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--web-port", "11113"), "node.port is the same"),
        (("--pacs-aet", "NODE1", "--pacs-host", "127.0.0.1", "--pacs-port", "11113"), "this is the node itself"),
    ],
)
def test_answers_that_cannot_both_be_true_are_refused_and_nothing_is_written(
    path: Path, given: tuple[str, ...], words: str
) -> None:
    done = CliRunner().invoke(app, ["init", str(path), *GIVEN, *given])
    assert isinstance(done.exception, ConfigError) and words in str(done.exception)
    assert not path.exists()


def test_the_dashboard_can_be_left_out(path: Path) -> None:
    assert init(path, *GIVEN, "--web-port", "0")[0] == 0
    assert load(path).web.port == 0


def test_a_file_that_is_there_is_kept_and_no_question_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text("mine")
    status, told = init(path)
    assert status == 2 and "it is not replaced" in told and "AE title of this node" not in told
    assert path.read_text() == "mine"


def test_tls_is_written_with_whole_paths(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("node.pem", "node.key", "ca.pem"):
        Path(name).write_text("PEM")
    files = ("--certificate", "node.pem", "--key", "node.key", "--ca", "ca.pem")
    assert init(path, *GIVEN, "--tls-port", "2762", *files)[0] == 0
    table = load(path).tls
    assert (table.port, table.key) == (2762, str(tmp_path / "node.key"))


def test_every_shipped_model_has_a_rule_that_loads(path: Path) -> None:
    names = sorted(one.parent.name for one in shipped("models").glob("*/model.toml"))
    assert init(path, *GIVEN[:-1], ",".join(names))[0] == 0
    assert [rule.model for rule in load(path).rules] == names
