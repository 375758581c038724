"""One SQLite file: how it is opened, migrated and written, and what its faults mean to the rest of the node."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from dicomnode.domain.clock import Clock, to_text, utc_now
from dicomnode.domain.errors import ConfigError, DicomNodeError, Fault, OutOfResources
from dicomnode.store.upgrade import alone, keep_copy

#: Result codes that mean "not now": the disk is full, gone or read-only, or another process holds the lock too long.
_RESOURCE_CODES = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
     sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
)  # fmt: skip

#: The WAL is moved into the database when it has this many pages: SQLite's own default.
CHECKPOINT_PAGES = 1000

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "glusterfs", "ceph"})


class Database:
    """One connection to the node's database.

    A connection belongs to one thread at a time. WAL with `synchronous=FULL` makes a committed transaction
    survive a power cut.

    Parameters
    ----------
    path
        The database file; made and migrated when absent or old.
    clock
        Source of every time written.
    checkpoints
        Whether this connection moves the WAL into the database. Exactly one connection of a running node
        does: SQLite before 3.51.3 can corrupt a WAL that is reset by overlapping checkpoints. Where nothing receives,
        `flow/checkpoint.py` asks for it.

    Attributes
    ----------
    kept_before
        The copy that was made before this connection changed the schema; None where it did not.
    """

    def __init__(self, path: Path, *, clock: Clock = utc_now, checkpoints: bool = False) -> None:
        self.path = path
        self.clock = clock
        self.kept_before: Path | None = None
        # Whoever comes first, a verb at a terminal too: patient data are for this account alone. SQLite gives the log
        # and its index the mode of the file, and says itself why it cannot be opened. The file is made without being
        # opened: closing it would release the locks that other connections of this process hold, and two processes
        # that then write at once break the database (SQLite, "How To Corrupt An SQLite Database File", 2.2).
        with suppress(OSError):
            os.mknod(path, stat.S_IFREG | 0o600)
        with mapped_errors():
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            self._connection.execute("PRAGMA mmap_size=0")
            self._connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if checkpoints else 0}")
        self._migrate()

    def now(self) -> str:
        """The clock's time as the database writes it."""
        return to_text(self.clock())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; takes the write lock at once, so that no later statement can fail for want of it."""
        with mapped_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT on a full disk may have rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def execute(self, sql: str, *values: Any, **named: Any) -> int:
        """Run one statement; the number of rows that it changed."""
        try:
            return self._connection.execute(sql, named or values).rowcount
        except sqlite3.DatabaseError as error:
            _raise_meaning(error)
            raise

    def insert(self, sql: str, *values: Any, **named: Any) -> int:
        """Run one INSERT; the row id, or 0 when a conflict clause kept the row out."""
        with mapped_errors():
            cursor = self._connection.execute(sql, named or values)
            return int(cursor.lastrowid or 0) if cursor.rowcount else 0

    def rows(self, sql: str, *values: Any, **named: Any) -> Sequence[sqlite3.Row]:
        """All rows of a query."""
        with mapped_errors():
            return self._connection.execute(sql, named or values).fetchall()

    def row(self, sql: str, *values: Any, **named: Any) -> sqlite3.Row | None:
        """The first row of a query."""
        try:
            found: sqlite3.Row | None = self._connection.execute(sql, named or values).fetchone()
        except sqlite3.DatabaseError as error:
            _raise_meaning(error)
            raise
        return found

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy as it is now, durably, while others go on writing; what is there is replaced."""
        path.unlink(missing_ok=True)
        remove_log(path)
        with mapped_errors():
            copy = sqlite3.connect(path)
            try:
                self._connection.backup(copy)
            finally:
                copy.close()
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def checkpoint(self, whether: bool) -> None:
        """Begin or cease to move the WAL into the database with the commits of this connection."""
        self.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES if whether else 0}")

    def data_version(self) -> int:
        """A number that changes when another connection commits; cheaper to ask than any table."""
        row = self.row("PRAGMA data_version")
        return int(row[0]) if row else 0

    def settle_log(self) -> None:
        """Make what this connection sees final, also for a recovery.

        A process that is killed between writing a commit to the WAL and publishing it in the shared index leaves a
        commit that nobody sees, until every process has gone and the next one makes the index anew from the log. Who
        acts on the absence of a row writes over it first.
        """
        with self.transaction():
            row = self.row("PRAGMA user_version")
            if row is not None:
                self.execute(f"PRAGMA user_version={int(row[0])}")

    def event(self, study_instance_uid: str, entity: str, entity_id: str, arrow: str, detail: str) -> None:
        """Add one line to the study's story that is not a change of state."""
        self.execute(
            "INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail) VALUES (?, ?, ?, ?, ?, ?)",
            self.now(), study_instance_uid, entity, entity_id, arrow, detail,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _migrate(self) -> None:
        scripts = migrations()
        have = self._schema()
        if have > len(scripts):
            remedy = (
                f"written by a newer version (schema {have}); this version knows up to {len(scripts)}: install that"
                " version again, or go back to the copy that was made before (docs/change.md)"
            )
            raise ConfigError([Fault(key="store.folder", value=str(self.path), remedy=remedy)])
        if have < len(scripts):
            try:
                with mapped_errors(), alone(self.path):
                    self._bring_up_to_date(scripts)
            except OSError as error:
                full = error.errno in {errno.ENOSPC, errno.EDQUOT}
                raise (OutOfResources if full else DicomNodeError)(
                    f"database {self.path}: cannot be brought up to date, {error}; nothing was changed"
                ) from error

    def _bring_up_to_date(self, scripts: Sequence[str]) -> None:
        """Apply what is missing in one transaction: a kill leaves the old schema or the new one, and never half."""
        with self.transaction():
            have = self._schema()
            if 0 < have < len(scripts):
                # The write lock is held here, so that nothing is written after the copy and before the change.
                self.kept_before = keep_copy(self.path, have)
            for number, script in enumerate(scripts[have:], start=have + 1):
                for statement in statements(script):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version={number}")

    def _schema(self) -> int:
        row = self.row("PRAGMA user_version")
        return int(row[0]) if row else 0


def remove_log(path: Path) -> None:
    """Remove what is left of a log beside a database that another takes the place of: SQLite would play it over that.

    What lies there was written by somebody who was killed on the former one.
    """
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def migrations() -> list[str]:
    """The numbered scripts in `store/sql`, in order; the database's user_version counts those applied."""
    folder = resources.files("dicomnode.store") / "sql"
    names = sorted(entry.name for entry in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", entry.name))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; `executescript` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn SQLite's "not now" into `OutOfResources`; programming errors pass unchanged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        _raise_meaning(error)
        raise


def _raise_meaning(error: sqlite3.DatabaseError) -> None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if isinstance(error, sqlite3.OperationalError):
        if code in _RESOURCE_CODES:
            raise OutOfResources(f"database: {error.sqlite_errorname}, {error}") from error
    elif code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        raise DicomNodeError(f"database: {error}; restore a backup and see `dicomnode check`") from error


def file_system(path: Path) -> str:
    """Type of the file system that holds `path`, as /proc/mounts names it; "" where that cannot be read."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    target = os.path.realpath(path)
    for line in mounts.read_text().splitlines():
        _device, mount, name = line.split()[:3]
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, name
    return kind
