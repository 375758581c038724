"""Takes away the files that rows have given up, a few at a time, however often it is interrupted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

import structlog

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.failpoint import failpoint
from dicomnode.store.database import Database
from dicomnode.store.files import Files, mapped_errors
from dicomnode.store.removals import Removals

_log = structlog.get_logger(__name__)

#: Locked, shared, by whoever keeps every file in its place, and alone by who removes some.
_LOCK = "removal.lock"


def remove_given_up(db: Database, files: Files) -> int:
    """Remove the files that are to go; how many. None goes while somebody holds them, as a backup does.

    One that may not be removed is told once and passed over; it is tried again later.

    Raises
    ------
    OutOfResources
        If the disk fails or is read-only, or this account may not use the lock; what is left goes the next time.
    """
    removals, removed = Removals(db, files), 0
    if not removals.pending():
        return 0
    with mapped_errors(), unheld(files) as free:
        while free and removals.pending():
            with db.transaction():
                taken = removals.take()
                failpoint("removal.before_commit")
            failpoint("removal.after_commit")
            removed += taken.removed
            for path, reason in taken.denied.items():
                _log.error("file cannot be removed", file=str(files.path(path)), reason=reason)
    return removed


@contextmanager
def unheld(files: Files) -> Iterator[bool]:
    """Whether files may go, because nobody holds them in their place, nor begins to meanwhile.

    Raises
    ------
    OutOfResources
        If this account may not use the lock.
    """
    with _opened(files.folder) as hold:
        try:
            flock(hold, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def held_in_place(files: Files) -> Iterator[None]:
    """Let no file of the store be removed meanwhile.

    Raises
    ------
    OutOfResources
        If this account may not use the lock.
    """
    with _opened(files.folder) as hold:
        flock(hold, LOCK_SH)
        yield


@contextmanager
def _opened(store: Path) -> Iterator[int]:
    """The lock; it belongs to who owns the store, whoever comes first, since all others have to open it too."""
    path = store / _LOCK
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except PermissionError as error:
        remedy = f"give it to the account of the node (chown --reference={store} {path})"
        raise OutOfResources(f"store: {path}: {error.strerror}; {remedy}") from error
    try:
        owner, mine = store.stat(), os.fstat(descriptor)
        if os.geteuid() == 0 and (mine.st_uid, mine.st_gid) != (owner.st_uid, owner.st_gid):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        yield descriptor
    finally:
        os.close(descriptor)
