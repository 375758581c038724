"""Processes begin when the store is in order; whoever holds it is waited for, and what cannot be mended is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import ConfigError, DicomNodeError, OutOfResources
from dicomnode.flow.prepared import being_prepared, patiently, preparing, wait_until_prepared
from dicomnode.node import recover
from dicomnode.node.recover import Recovery
from dicomnode.store.database import Database
from dicomnode.store.files import Files

ROLES = ("receive", "work", "deliver")


def settings(files: Files) -> Settings:
    return parse({"store": {"folder": str(files.folder)}})


def test_others_wait_while_the_store_is_put_in_order_and_begin_then(files: Files) -> None:
    stop, waited = Event(), Event()
    with preparing(files.folder, stop):
        assert being_prepared(files.folder)

        def wait() -> None:
            if wait_until_prepared(files.folder, stop):
                waited.set()

        thread = Thread(target=wait)
        thread.start()
        assert not waited.wait(0.1)
    thread.join(30)
    assert waited.is_set() and not being_prepared(files.folder)


def test_the_end_of_the_node_ends_the_waiting(files: Files) -> None:
    stop = Event()
    with preparing(files.folder, stop):
        stop.set()
        assert wait_until_prepared(files.folder, stop) is False


def test_a_new_store_is_made_and_the_supervisor_gets_a_connection(files: Files) -> None:
    recovery = Recovery(settings(files), files, ROLES, Event())
    recovery.start()
    assert wait_until_prepared(files.folder, Event())
    assert recovery.db is not None and recovery.db.rows("SELECT * FROM study") == []
    recovery.end()


def test_a_store_of_a_newer_version_stops_the_node_with_its_reason(files: Files, db: Database) -> None:
    db.execute("PRAGMA user_version=9999")
    stop = Event()
    recovery = Recovery(settings(files), files, ROLES, stop)
    recovery.start()
    assert stop.wait(30)
    with pytest.raises(ConfigError, match="newer version"):
        recovery.end()


def test_a_lock_that_somebody_holds_is_waited_for(files: Files, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    original = recover.recover

    def once_more(*arguments: object) -> None:
        tried.append(1)
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recover, "recover", once_more)
    monkeypatch.setattr("dicomnode.flow.prepared._PAUSE_SECONDS", 0.01)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.05}))
    with closing(connect(db.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        recovery = Recovery(settings(files), files, ROLES, Event())
        recovery.start()
        for _ in range(1000):
            if len(tried) > 2:
                break
            Event().wait(0.01)
        assert recovery.db is None and being_prepared(files.folder)
        other.execute("ROLLBACK")
    assert wait_until_prepared(files.folder, Event())
    recovery.end()
    assert recovery.db is not None


def test_a_disk_that_cannot_be_written_is_not_waited_for(tmp_path: Path) -> None:
    def full() -> None:
        raise OutOfResources("database: SQLITE_FULL, database or disk is full")

    with pytest.raises(OutOfResources):
        patiently(full, Event())


def test_systemd_is_asked_for_more_time_while_the_store_is_put_in_order(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, slow = Event(), Event()
    monkeypatch.setattr(recover, "_ON_SECONDS", 0.01)
    monkeypatch.setattr("dicomnode.flow.notify_systemd.longer", lambda _seconds: asked.set())
    monkeypatch.setattr(recover, "recover", lambda *_arguments: slow.wait(30))
    recovery = Recovery(settings(files), files, ROLES, Event())
    recovery.start()
    assert asked.wait(30)
    slow.set()
    recovery.end()


def test_a_file_that_the_system_refuses_ends_the_node_with_a_reason(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "upgrade.lock")

    monkeypatch.setattr(recover, "recover", fail)
    stop = Event()
    recovery = Recovery(settings(files), files, ROLES, stop)
    recovery.start()
    assert stop.wait(30) and recovery.db is None
    with pytest.raises(DicomNodeError, match="Permission denied"):
        recovery.end()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_ends_the_node_before_any_process_begins(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Event()
    recovery = Recovery(settings(files), files, ROLES, stop)
    held: list[bool] = []
    give_up = recovery._give_up

    def noted(error: DicomNodeError) -> None:
        held.append(being_prepared(files.folder))
        give_up(error)

    monkeypatch.setattr(recovery, "_give_up", noted)

    def fail(*_arguments: object) -> None:
        raise sqlite3.IntegrityError("a constraint failed")

    monkeypatch.setattr(recover, "recover", fail)
    recovery.start()
    assert stop.wait(30) and held[0]
    with pytest.raises(DicomNodeError, match="see the log"):
        recovery.end()
