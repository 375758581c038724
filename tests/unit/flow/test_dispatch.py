"""A peer that hangs holds up no other."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.work import Receipt
from dicomnode.flow.dispatch import Dispatcher
from dicomnode.flow.outbox import Outbox
from dicomnode.store.database import Database
from dicomnode.store.files import Files


def _owe(db: Database, *destinations: str) -> None:
    db.execute(
        "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
        " first_arrival_at, last_arrival_at) VALUES ('1', 'settled', '', '', '', '', '', '', '')"
    )
    db.execute(
        "INSERT INTO job (study_instance_uid, state, changed_at, created_at, revision, rule, model,"
        " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
        " destinations, refusal, not_before)"
        " VALUES ('1', 'done', '', '', 1, '', '', '', '', '', '', 1, 0, '', '', '', '')"
    )
    for number, destination in enumerate(destinations, start=1):
        db.execute(
            "INSERT INTO result (job_id, role, sop_class_uid, sop_instance_uid, series_instance_uid,"
            " transfer_syntax_uid, digest, size_bytes, path, created_at)"
            " VALUES (1, 'sr', '', ?, '', '', '', 0, '', '')",
            f"9.{number}",
        )
        db.execute(
            "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, changed_at)"
            " VALUES (?, 1, '1', ?, ?, '')",
            number, f"9.{number}", destination,
        )  # fmt: skip


def test_a_destination_whose_thread_ended_in_the_middle_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Files(tmp_path / "store")
    path = files.folder / "node.db"
    db = Database(path)
    _owe(db, "quick")
    settings = parse(
        {"peer": [{"name": "quick", "aet": "quick", "host": "127.0.0.1", "port": 104, "accept_research": True}]}
    )
    monkeypatch.setattr("dicomnode.flow.dispatch._PAUSE_SECONDS", 0.1)
    answered, stop, calls = Event(), Event(), []

    def send(_peer: Any, batch: Any) -> Generator[Receipt]:
        calls.append(len(batch))
        if len(calls) == 1:
            raise OutOfResources("database: SQLITE_FULL")
        try:
            for one in batch:
                yield Receipt(sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=True, text="0000")
        finally:
            answered.set()

    dispatcher = Dispatcher(
        lambda: Database(path), lambda connection: Outbox(connection, files, settings, send, "deliver-1"), stop
    )
    thread = Thread(target=dispatcher.run)
    thread.start()
    try:
        assert answered.wait(30)
    finally:
        stop.set()
        thread.join(30)
        db.close()
    assert calls == [1, 1]


def test_a_hanging_peer_holds_up_no_other(tmp_path: Path) -> None:
    files = Files(tmp_path / "store")
    path = files.folder / "node.db"
    db = Database(path)
    _owe(db, "slow", "quick")
    peers = [
        {"name": name, "aet": name, "host": "127.0.0.1", "port": 104, "accept_research": True}
        for name in ("slow", "quick")
    ]
    settings = parse({"peer": peers})
    asked, release, answered, stop = Event(), Event(), Event(), Event()

    def send(peer: Any, batch: Any) -> Generator[Receipt]:
        if peer.name == "slow":
            asked.set()
            release.wait(30)
        try:
            for one in batch:
                yield Receipt(sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=True, text="0000")
        finally:
            if peer.name == "quick":
                answered.set()

    dispatcher = Dispatcher(
        lambda: Database(path), lambda connection: Outbox(connection, files, settings, send, "deliver-1"), stop
    )
    thread = Thread(target=dispatcher.run)
    thread.start()
    try:
        assert asked.wait(30) and answered.wait(30)
        states = {row["destination"]: row["state"] for row in db.rows("SELECT destination, state FROM delivery")}
        assert states["slow"] == "running"
    finally:
        release.set()
        stop.set()
        thread.join(30)
    states = {row["destination"]: row["state"] for row in db.rows("SELECT destination, state FROM delivery")}
    db.close()
    assert states == {"slow": "done", "quick": "done"}
