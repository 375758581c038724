"""The log does not grow for ever where nobody receives, and nobody else touches it where somebody does."""

from __future__ import annotations

from collections.abc import Callable
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from dicomnode.flow.checkpoint import checkpoint_alone, lock_file
from dicomnode.store.database import CHECKPOINT_PAGES, Database

#: Bytes of one round of writing: more than the log may have before it is moved.
ROUND_BYTES = 2 * CHECKPOINT_PAGES * 4096


@pytest.fixture
def write(db: Database) -> Callable[[], int]:
    """Writes as work and deliver do, by a connection that leaves the log alone; how long the log is then."""
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TABLE filler (content BLOB)")

    def grow() -> int:
        for _ in range(2):
            with db.transaction():
                db.execute("DELETE FROM filler")
                db.execute("INSERT INTO filler VALUES (zeroblob(?))", ROUND_BYTES // 2)
        return db.path.with_name("node.db-wal").stat().st_size

    return grow


def test_without_a_process_that_receives_the_log_is_used_again(
    db: Database, write: Callable[[], int], tmp_path: Path
) -> None:
    supervisor = Database(db.path)
    once = write()
    assert once >= ROUND_BYTES
    for _ in range(3):
        assert checkpoint_alone(supervisor, tmp_path)
        assert write() < 2 * once
    supervisor.close()


def test_a_short_log_and_one_that_a_receiving_process_looks_after_are_left_alone(
    db: Database, write: Callable[[], int], tmp_path: Path
) -> None:
    assert not checkpoint_alone(db, tmp_path)
    write()
    with lock_file(tmp_path, "receive").open("w") as held:
        flock(held, LOCK_EX)
        assert not checkpoint_alone(db, tmp_path)
    assert checkpoint_alone(db, tmp_path)
