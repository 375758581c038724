"""The check before the start looks at the machine, the store and all peers, and changes nothing."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections import namedtuple
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from typer.testing import CliRunner

from dicomnode.cli import app
from dicomnode.config import Settings, parse
from dicomnode.deliver import dimse
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import NoAssociation
from dicomnode.domain.network import Peer
from dicomnode.flow.preflight import machine, peers, ports, software, storage
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import Database


def settings(folder: Path, **more: Any) -> Settings:
    return parse({"store": {"folder": str(folder)}, **more})


def told(found: Any) -> dict[str, Check]:
    return {one.subject: one for one in found}


def test_a_store_that_others_may_enter_or_on_a_network_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    found = told(storage.store_folder(settings(folder)))
    assert found[f"store {folder}"].verdict is Verdict.OK
    assert "synced in" in found["store disk speed"].found and found["store disk speed"].seconds
    folder.chmod(0o750)
    assert "chmod 700" in told(storage.store_folder(settings(folder)))[f"store {folder}"].remedy
    monkeypatch.setattr(storage, "file_system", lambda _path: "nfs4")
    assert told(storage.store_folder(settings(folder)))[f"store {folder}"].verdict is Verdict.FAIL


def test_a_full_disk_is_told_before_senders_hear_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for percent, verdict, word in ((99, Verdict.FAIL, "A700"), (90, Verdict.WARN, "oldest first"), (50, "ok", "")):
        size = 1000 << 30
        full = usage(size, size * percent // 100, size * (100 - percent) // 100)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, full=full: full)
        found = told(storage.store_folder(settings(tmp_path / "store")))["store disk"]
        assert (found.verdict, word in found.remedy) == (verdict, True)


def database(folder: Path, quick: bool = False) -> list[Check]:
    return storage.database(settings(folder), quick=quick)[1]


def test_a_database_is_looked_at_without_being_changed(tmp_path: Path) -> None:
    assert database(tmp_path)[0].found.startswith("none yet")
    assert not (tmp_path / "node.db").exists()
    Database(tmp_path / "node.db").close()
    (sound,) = database(tmp_path)
    assert sound.verdict is Verdict.OK and "sound" in sound.found
    with closing(sqlite3.connect(tmp_path / "node.db")) as db:
        newest = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute("PRAGMA user_version=3")
    (old,) = database(tmp_path)
    assert old.verdict is Verdict.WARN and f"schema 3, 0.{old.found.split('0.')[1]}" == old.found
    assert f"this version has {newest}" in old.found
    with closing(sqlite3.connect(tmp_path / "node.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,), "not brought up to date by looking"
        db.execute(f"PRAGMA user_version={newest + 1}")
    (newer,) = database(tmp_path)
    assert newer.verdict is Verdict.FAIL and "newer version" in newer.found


def test_a_damaged_database_fails_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    db = Database(path)
    with db.transaction():
        for number in range(2000):
            db.event(f"1.2.{number}", "study", "", "looked at", "x" * 200)
    db.row("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8 * 4096] = b"\xff" * (8 * 4096)
    path.write_bytes(content)
    (found,) = database(tmp_path)
    assert found.verdict is Verdict.FAIL and "backup" in found.remedy
    path.write_bytes(b"no database at all, but a text of some length" * 100)
    (found,) = database(tmp_path)
    assert found.verdict is Verdict.FAIL and "not a database" in found.found


def test_a_clock_that_went_back_is_told(tmp_path: Path) -> None:
    later = utc_now() + timedelta(hours=1)
    with closing(Database(tmp_path / "node.db", clock=lambda: later)) as db, db.transaction():
        db.event("1.2.3", "study", "", "looked at", "")
    jump = told(database(tmp_path))["clock and store"]
    assert jump.verdict is Verdict.WARN and "s ahead of this clock" in jump.found


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """What programs of the system say; nothing unless a test says otherwise."""
    lines: dict[str, list[str]] = {}
    monkeypatch.setattr(machine, "_asked", lambda program, *_arguments: lines.get(program, []))
    monkeypatch.setattr(machine, "_BOOTED", tmp_path)
    monkeypatch.setattr(machine, "NVIDIA", tmp_path / "none")
    return lines


def test_the_machine_is_told_in_five_lines_where_nothing_is_wrong(said: dict[str, list[str]]) -> None:
    said["timedatectl"] = ["yes"]
    found = told(machine.machine())
    assert set(found) == {"clock", "memory", "limits", "graphics card", "systemd units"}
    assert "synchronised by NTP" in found["clock"].found and "none is installed" in found["systemd units"].found


def test_what_is_wrong_with_the_machine_has_a_remedy(
    said: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said["timedatectl"] = ["no"]
    said["systemctl"] = [
        "Id=dicomnode-work.service", "LoadState=loaded", "ActiveState=failed", "SubState=failed", "NRestarts=0",
        "NRestarts=3", "Id=dicomnode-receive.service", "LoadState=loaded", "ActiveState=active", "SubState=running",
        "Id=dicomnode-web.service", "LoadState=not-found", "ActiveState=inactive", "SubState=dead",
    ]  # fmt: skip
    monkeypatch.setattr(machine, "NVIDIA", tmp_path)
    monkeypatch.setattr("resource.getrlimit", lambda _which: (256, 4096))
    found = told(machine.machine())
    assert "set-ntp true" in found["clock"].remedy and "driver" in found["graphics card"].found
    assert "LimitNOFILE" in found["limits"].remedy
    assert found["unit dicomnode-work.service"].verdict is Verdict.FAIL
    assert "journalctl -u dicomnode-work.service" in found["unit dicomnode-work.service"].remedy
    assert "started again 3 times" in found["unit dicomnode-receive.service"].found
    assert "unit dicomnode-web.service" not in found


def test_packages_are_held_against_those_that_were_tested(tmp_path: Path) -> None:
    found = told(software.software())
    assert [one.verdict for one in found.values()] == [Verdict.OK] * 3, found
    other = tmp_path / "constraints.txt"
    other.write_text("numpy==0.1\nPydicom==0.9  # the first\n")
    packages = told(software.software(other))["packages"]
    assert packages.verdict is Verdict.WARN
    assert "numpy" in packages.found and "tested: 0.1" in packages.found and "pydicom" in packages.found


def test_a_port_is_free_or_somebody_elses_or_too_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as first, socket.socket() as second:
        for other in (first, second):
            other.bind(("127.0.0.1", 0))
            other.listen()
        taken, web = first.getsockname()[1], second.getsockname()[1]
        configured = settings(
            tmp_path, node={"host": "127.0.0.1", "port": taken}, web={"host": "127.0.0.1", "port": web}
        )
        found = told(ports.ports(configured))
        assert found[f"port {taken}"].verdict is found[f"dashboard port {web}"].verdict is Verdict.FAIL
        monkeypatch.setattr(ports, "runs", lambda _settings, role: role == "receive")
        found = told(ports.ports(configured))
        assert found[f"port {taken}"].found == "the node that runs on this store listens"
        assert found[f"dashboard port {web}"].verdict is Verdict.FAIL
    free = told(ports.ports(configured))
    assert free[f"port {taken}"].verdict is Verdict.WARN and "which no reload changes" in free[f"port {taken}"].remedy
    assert free[f"dashboard port {web}"].verdict is Verdict.OK


def entry(name: str) -> dict[str, Any]:
    return {"name": name, "aet": name, "host": "127.0.0.1", "port": 104, "accept_research": True, "commitment": True}


def test_dead_peers_are_asked_side_by_side_once_each_and_told_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["A", "B", "C"]
    together, asked = Barrier(len(names), timeout=30), []

    def echo(peer: Peer, **_how: Any) -> float:
        asked.append(peer.name)
        together.wait()  # breaks unless all are asked at the same time
        raise NoAssociation(f"{peer.name}: no TCP connection: none within 10 s")

    monkeypatch.setattr(dimse, "echo", echo)
    monkeypatch.setattr("dicomnode.flow.preflight.kinds.asker", pytest.fail)
    monkeypatch.setattr("dicomnode.flow.commitment.check.offers", pytest.fail)
    found = list(peers.peers(settings(tmp_path, peer=[entry(name) for name in names])))
    assert [one.subject.split()[1] for one in found] == names
    assert sorted(asked) == names
    assert all("firewall" in one.remedy for one in found)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("association rejected: calling AE title not recognised", "enter this node there: AE title DICOMNODE"),
        ("association rejected: called AE title not recognised", "its AE title is not A"),
        ("no TLS connection: certificate verify failed", "docs/security.md"),
    ],
)  # fmt: skip
def test_the_remedy_fits_what_a_peer_did(
    answer: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(_peer: Peer, **_how: Any) -> float:
        raise NoAssociation(answer)

    monkeypatch.setattr(dimse, "echo", echo)
    (found,) = peers.peers(settings(tmp_path, peer=[entry("A")]))
    assert words in found.remedy


def test_the_exit_status_is_that_of_the_worst_and_quick_calls_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dicomnode.toml"
    path.write_text('[store]\nfolder = "store"\n')
    found: list[Check] = []

    def checks(_settings: Settings, *, quick: bool) -> list[Check]:
        assert quick
        return found

    monkeypatch.setattr("dicomnode.flow.preflight.checks.check", checks)
    for verdict, status in ((Verdict.OK, 0), (Verdict.WARN, 3), (Verdict.FAIL, 1), (Verdict.OK, 1)):
        found.append(Check(subject="s", verdict=verdict, found="f"))
        done = CliRunner().invoke(app, ["check", "--quick", "--config", str(path)])
        assert done.exit_code == status
    assert "4 checks: 2 ok, 1 warn, 1 fail" in done.output
