"""The heartbeat is heard while the node is well, stops when it is not, and whoever should hear it disturbs nothing."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.alerts.heartbeat import ROLES, Heart
from dicomnode.flow.alerts.threads import alerting
from dicomnode.flow.pulse import note, patience_seconds
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.unit.flow.alerts.receivers import web_server


def settings_of(folder: Path, url: str, **more: Any) -> Settings:
    return parse({"store": {"folder": str(folder)}, "heartbeat": {"url": url, **more}})


def heart(settings: Settings) -> Heart:
    return Heart(settings, lambda: Database(settings.store.folder / "node.db"))


@pytest.fixture
def folder(files: Files) -> Path:
    """A store whose processes have all just given a sign of life."""
    for role in ROLES:
        note(files.folder, role)
    return files.folder


def test_it_beats_while_every_process_lives_and_the_store_can_be_written(folder: Path) -> None:
    with web_server() as server:
        assert heart(settings_of(folder, server.url)).beat()
        assert heart(settings_of(folder, server.url, method="POST")).beat()
    assert [one[:2] for one in server.requests] == [("GET", "/hook?site=1"), ("POST", "/hook?site=1")]


@pytest.mark.parametrize("role", ROLES)
def test_it_stops_when_a_process_gives_no_sign_of_life(folder: Path, role: str) -> None:
    note(folder, role, now=1e9)
    with web_server() as server:
        it = heart(settings_of(folder, server.url))
        assert not it.beat() and it.trouble() == f"no sign of life of {role}"
        note(folder, role)
        assert it.beat()
    assert len(server.requests) == 1


def test_it_beats_as_long_as_the_supervisor_is_patient(folder: Path) -> None:
    settings = settings_of(folder, "http://127.0.0.1:1/")
    for role in ROLES:
        ages = {**dict.fromkeys(ROLES, 0.1), role: patience_seconds(role) - 1}
        assert Heart(settings, lambda: Database(folder / "node.db"), lambda *_, ages=ages: ages).trouble() == ""
        ages = {**ages, role: patience_seconds(role)}
        it = Heart(settings, lambda: Database(folder / "node.db"), lambda *_, ages=ages: ages)
        assert it.trouble() == f"no sign of life of {role}"
    assert patience_seconds("work") == 600.0


def test_it_stops_where_a_process_has_never_lived(files: Files) -> None:
    assert heart(settings_of(files.folder, "http://127.0.0.1:1/")).trouble() == (
        "no sign of life of receive, work, deliver"
    )


def test_it_stops_when_the_store_cannot_be_written(folder: Path) -> None:
    def connect() -> Database:
        raise OutOfResources("database: SQLITE_FULL, database or disk is full")

    with web_server() as server:
        it = Heart(settings_of(folder, server.url), connect)
        assert not it.beat() and "cannot be written" in it.trouble()
    assert server.requests == []


def test_a_watch_that_is_dead_refuses_or_drips_is_told_once_and_raises_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    it = heart(settings_of(folder, "http://127.0.0.1:1/"))
    assert not it.beat() and not it.beat()
    assert capsys.readouterr().out.count("heartbeat not heard") == 1
    with web_server(status=500) as server:
        assert not heart(settings_of(folder, server.url)).beat()
    with web_server(manner="drips") as server:
        assert not heart(settings_of(folder, server.url, every_seconds=1)).beat()


def test_the_threads_beat_and_end_with_the_process(folder: Path) -> None:
    stop = Event()
    with web_server() as server:
        settings = settings_of(folder, server.url, every_seconds=1)
        with alerting(lambda: Database(folder / "node.db"), settings, stop):
            assert server.heard.wait(10)
            stop.set()
