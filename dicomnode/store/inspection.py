"""Looks at a database without changing anything about it: its schema, whether it is sound, and its last event."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicomnode.domain.clock import from_text
from dicomnode.domain.errors import DicomNodeError
from dicomnode.store.database import mapped_errors, migrations

#: What SQLite calls a database in which it finds no fault.
_SOUND = "ok"

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What there is; `faults` are SQLite's own words, and `known` is the schema of this version."""

    schema: int
    known: int
    faults: tuple[str, ...]
    last_event_at: datetime | None
    size_bytes: int

    @property
    def usable(self) -> bool:
        """Whether this version can open it without changing its schema."""
        return self.schema == self.known


def inspect(path: Path, *, thoroughly: bool) -> Inspection | None:
    """The database at `path`; None where there is none yet.

    Parameters
    ----------
    thoroughly
        Whether to read all of it (PRAGMA quick_check), which takes seconds for each GiB.

    Raises
    ------
    DicomNodeError
        It cannot be read, or is none.
    """
    if not path.exists():
        return None
    with mapped_errors():
        try:
            return _inspected(path, thoroughly)
        except sqlite3.OperationalError as error:
            raise DicomNodeError(f"database {path}: {error}") from error


def _inspected(path: Path, thoroughly: bool) -> Inspection:
    # Not read-only, which cannot open a log that a killed process has left.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=_TIMEOUT_SECONDS)
    with closing(connection) as db:
        schema = int(db.execute("PRAGMA user_version").fetchone()[0])
        told = [str(row[0]) for row in db.execute("PRAGMA quick_check(5)")] if thoroughly else [_SOUND]
        at = db.execute("SELECT at FROM event ORDER BY event_id DESC LIMIT 1").fetchone() if schema else None
    return Inspection(
        schema=schema,
        known=len(migrations()),
        faults=tuple(one for one in told if one != _SOUND),
        last_event_at=from_text(at[0]) if at and at[0] else None,
        size_bytes=path.stat().st_size,
    )
