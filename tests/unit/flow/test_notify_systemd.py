"""What systemd hears, on a real socket of the kind that it listens on."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomnode.flow import notify_systemd
from dicomnode.flow.metrics.line import StatusLine, status_line
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Standing, Studies
from tests.conftest import MakeArrival


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Lines of the next datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield lambda: listener.recv(4096).decode().splitlines()


def test_every_word_is_one_that_systemd_knows(heard: Callable[[], list[str]]) -> None:
    notify_systemd.ready()
    assert heard() == ["READY=1"]
    notify_systemd.reloading()
    first, second = heard()
    assert first == "RELOADING=1" and second.startswith("MONOTONIC_USEC=") and second[15:].isdigit()
    notify_systemd.alive()
    assert heard() == ["WATCHDOG=1"]
    notify_systemd.status("receiving 2,\nwaiting")
    assert heard() == ["STATUS=receiving 2, waiting"], "one line, or systemd takes the second for another word"
    notify_systemd.longer(60)
    assert heard() == ["EXTEND_TIMEOUT_USEC=60000000"]
    notify_systemd.stopping()
    assert heard() == ["STOPPING=1"]


def test_an_abstract_socket_is_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"dicomnode-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify_systemd.ready()
        assert listener.recv(64) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_where_nobody_listens_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify_systemd.ready()


def test_a_listener_that_does_not_read_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for _ in range(5000):
            notify_systemd.status("x" * 1000)


def test_the_line_tells_what_comes_waits_and_has_failed(
    db: Database, files: Files, make_arrival: MakeArrival, heard: Callable[[], list[str]]
) -> None:
    assert status_line(db) == "idle"
    for number in (1, 2):
        with db.transaction():
            Studies(db, files).add(make_arrival(number, study=f"1.2.{number}"), f"studies/{number}", Standing.CURRENT)
    job = (
        "INSERT INTO job (study_instance_uid, state, changed_at, created_at, revision, rule, model,"
        " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
        " destinations, refusal, not_before)"
        " VALUES ('1.2.1', 'waiting', ?, ?, 1, ?, 'm', '', '', '', '', 1, 0, '', '', '', '')"
    )
    for rule in ("a", "b", "c"):
        db.execute(job, db.now(), db.now(), rule)
    db.execute(
        "INSERT INTO result (job_id, role, sop_class_uid, sop_instance_uid, series_instance_uid, transfer_syntax_uid,"
        " digest, size_bytes, path, created_at) VALUES (1, 'sr', '1', '9.1', '9', '1', '', 1, 'p', '')"
    )
    db.execute(
        "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, state, changed_at)"
        " VALUES (1, 1, '1.2.1', '9.1', 'PACS', 'failed', ?)",
        db.now(),
    )
    StatusLine()(db)
    assert heard() == ["STATUS=receiving 2, 3 waiting jobs, 1 failed delivery to PACS"]
