"""Files that no row needs any more: each is struck off in the transaction in which it goes."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.store.database import Database
from dicomnode.store.files import Files

#: So many files go at a time: unlinking them takes milliseconds, for which others wait.
_BATCH = 100


class Removals:
    """The rows of files that are to go. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def pending(self) -> bool:
        """Whether any file is still to go."""
        return self._db.row("SELECT 1 FROM removal LIMIT 1") is not None

    def paths(self) -> set[str]:
        """The files that are still to go, relative to the store."""
        return {row["path"] for row in self._db.rows("SELECT path FROM removal")}

    def take(self) -> Sequence[str]:
        """Unlink some of them and strike them off; which.

        An object that comes back under one of these names is kept before its transaction and asks in it whether its
        file is there; since that is never at the same time as this, it neither loses its file nor is counted without.

        Raises
        ------
        OutOfResources
            The disk fails or is read-only.
        """
        paths = [row["path"] for row in self._db.rows("SELECT path FROM removal ORDER BY path LIMIT ?", _BATCH)]
        self._files.remove(paths)
        for path in paths:
            self._db.execute("DELETE FROM removal WHERE path = ?", path)
        return paths
