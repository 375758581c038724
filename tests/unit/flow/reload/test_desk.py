"""A supervisor takes what was judged, as a whole or not at all, and one wish at a time."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest
from typer.testing import CliRunner

from dicomnode import config
from dicomnode.cli import app
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault
from dicomnode.flow.reload import desk as desk_module
from dicomnode.flow.reload.ask import reload
from dicomnode.flow.reload.desk import Desk
from dicomnode.flow.reload.handed import Text
from dicomnode.flow.reload.line import called, opened

RULE = '[[rule]]\nname = "r"\nmodel = "m"\ndestinations = ["PACS"]\n[rule.series]\nModality = "{modality}"\n'
PEER = '[[peer]]\nname = "PACS"\naet = "PACS"\nhost = "127.0.0.1"\nport = 104\naccept_research = true\n'


class Supervisor:
    """Stands in for what a desk belongs to."""

    def __init__(self, folder: Path, path: Path, roles: tuple[str, ...]) -> None:
        self.texts: list[str] = []
        self.told: list[list[str]] = []
        self.refusal = ""
        self.desk = Desk(
            folder=folder, roles=roles, path=path, settings=config.load(path), exchange=self._exchange,
            taken=lambda _new, told, _who: self.told.append(list(told)), remarks=lambda _new: ["a remark"],
            stop=Event(),
        )  # fmt: skip

    def _exchange(self, text: Text) -> str:
        handed = text.handed({})
        descriptor = handed.descriptors[0]
        self.texts.append(os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode())
        text.close()
        return self.refusal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    found = tmp_path / "dicomnode.toml"
    found.write_text(_text("CT", tmp_path))
    return found


def _text(modality: str, folder: Path) -> str:
    return f'[store]\nfolder = "{folder}/store"\n{PEER}{RULE.format(modality=modality)}'


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that were judged; what a process of its own says of them is tried with the running node."""
    seen: list[str] = []

    def judge(text: str, _path: Path) -> list[Fault]:
        seen.append(text)
        return []

    monkeypatch.setattr(desk_module, "unusable", judge)
    return seen


@pytest.fixture
def supervise(path: Path) -> Iterator[Callable[..., Supervisor]]:
    with ExitStack() as stack:

        def make(*roles: str) -> Supervisor:
            made = Supervisor(path.parent / "store", path, roles)
            stack.enter_context(made.desk.hearing())
            return made

        yield make


def test_all_supervisors_of_a_store_take_the_text_that_was_judged(
    path: Path, supervise: Callable[..., Supervisor], judged: list[str]
) -> None:
    both = supervise("receive"), supervise("work")
    text = _text("MR", path.parent)
    path.write_text("changed between judging and taking")

    taken = reload(path.parent / "store", ("receive", "work", "deliver"), text, path)

    assert taken.changes == ('rule r: series.Modality {"equals": "CT"} → {"equals": "MR"}',)
    assert taken.processes == ("receive", "work") and taken.remarks == ("a remark",)
    assert judged == [text, text]
    assert [one.texts for one in both] == [[text], [text]]
    assert [one.told for one in both] == [[list(taken.changes)]] * 2
    again = reload(path.parent / "store", ("receive", "work"), text, path)
    assert again.changes == () and [one.texts for one in both] == [[text], [text]]


