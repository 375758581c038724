"""A store of any earlier schema comes up to date without loss, with a copy, and is never found half way."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError, DicomNodeError, OutOfResources
from dicomnode.store import upgrade
from dicomnode.store.database import Database, migrations, statements
from dicomnode.store.upgrade import copies, copy_of, forget_copies, keep_copy

#: The schemas of released versions, whose scripts are frozen.
FROZEN = 10

#: What a later version does without, of the rows of `_fill`.
MADE_ANEW = {("pixel_digest", "p")}

NAMES = ("1.2.3", "1.2.4")


def old_store(path: Path, schema: int, *, instances: int = 3) -> None:
    """A database as a version with this schema has left it, with rows in all tables that it begins with."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("BEGIN IMMEDIATE")
        for number, script in enumerate(migrations()[:schema], start=1):
            for statement in statements(script):
                db.execute(statement)
            if number == 1:
                for name in NAMES:
                    _fill(db, name, instances)
        db.execute(f"PRAGMA user_version={schema}")
        db.execute("COMMIT")


def _fill(db: sqlite3.Connection, study: str, instances: int) -> None:
    db.execute(
        "INSERT INTO study (study_instance_uid, changed_at, calling_aet, called_aet, address, peer, first_arrival_at,"
        " last_arrival_at) VALUES (?, 'T', 'A', 'B', '::1', 'PACS', 'T', 'T')", (study,)
    )  # fmt: skip
    db.execute("INSERT INTO series VALUES (?, ?, '{}')", (study, f"{study}.1"))
    db.executemany(
        "INSERT INTO instance (study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid,"
        " transfer_syntax_uid, digest, pixel_digest, size_bytes, path, own, arrived_at, standing)"
        " VALUES (?, ?, 'C', ?, 'S', ?, 'p', 7, ?, '{}', 'T', 'current')",
        ((study, f"{study}.1", f"{study}.1.{n}", f"d{n}", f"studies/{study}/{n}") for n in range(instances)),
    )  # fmt: skip
    db.execute("UPDATE study SET state = 'settled', reason = 'quiet', changed_at = 'T'")
    db.execute(
        "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
        " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
        " not_before) VALUES (?, 'T', 'T', 1, 'r', 'm', 's', 'f', 'i', 'x', 1, 0, '[]', '[]', '', 'T')", (study,)
    )  # fmt: skip
    job = db.execute("SELECT MAX(job_id) FROM job").fetchone()[0]
    db.execute("INSERT INTO job_input SELECT ?, 0, 'ct', MIN(instance_id) FROM instance", (job,))
    db.execute(
        "INSERT INTO result (job_id, role, kind, refers_to, sop_class_uid, sop_instance_uid, series_instance_uid,"
        " transfer_syntax_uid, digest, size_bytes, path, created_at)"
        " VALUES (?, 'sr', 'sr', '', 'C', ?, 's', 'S', 'd', 9, 'results/x', 'T')", (job, f"9.{study}")
    )  # fmt: skip
    db.execute("INSERT INTO backoff VALUES (?, 1, 'T', 'no answer')", (f"peer of {study}",))


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, by column."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in tables}


def lost(before: dict[str, list[dict[str, object]]], after: dict[str, list[dict[str, object]]]) -> list[object]:
    """Rows, or values of columns, that are no longer there, but for what is made of the files when it is asked for."""
    return [
        (table, row) for table, rows in before.items() for row in rows
        if not any(row.items() - MADE_ANEW <= other.items() for other in after.get(table, []))
    ]  # fmt: skip


