"""Removals of files that the audit trail has not been told of yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dicomnode.domain.clock import from_text
from dicomnode.store.database import Database

#: So many are told at a time.
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UntoldRemoval:
    """Files of a study were given up; `login` is of the operator who did it, "" where the node did by itself."""

    untold_id: int
    study_instance_uid: str
    removed_at: datetime
    login: str
    reason: str


class Untold:
    """The rows of what is to be told. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, study_instance_uid: str, reason: str, login: str = "") -> None:
        """Have a removal told."""
        self._db.execute(
            "INSERT INTO untold_removal (study_instance_uid, removed_at, login, reason) VALUES (?, ?, ?, ?)",
            study_instance_uid, self._db.now(), login, reason,
        )  # fmt: skip

    def next(self) -> Sequence[UntoldRemoval]:
        """The oldest of them."""
        rows = self._db.rows("SELECT * FROM untold_removal ORDER BY untold_id LIMIT ?", _BATCH)
        return [UntoldRemoval(**{**dict(row), "removed_at": from_text(row["removed_at"])}) for row in rows]

    def strike_off(self, removals: Sequence[UntoldRemoval]) -> None:
        """These are told."""
        for one in removals:
            self._db.execute("DELETE FROM untold_removal WHERE untold_id = ?", one.untold_id)
