"""Keeps the database's log short while no process of this store receives, which else does so."""

from __future__ import annotations

from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from dicomnode.store.database import CHECKPOINT_PAGES, Database
from dicomnode.store.files import mapped_errors

#: SQLite's default page (PRAGMA page_size); the log has a little more for each.
_PAGE_BYTES = 4096


def lock_file(store: Path, role: str) -> Path:
    """What the supervisor of a role on a store holds locked."""
    return store / f"{role}.lock"


def checkpoint_alone(db: Database, store: Path) -> bool:
    """Move a long log into the database if nobody on this store receives; whether that was done.

    The lock of the receiving process is held meanwhile, so that never two connections do it at a time.

    Raises
    ------
    OutOfResources
        If the disk is full or fails.
    """
    try:
        length = db.path.with_name(f"{db.path.name}-wal").stat().st_size
    except FileNotFoundError:
        return False
    if length < CHECKPOINT_PAGES * _PAGE_BYTES:
        return False
    with mapped_errors(), lock_file(store, "receive").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return False
        db.row("PRAGMA wal_checkpoint(PASSIVE)")
    return True