@pytest.mark.parametrize("schema", range(1, FROZEN + 1))
def test_a_store_of_every_earlier_schema_comes_up_to_date_and_loses_nothing(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "node.db"
    old_store(path, schema)
    before = contents(path)

    with closing(Database(path)) as db:
        assert db.kept_before == copy_of(path, schema)
        assert db.row("PRAGMA user_version")[0] == len(migrations())  # type: ignore[index]
        assert db.rows("PRAGMA foreign_key_check") == []
        assert db.row("PRAGMA integrity_check")[0] == "ok"  # type: ignore[index]

    assert lost(before, contents(path)) == []
    assert contents(copy_of(path, schema)) == before
    with closing(sqlite3.connect(copy_of(path, schema))) as copy:
        assert copy.execute("PRAGMA user_version").fetchone()[0] == schema
    assert copy_of(path, schema).stat().st_mode & 0o777 == 0o600, "it holds what the store holds"


def test_an_upgraded_store_has_the_schema_of_a_new_one(tmp_path: Path) -> None:
    old_store(tmp_path / "node.db", 1)
    Database(tmp_path / "node.db").close()
    Database(tmp_path / "new.db").close()

    def schema(path: Path) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()

    assert schema(tmp_path / "node.db") == schema(tmp_path / "new.db")


def test_a_new_store_needs_no_copy_and_one_that_is_up_to_date_makes_none(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(Database(tmp_path / "node.db")) as db:
            assert db.kept_before is None
    assert copies(tmp_path / "node.db") == []


def test_without_room_for_a_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "node.db"
    old_store(path, 5)
    before = contents(path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    with pytest.raises(OutOfResources, match="make room there"):
        Database(path)

    assert contents(path) == before and copies(path) == []


def test_a_damaged_database_is_told_of_before_anything_changes(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    old_store(path, 10, instances=2000)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'instance_by_series'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x0a" + bytes(size - 1))
    with pytest.raises(DicomNodeError, match="nothing was changed"):
        keep_copy(path, 10)
    assert copies(path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from dicomnode.store.database import Database
left = int(sys.argv[2])
execute = Database.execute
def counted(self, sql, *values, **named):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, sql, *values, **named)
Database.execute = counted
Database(Path(sys.argv[1]))
print("whole")
"""


@pytest.mark.parametrize("statement", [3, 27, 80])
def test_a_kill_in_the_midst_leaves_the_old_store_and_the_next_start_finishes(tmp_path: Path, statement: int) -> None:
    path = tmp_path / "node.db"
    old_store(path, 1)
    before = contents(path)

    done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(statement)], capture_output=True, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert contents(path) == before
    Database(path).close()
    assert lost(before, contents(path)) == []
    assert contents(copy_of(path, 1)) == before


def test_a_kill_while_the_copy_is_made_leaves_nothing_that_counts(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    old_store(path, 4)
    part = copy_of(path, 4).with_name(f"{copy_of(path, 4).name}.part")
    part.write_bytes(b"half a copy")
    assert copies(path) == []
    with closing(Database(path)) as db:
        assert db.kept_before is not None
    assert not part.exists()


def test_what_a_killed_upgrade_left_does_not_take_the_room_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.db"
    old_store(path, 10, instances=2000)
    part = copy_of(path, 10).with_name(f"{copy_of(path, 10).name}.part")
    part.write_bytes(bytes(path.stat().st_size))
    whole = shutil.disk_usage(tmp_path)
    room = int(2.5 * path.stat().st_size)

    def usage(folder: Path) -> object:
        taken = sum(one.stat().st_size for one in folder.iterdir() if one.name.endswith(".part"))
        return whole._replace(free=room - taken)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with closing(Database(path)) as db:
        assert db.kept_before == copy_of(path, 10)
    assert not part.exists()


def test_a_copy_that_cannot_be_finished_leaves_nothing_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.db"
    old_store(path, 5)

    def full(_path: Path) -> None:
        raise OutOfResources("database: disk is full")

    monkeypatch.setattr(upgrade, "_sync", full)
    with pytest.raises(OutOfResources):
        Database(path)
    assert list(tmp_path.glob("node.db.schema-*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for another account")
def test_what_root_makes_belongs_to_the_account_of_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    old_store(folder / "node.db", 5)
    os.chown(folder, 65534, 65534)
    Database(folder / "node.db").close()
    for made in (folder / upgrade.LOCK, copy_of(folder / "node.db", 5)):
        assert (made.stat().st_uid, made.stat().st_gid) == (65534, 65534)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[None]:
    with upgrade.alone(tmp_path / "node.db"):
        yield


@pytest.mark.usefixtures("held")
def test_who_opens_an_old_store_while_another_changes_it_is_told_to_try_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_store(tmp_path / "node.db", 3)
    monkeypatch.setattr(upgrade, "_WAIT_SECONDS", 0.0)
    with pytest.raises(OutOfResources, match="try later"):
        Database(tmp_path / "node.db")


@pytest.mark.usefixtures("held")
def test_a_store_that_is_up_to_date_opens_whatever_is_locked(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "node.db")) as raw:
        raw.execute(f"PRAGMA user_version={len(migrations())}")
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("BEGIN IMMEDIATE")
        Database(tmp_path / "node.db").close()


def test_of_the_copies_the_newest_stays_for_a_month(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    now = datetime(2026, 3, 1, tzinfo=UTC)
    for schema, days in ((8, 90), (9, 40), (10, 10)):
        copy_of(path, schema).touch()
        os.utime(copy_of(path, schema), times=((now - timedelta(days=days)).timestamp(),) * 2)
    assert set(forget_copies(path, now)) == {copy_of(path, 8), copy_of(path, 9)}
    assert forget_copies(path, now + timedelta(days=19)) == []
    assert forget_copies(path, now + timedelta(days=21)) == [copy_of(path, 10)]
    assert copies(path) == []


def test_a_newer_store_is_refused_with_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    Database(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version=9999")
    with pytest.raises(ConfigError, match="copy that was made before"):
        Database(path)


def test_what_an_older_version_owed_and_analysed_keeps_its_time_and_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    names = sorted(entry.name for entry in resources.files("dicomnode.store").joinpath("sql").iterdir())
    before = [name for name in names if name.endswith(".sql")].index("0016_waiting.sql")
    old_store(path, before)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM outcome")
        (first,) = raw.execute("SELECT MIN(job_id) FROM job").fetchone()
        again = raw.execute(
            "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
            " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
            " not_before, state) SELECT study_instance_uid, 'T9', 'T3', 1, rule, model, '', '', 'other', '', 1, 0, '',"
            " '', '', '', 'waiting' FROM job WHERE job_id = ?",
            (first,),
        ).lastrowid
        for job, at in ((first, "T1"), (again, "T2")):
            raw.execute(
                "INSERT INTO outcome (job_id, ended_at, model, version, ending, manufacturer, scanner, station)"
                " SELECT job_id, ?, model, '1', 'done', 'A', 'B', 'C' FROM job WHERE job_id = ?",
                (at, job),
            )
    db = Database(path)
    try:
        rows = db.rows("SELECT job_id, counts, first_at FROM outcome ORDER BY job_id")
        assert [tuple(row) for row in rows] == [(first, 0, "T1"), (again, 1, "T1")]
        waits = db.row("SELECT waits_since FROM job WHERE job_id = ?", str(again))
        assert waits is not None and waits["waits_since"] == "T3"
    finally:
        db.close()
