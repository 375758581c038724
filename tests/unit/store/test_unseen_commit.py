"""A commit that was cut short by a kill, after its write-ahead log was written and before others could see it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomnode.store.database import Database

_COMMIT = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA synchronous=FULL")
columns = "at, study_instance_uid, entity, entity_id, arrow, detail"
db.execute(f"INSERT INTO event ({columns}) VALUES ('', '1.2', '', '', '', '')")
db.commit()
os._exit(9)  # as after a kill: nothing is closed
"""


def count(db: Database) -> int:
    row = db.row("SELECT count(*) AS n FROM event")
    assert row is not None
    return int(row["n"])


def commit_that_nobody_sees(path: Path) -> None:
    """Leave the frames of a commit in the log, and its index in shared memory as it was before them."""
    index = path.with_name(path.name + "-shm")
    before = index.read_bytes()
    subprocess.run([sys.executable, "-c", _COMMIT, str(path)], check=False)
    with index.open("r+b") as memory:
        memory.write(before)


def recovered(path: Path, folder: Path) -> int:
    """The rows that the next node finds, after every process of this one was killed: the index is made from the log."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), folder / f"node.db{suffix}")
    with sqlite3.connect(folder / "node.db") as db:
        return int(db.execute("SELECT count(*) FROM event").fetchone()[0])


@pytest.mark.parametrize(("decide", "after"), [(lambda _db: None, 1), (Database.settle_log, 0)])
def test_a_commit_that_nobody_saw_comes_back_with_a_recovery_unless_it_is_written_over(
    decide: Callable[[Database], None], after: int, tmp_path: Path
) -> None:
    path = tmp_path / "node.db"
    db = Database(path)
    commit_that_nobody_sees(path)
    assert count(db) == 0
    decide(db)
    assert count(db) == 0
    assert recovered(path, tmp_path / "next") == after
    db.close()
