"""Whoever only asks whether the node is there learns that, and nothing that needs a role."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

import httpx
import pytest

from dicomnode.config import Settings, parse
from dicomnode.flow import pulse
from dicomnode.flow.retention.disk import Disk
from dicomnode.store.database import Database, migrations
from dicomnode.store.files import Files
from dicomnode.web.app import create_app
from dicomnode.web.desk import Desk


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def settings(files: Files, port: int, **tables: object) -> Settings:
    return parse({"store": {"folder": str(files.folder)}, "node": {"port": port}, **tables})


def get(path: str, one: Settings) -> httpx.Response:
    desk = Desk(settings=one, path=Path("dicomnode.toml"))
    app = create_app(desk)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as web:
            return await web.get(path)

    try:
        return asyncio.run(ask())
    finally:
        desk.close()


ALL = {"ready": True, "store": True, "schema_current": True, "listener": True, "disk": True}


@pytest.mark.usefixtures("db")
def test_a_node_that_would_take_a_study_is_ready(files: Files) -> None:
    with listening() as port:
        answer = get("/readyz", settings(files, port, retention={"reserve_percent": 0}))
    assert answer.status_code == 200 and answer.json() == ALL


@pytest.mark.usefixtures("db")
def test_a_port_that_nobody_listens_on_is_told(files: Files) -> None:
    with listening() as port:
        pass
    answer = get("/readyz", settings(files, port, retention={"reserve_percent": 0}))
    assert answer.status_code == 503 and answer.json() == {**ALL, "ready": False, "listener": False}


@pytest.mark.usefixtures("db")
def test_a_disk_below_its_reserve_is_told(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.flow.metrics.readiness.disk_of", lambda _folder: Disk(used_bytes=99, free_bytes=1))
    with listening() as port:
        answer = get("/readyz", settings(files, port))
    assert answer.status_code == 503 and answer.json() == {**ALL, "ready": False, "disk": False}


@pytest.mark.usefixtures("db")
def test_a_store_that_is_being_made_ready_is_not_waited_for(files: Files) -> None:
    with (files.folder / "prepare.lock").open("a") as lock, listening() as port:
        flock(lock, LOCK_EX)
        answer = get("/readyz", settings(files, port, retention={"reserve_percent": 0}))
    assert answer.status_code == 503
    assert answer.json() == {**ALL, "ready": False, "store": False, "schema_current": False}


@pytest.mark.parametrize("schema", [1, len(migrations()) - 1, 9999])
def test_a_store_of_another_version_is_told_and_left_as_it_is(files: Files, db: Database, schema: int) -> None:
    db.execute(f"PRAGMA user_version={schema}")
    before = sorted(path.name for path in files.folder.iterdir())
    with listening() as port:
        answer = get("/readyz", settings(files, port, retention={"reserve_percent": 0}))
    assert answer.status_code == 503 and answer.json() == {**ALL, "ready": False, "schema_current": False}
    row = db.row("PRAGMA user_version")
    assert row is not None and row[0] == schema
    assert {path.name for path in files.folder.iterdir()} - set(before) <= {"prepare.lock"}


@pytest.mark.parametrize("content", [None, b"no database" * 1000], ids=["gone", "damaged"])
def test_a_store_that_cannot_be_read_is_told_and_not_blamed_on_the_disk(files: Files, content: bytes | None) -> None:
    if content is not None:
        (files.folder / "node.db").write_bytes(content)
    with listening() as port:
        answer = get("/readyz", settings(files, port, retention={"reserve_percent": 0}))
    assert answer.status_code == 503
    assert answer.json() == {**ALL, "ready": False, "store": False, "schema_current": False}
    assert (files.folder / "node.db").exists() == (content is not None)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with listening() as port:
        answer = get("/readyz", settings(Files(tmp_path / "other"), port, store={"folder": str(tmp_path / "moved")}))
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "store": False, "schema_current": False, "listener": True, "disk": False}


@pytest.mark.usefixtures("db")
def test_a_port_for_tls_alone_is_judged_by_its_process(files: Files) -> None:
    from dicomnode.flow.metrics.readiness import listening as judged

    one = settings(files, 0)
    assert judged(one) is False
    pulse.note(files.folder, "receive")
    assert judged(one) is True


def test_the_process_is_alive_without_a_store(tmp_path: Path) -> None:
    gone = parse({"store": {"folder": str(tmp_path / "nowhere")}})
    answer = get("/healthz", gone)
    assert answer.status_code == 200 and answer.json() == {"alive": True}
