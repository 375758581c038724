"""Takes away the files that rows have given up, a few at a time, however often it is interrupted."""

from __future__ import annotations

from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from dicomnode.flow.failpoint import failpoint
from dicomnode.store.database import Database
from dicomnode.store.files import Files, mapped_errors
from dicomnode.store.removals import Removals


def hold_file(store: Path) -> Path:
    """Who holds this locked, shared, keeps every file in its place."""
    return store / "removal.lock"


def remove_given_up(db: Database, files: Files) -> int:
    """Remove the files that are to go; how many. None goes while somebody holds them, as a backup does.

    Raises
    ------
    OutOfResources
        If the disk fails or is read-only; what is left goes the next time.
    """
    removals, removed = Removals(db, files), 0
    if not removals.pending():
        return 0
    with mapped_errors(), hold_file(files.folder).open("w") as hold:
        try:
            flock(hold, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return 0
        while removals.pending():
            with db.transaction():
                removed += len(removals.take())
                failpoint("removal.before_commit")
            failpoint("removal.after_commit")
    return removed
