"""Keeps a copy of a database before its schema changes, and lets one process at a time change it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from dicomnode.domain.errors import DicomNodeError, OutOfResources

#: Held by whoever changes the schema; who opens the database meanwhile waits for so long, as for SQLite's own lock.
LOCK = "upgrade.lock"
_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05

#: What the copy and the log of the change may take beside the database: as much as it has, each.
_ROOM = 2

#: A copy holds patient data and goes when nobody goes back any more: a month covers a release and the next rounds.
KEPT = timedelta(days=30)

_COPY = re.compile(r"\.schema-\d+$")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock under which the schema of the database at `path` is changed.

    Raises
    ------
    OutOfResources
        Another process changes it and is not done in time: try later.
    """
    with path.with_name(LOCK).open("a") as lock:
        _give_to_owner(path, lock.fileno())
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    text = f"database {path}: another process is bringing it up to date; try later"
                    raise OutOfResources(text) from error
                time.sleep(_POLL_SECONDS)
            else:
                break
        yield


def copy_of(path: Path, schema: int) -> Path:
    """Where the copy is kept that is made before schema `schema` is left."""
    return path.with_name(f"{path.name}.schema-{schema}")


def keep_copy(path: Path, schema: int) -> Path:
    """Copy the database as it is, make sure that the copy is sound, and keep it beside it; where.

    Expects that nobody writes: the caller holds the write lock on another connection.

    Raises
    ------
    OutOfResources
        There is no room for it and for the change.
    DicomNodeError
        The copy is not sound, so neither is the database; nothing has been changed.
    """
    kept = copy_of(path, schema)
    part = kept.with_name(f"{kept.name}.part")
    # What a killed process left would take the room that is asked for.
    _remove(part)
    _require_room(path)
    try:
        _copy(path, part)
        part.rename(kept)
    except BaseException:
        _remove(part)
        raise
    _sync(path.parent)
    return kept


def _copy(path: Path, part: Path) -> None:
    # Made before SQLite opens it, so that nobody else may read it whatever the umask is.
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        _give_to_owner(path, descriptor)
    finally:
        os.close(descriptor)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        found = [row[0] for row in copy.execute("PRAGMA quick_check(3)")]
        copy.execute("PRAGMA journal_mode=DELETE")
    if found != ["ok"]:
        raise DicomNodeError(f"database {path}: damaged ({'; '.join(found)}); restore a backup, nothing was changed")
    _sync(part)


def copies(path: Path) -> list[Path]:
    """The copies that are kept beside a database, the newest last."""
    found = [one for one in path.parent.glob(f"{path.name}.schema-*") if _COPY.search(one.name)]
    return sorted(found, key=lambda one: (one.stat().st_mtime, one.name))


def forget_copies(path: Path, now: datetime) -> list[Path]:
    """Remove the copies that the newest has taken the place of or that are older than `KEPT`, and what a kill left."""
    found = copies(path)
    old = {one for one in found if one.stat().st_mtime < (now - KEPT).timestamp()}
    gone = sorted({*found[:-1], *old})
    for one in (*gone, *path.parent.glob(f"{path.name}.schema-*.part")):
        _remove(one)
    return gone


def _require_room(path: Path) -> None:
    logs = (path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal"))
    needed = _ROOM * sum(one.stat().st_size for one in logs if one.exists())
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        text = (
            f"database {path}: {free >> 20} MiB are free, needed {(needed >> 20) + 1} MiB for a copy before the schema"
            " changes; make room there and start again"
        )
        raise OutOfResources(text)


def _give_to_owner(path: Path, descriptor: int) -> None:
    """Let the node's account have what root makes beside its database."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
