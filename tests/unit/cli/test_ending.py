"""However a command ends, it says so in one sentence, as JSON where that was asked for, and without a traceback."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.cli import main

#: A verb of the test's own, in a process of its own: what nobody expected is told by a hook of the whole process.
_PROGRAM = """
import typer
from dicomnode import cli
@cli.app.command()
def fall(as_json: bool = typer.Option(False, "--json")):
    raise KeyError("DONT^LOGME")
@cli.app.command()
def count():
    for number in range(200_000):
        print(number)
@cli.app.command()
def wait():
    import signal
    print("waiting", flush=True)
    signal.pause()
cli.main()
"""

COMMAND = (sys.executable, "-c", _PROGRAM)


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_fault_of_ours_is_one_line_with_status_70_and_names_no_patient() -> None:
    done = ended("fall", "--json")
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert "this is a fault of dicomnode: KeyError in <string>" in line and "--debug" in line
    assert json.loads(done.stdout)["reason"] in line
    assert "DONT^LOGME" not in done.stdout + done.stderr


def test_debug_prints_the_traceback_wherever_it_stands_and_warns_of_what_is_in_it() -> None:
    first, last = ended("--debug", "fall"), ended("fall", "--debug")
    for done in (first, last):
        assert done.returncode == 70
        assert "Traceback" in done.stderr and "KeyError: 'DONT^LOGME'" in done.stderr
        assert "may name a patient" in done.stderr.splitlines()[-1]


def test_a_reader_that_has_enough_is_no_fault() -> None:
    counting = subprocess.Popen([*COMMAND, "count"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert counting.stdout is not None and counting.stderr is not None
    assert counting.stdout.readline() == b"0\n"
    counting.stdout.close()
    assert counting.stderr.read() == b""
    assert counting.wait(timeout=60) == 1
    counting.stderr.close()


def test_an_interrupt_is_quiet_with_status_130() -> None:
    waiting = subprocess.Popen([*COMMAND, "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waiting\n"
    os.kill(waiting.pid, signal.SIGINT)
    said, told = waiting.communicate(timeout=60)
    assert (waiting.returncode, said, told) == (130, "", "")


def left_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["dicomnode", *arguments])
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["statsu", "--json"], "Did you mean"),
        (["status", "--jsno", "--json"], "No such option"),
        (["why", "--json"], "Missing argument"),
        (["check", "--rule", "r", "--json"], "add --round-trip"),
    ],
)
def test_wrong_usage_is_json_too(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(monkeypatch, *arguments) == 2
    told = capsys.readouterr()
    assert words in json.loads(told.out)["reason"]
    assert "Usage: dicomnode" in told.err


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[store]\nfolder = "store"\n[models]\nfolder = "models"\n')
    return path


@pytest.mark.parametrize("verb", ["why", "retry", "rerun", "cancel"])
def test_an_unknown_study_is_one_sentence_with_a_hint(
    verb: str, configured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(monkeypatch, verb, "1.2.3", "--config", str(configured)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line == "failed: no study here begins with '1.2.3'; `dicomnode store list` lists those whose files are here"


def test_what_the_system_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text(f'[store]\nfolder = "{tmp_path}/dicomnode.toml/store"\n')
    assert left_with(monkeypatch, "status", "--json", "--config", str(path)) == 1
    told = capsys.readouterr()
    assert "Not a directory" in json.loads(told.out)["reason"]
    assert len(told.err.splitlines()) == 1


def test_a_question_without_an_answer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert left_with(monkeypatch, "init", str(tmp_path / "new.toml")) == 1
    assert "give it as an option" in capsys.readouterr().err
    assert not (tmp_path / "new.toml").exists()


TEN = """
[nod]
aet = "X"
[node]
aet = "THIS TITLE IS FAR TOO LONG"
prot = 11112
port = 99999
[completion]
quiet_seconds = "soon"
[[peer]]
name = "PACS"
aet = "P"
host = "h"
port = 104
outputs = ["segg"]
[[peer]]
name = "CT"
aet = "C"
host = "h"
role = "modalty"
[[rule]]
name = "r"
model = "lung-ct"
outputs = ["sg"]
destinations = ["PASC", "CT"]
priors = { from = ["PACS"], within_dayz = 3 }
[rule.series]
Modaltiy = "CT"
SliceThickness = { at_mots = 3.0 }
"""


def test_ten_different_faults_are_told_at_once_with_key_value_and_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text(TEN)
    assert left_with(monkeypatch, "check", "--json", "--config", str(path)) == 2
    told = capsys.readouterr()
    faults = {one["key"]: (one["value"], one["remedy"]) for one in json.loads(told.out)["faults"]}
    meant = {
        "nod": "node", "node.prot": "port", "peer[0].outputs": "seg", "rule[0].outputs": "seg",
        "rule[0].priors.within_dayz": "within_days", "rule[0].series.Modaltiy": "Modality",
        "rule[0].series.SliceThickness.at_mots": "at_most",
    }  # fmt: skip
    for key, word in meant.items():
        assert f"did you mean {word}?" in faults[key][1], key
    assert faults["node.aet"][0] == "THIS TITLE IS FAR TOO LONG" and "1 to 16 characters" in faults["node.aet"][1]
    assert faults["node.port"][0] == 99999 and "65535" in faults["node.port"][1]
    assert "required" in faults["peer[1].port"][1] and "'modality'" in faults["peer[1].role"][1]
    assert faults["completion.quiet_seconds"][0] == "soon"
    assert len(faults) == len(meant) + 5
    assert len(told.err.splitlines()) == len(faults)


def test_a_peer_that_could_not_be_read_is_not_called_unknown_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text(
        '[[peer]]\nname = "PACS"\naet = "P"\nhost = "h"\nport = 70000\n'
        '[[rule]]\nname = "r"\nmodel = "m"\ndestinations = ["PACS"]\n[rule.series]\nModality = "CT"\n'
    )
    assert left_with(monkeypatch, "check", "--json", "--config", str(path)) == 2
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert fault["key"] == "peer[0].port"
