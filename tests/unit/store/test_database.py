"""The database keeps its promises: arrows, history, durability, migrations."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.domain.errors import ConfigError, DicomNodeError, OutOfResources
from dicomnode.domain.work import TRANSITIONS
from dicomnode.store.database import Database, file_system, migrations, statements


def test_the_transition_table_is_the_one_of_the_domain(db: Database) -> None:
    rows = {tuple(row) for row in db.rows("SELECT entity, before, arrow, after FROM transition")}
    assert rows == {(entity, *arrow) for entity, arrows in TRANSITIONS.items() for arrow in arrows}


def _study(db: Database, state: str = "receiving") -> None:
    db.execute(
        "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
        " first_arrival_at, last_arrival_at) VALUES ('1.2', ?, ?, 'A', 'B', '::1', '', ?, ?)",
        state, db.now(), db.now(), db.now(),
    )  # fmt: skip


@pytest.mark.parametrize("before", ["receiving", "settled", "abandoned"])
@pytest.mark.parametrize("after", ["receiving", "settled", "abandoned", "nonsense"])
def test_only_the_arrows_drawn_are_possible(db: Database, before: str, after: str) -> None:
    legal = {(a, b) for a, _, b in TRANSITIONS["study"]} | {(before, before)}
    _study(db, before)
    if (before, after) in legal:
        db.execute("UPDATE study SET state = ?", after)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="no arrow"):
            db.execute("UPDATE study SET state = ?", after)


def test_every_change_of_state_is_in_the_history_without_being_asked_for(db: Database) -> None:
    _study(db)
    db.execute("UPDATE study SET state = 'settled', reason = 'quiet', changed_at = 'T'")
    events = [(row["arrow"], row["detail"]) for row in db.rows("SELECT * FROM event ORDER BY event_id")]
    assert events == [("opened", "first object from A at ::1, sent to B"), ("settled", "quiet")]


def test_a_failed_transaction_leaves_nothing(db: Database) -> None:
    with pytest.raises(RuntimeError), db.transaction():
        _study(db)
        raise RuntimeError
    assert db.rows("SELECT * FROM study") == []


def test_commits_are_synchronous_and_only_one_connection_checkpoints(db: Database) -> None:
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("wal_autocheckpoint", 0)):
        row = db.row(f"PRAGMA {pragma}")
        assert row is not None and row[0] == value
    checkpointer = Database(db.path, checkpoints=True)
    row = checkpointer.row("PRAGMA wal_autocheckpoint")
    assert row is not None and row[0] > 0
    checkpointer.close()


def test_a_database_of_a_newer_version_is_refused_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    Database(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version={len(migrations()) + 1}")
    raw.close()
    with pytest.raises(ConfigError, match="newer version"):
        Database(path)


def test_opening_twice_migrates_once(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    first, second = Database(path), Database(path)
    row = second.row("PRAGMA user_version")
    assert row is not None and row[0] == len(migrations())
    first.close()
    second.close()


def test_a_database_of_the_first_version_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with sqlite3.connect(path) as old:
        old.executescript(migrations()[0])
        old.execute("PRAGMA user_version=1")
        old.execute(
            "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
            " first_arrival_at, last_arrival_at) VALUES ('1.2', 'settled', '', '', '', '', '', '', '')"
        )
        old.execute(
            "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
            " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
            " not_before) VALUES ('1.2', '', '', 1, 'r', 'm', '1', '', 'i', 'd', 1, 0, '[]', '[]', '', '')"
        )
    old.close()
    new = Database(path)
    row = new.row("SELECT research, received, deadline_at, retracted FROM job")
    assert row is not None and tuple(row) == (1, "", "", ""), "what was never said to be clinical is research"
    assert new.rows("SELECT occasion, only_for FROM result") == []
    new.close()


def test_statements_keeps_triggers_whole() -> None:
    script = "CREATE TABLE a (b);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n DELETE FROM a; SELECT 1;\nEND;\n"
    assert len(list(statements(script))) == 2


def test_a_database_that_cannot_grow_says_out_of_resources(db: Database) -> None:
    row = db.row("PRAGMA page_count")
    assert row is not None
    db.execute(f"PRAGMA max_page_count={row[0]}")
    with pytest.raises(OutOfResources, match="SQLITE_FULL"), db.transaction():
        for number in range(1000):
            db.event(f"1.2.{number}", "study", "x" * 100, "grew", "y" * 1000)
    db.execute("PRAGMA max_page_count=1073741823")
    with db.transaction():
        _study(db)
    assert len(db.rows("SELECT * FROM study")) == 1


def test_a_commit_of_another_connection_is_noticed(db: Database) -> None:
    before = db.data_version()
    other = Database(db.path)
    with other.transaction():
        _study(other)
    other.close()
    assert db.data_version() != before


def test_the_file_system_of_a_folder_is_known_by_name(tmp_path: Path) -> None:
    assert file_system(Path("/proc")) == "proc"
    assert file_system(tmp_path) not in ("", "proc")


def test_nobody_else_may_read_a_database_whoever_made_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = Database(tmp_path / "node.db")
    finally:
        os.umask(before)
    try:
        modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.glob("node.db*")}
        assert modes and set(modes.values()) == {0o600}, modes
    finally:
        made.close()


@pytest.mark.parametrize(
    ("error", "told"), [(errno.ENOSPC, OutOfResources), (errno.EROFS, DicomNodeError), (errno.EACCES, DicomNodeError)]
)
def test_an_upgrade_that_the_system_refuses_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, told: type[DicomNodeError]
) -> None:
    every = migrations()
    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.store.database.migrations", lambda: every[:10])
        Database(tmp_path / "node.db").close()

    def refuse(*_arguments: object) -> None:
        raise OSError(error, os.strerror(error), "node.db.schema-10.part")

    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.store.database.keep_copy", refuse)
        with pytest.raises(told, match=r"cannot be brought up to date.*nothing was changed"):
            Database(tmp_path / "node.db")
    with sqlite3.connect(tmp_path / "node.db") as left:
        assert left.execute("PRAGMA user_version").fetchone() == (10,)
    left.close()


def test_a_second_connection_of_a_process_leaves_the_first_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    stranger = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM study'); c.close()"
    first, second = Database(path), Database(path)
    try:
        # Whoever closes as the last removes the log; another process can think so only where our locks are gone.
        subprocess.run([sys.executable, "-c", stranger, str(path)], check=True)
        assert path.with_name("node.db-wal").exists()
    finally:
        second.close()
        first.close()
