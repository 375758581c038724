"""Files that no row needs any more: each is struck off in the transaction in which it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from dicomnode.domain.clock import to_text
from dicomnode.store.database import Database
from dicomnode.store.files import Files

#: So many files go at a time: unlinking them takes milliseconds, for which others wait.
_BATCH = 100

#: A file that may not be removed is tried again so often; somebody has to see to its permissions first.
_DENIED_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a batch has come to: files that are gone, and why others may not be removed that nobody was told of yet."""

    removed: int
    denied: Mapping[str, str]


class Removals:
    """The rows of files that are to go. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def pending(self) -> bool:
        """Whether any file is to go now."""
        return self._db.row("SELECT 1 FROM removal WHERE denied_at < ? LIMIT 1", self._again()) is not None

    def below(self, folder: str) -> set[str]:
        """The files in a folder that are still to go, relative to the store."""
        # "0" is the character that follows "/", so that this is a range of the key.
        rows = self._db.rows("SELECT path FROM removal WHERE path > ? AND path < ?", f"{folder}/", f"{folder}0")
        return {row["path"] for row in rows}

    def take(self) -> Taken:
        """Unlink some of them and strike them off; one that may not be removed stays in the books for a later time.

        An object that comes back under one of these names is kept before its transaction and asks in it whether its
        file is there; since that is never at the same time as this, it neither loses its file nor is counted without.

        Raises
        ------
        OutOfResources
            The disk fails or is read-only.
        """
        rows = self._db.rows(
            "SELECT path, denied_at FROM removal WHERE denied_at < ? ORDER BY denied_at, path LIMIT ?",
            self._again(), _BATCH,
        )  # fmt: skip
        denied = self._files.remove([row["path"] for row in rows])
        for row in rows:
            if row["path"] in denied:
                self._db.execute("UPDATE removal SET denied_at = ? WHERE path = ?", self._db.now(), row["path"])
            else:
                self._db.execute("DELETE FROM removal WHERE path = ?", row["path"])
        known = {row["path"] for row in rows if row["denied_at"]}
        return Taken(
            removed=len(rows) - len(denied), denied={path: denied[path] for path in denied if path not in known}
        )

    def _again(self) -> str:
        """What was denied before this is tried again."""
        return to_text(self._db.clock() - _DENIED_FOR)