def test_a_fault_at_one_of_them_leaves_all_as_they_were(
    path: Path, supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = supervise("receive"), supervise("work")
    faults = iter([[], [Fault(key="rule r.model", value="m", remedy="its hash is another one")]])
    monkeypatch.setattr(desk_module, "unusable", lambda _text, _path: next(faults))
    with pytest.raises(ConfigError, match="its hash is another one"):
        reload(path.parent / "store", ("receive", "work"), _text("MR", path.parent), path)
    assert first.texts == second.texts == []


def test_every_fault_of_a_text_is_told_and_nothing_is_taken(path: Path, supervise: Callable[..., Supervisor]) -> None:
    one = supervise("receive")
    text = _text("MR", path.parent).replace("Modality", "Modaltiy").replace('destinations = ["PACS"]', 'outputs = [""]')
    with pytest.raises(ConfigError) as caught:
        reload(path.parent / "store", ("receive",), text, path)
    assert len(caught.value.faults) == 2
    assert one.texts == []


def test_another_file_than_the_one_that_the_node_runs_with_is_refused(
    path: Path, supervise: Callable[..., Supervisor]
) -> None:
    supervise("receive")
    with pytest.raises(ConfigError, match="runs with"):
        reload(path.parent / "store", ("receive",), _text("MR", path.parent), Path("/elsewhere.toml"))


def test_a_second_wish_during_the_first_is_told_to_come_later(path: Path, supervise: Callable[..., Supervisor]) -> None:
    supervise("receive")
    folder, text = path.parent / "store", _text("MR", path.parent)
    line = called(folder, "receive", 10)
    assert line is not None
    line.say({"text": text, "path": str(path)})
    assert line.hear()["changes"]
    with pytest.raises(DicomNodeError, match="another reload is under way"):
        reload(folder, ("receive",), text, path)
    line.close()


def test_whoever_asks_and_is_gone_before_it_is_taken_changes_nothing(
    path: Path, supervise: Callable[..., Supervisor]
) -> None:
    one = supervise("receive")
    folder, text = path.parent / "store", _text("MR", path.parent)
    line = called(folder, "receive", 10)
    assert line is not None
    line.say({"text": text, "path": str(path)})
    line.hear()
    line.close()
    while True:  # until the desk has noticed
        try:
            assert reload(folder, ("receive",), text, path).changes
            break
        except DicomNodeError as error:
            assert "under way" in str(error)
    assert one.texts == [text], "taken once, by the second"


def test_processes_that_do_not_start_are_told_of_and_the_settings_stay(
    path: Path, supervise: Callable[..., Supervisor]
) -> None:
    one = supervise("receive")
    one.refusal = "the process work could not be started with it"
    with pytest.raises(DicomNodeError, match="could not be started"):
        reload(path.parent / "store", ("receive",), _text("MR", path.parent), path)
    assert one.told == [] and one.desk.settings == config.load(path)


def test_without_a_node_that_is_said(path: Path) -> None:
    folder = path.parent / "store"
    with pytest.raises(DicomNodeError, match="no node runs"):
        reload(folder, ("receive", "work"), path.read_text(), path)
    opened(folder, "receive").close()  # one that was killed leaves its socket
    with pytest.raises(DicomNodeError, match="no node runs"):
        reload(folder, ("receive", "work"), path.read_text(), path)


def test_the_socket_is_for_the_account_of_the_node_alone_and_its_path_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    listening = opened(folder, "receive")
    assert (folder / "receive.sock").stat().st_mode & 0o777 == 0o600
    line = called(folder, "receive", 10)
    assert line is not None
    line.close()
    listening.close()


def test_what_is_no_message_ends_the_conversation_and_not_the_desk(
    path: Path, supervise: Callable[..., Supervisor]
) -> None:
    one = supervise("receive")
    folder = path.parent / "store"
    for raw in (b"", b"\xff\n", b"[]\n", b'{"text": 5}\n', json.dumps({"text": "[", "path": "x"}).encode() + b"\n"):
        descriptor = os.open(folder, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(f"/proc/self/fd/{descriptor}/receive.sock")
            stranger.sendall(raw)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(4096):
                pass
        os.close(descriptor)
    assert one.texts == []
    while True:
        try:
            assert reload(folder, ("receive",), _text("MR", path.parent), path).changes
            break
        except DicomNodeError as error:
            assert "under way" in str(error)


def test_only_the_account_of_the_node_may_ask_and_no_other_thread_feels_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.delattr(os, "umask")
            opened(tmp_path, "receive").close()
        assert (tmp_path / "receive.sock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(former)


def test_a_system_without_room_refuses_and_the_desk_goes_on(
    path: Path, supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervise("receive")

    def full(_name: str) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "memfd_create", full)
        with pytest.raises(DicomNodeError, match="Too many open files"):
            reload(path.parent / "store", ("receive",), _text("MR", path.parent), path)
    assert one.texts == []
    assert reload(path.parent / "store", ("receive",), _text("MR", path.parent), path).processes == ("receive",)


def test_the_verb_finds_no_node_on_a_changed_folder_and_says_what_that_needs(
    path: Path, supervise: Callable[..., Supervisor]
) -> None:
    """It asks on the store of the new file, and a node on another one does not hear it."""
    one = supervise("receive")
    path.write_text(_text("CT", path.parent).replace("/store", "/elsewhere"))
    (path.parent / "elsewhere").mkdir()
    done = CliRunner().invoke(app, ["reload", "--config", str(path)])
    said = f"{done.exception}"
    assert done.exit_code == 1 and one.texts == []
    assert "no node runs on the store" in said and "if store.folder was changed, restart the node" in said
