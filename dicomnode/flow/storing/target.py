"""The folder that a backup goes to: marked before anything is written there, and left alone if it is another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from dicomnode.domain.errors import DicomNodeError
from dicomnode.store.files import sync

#: Says whose backup a folder is, and is locked while it is written.
_MARKER = "backup.lock"

#: What lies in a folder that may become a backup: the marker of one that was killed at once, and what a new file
#: system has by itself.
_NOTHING = frozenset({_MARKER, "lost+found"})


@contextmanager
def claimed(target: Path, identity: str) -> Iterator[None]:
    """Hold the folder of a backup of the store with this identity; it is made and marked where it is new.

    Raises
    ------
    DicomNodeError
        It holds something else, is the backup of another store, has been used as a store itself, or another backup is
        being written there.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = target / _MARKER
    _require(marker.exists() or not _others(target), f"{target} is no backup; name an empty folder")
    with marker.open("a+") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise DicomNodeError(f"backup {target}: another one is being written there") from error
        lock.seek(0)
        said, others = lock.read().strip(), _others(target)
        _require(bool(said) or not others, f"{target} is no backup; name an empty folder")
        _require(said == identity or not others, f"{target} is the backup of another store; name an empty folder")
        locks = sorted(name for name in others if name.endswith(".lock"))
        _require(not locks, f"{', '.join(locks)} in {target}: it has been used as a store; name an empty folder")
        if said != identity:
            lock.truncate(0)
            lock.write(f"{identity}\n")
            lock.flush()
            sync(marker)
            sync(target)
        yield


def _others(target: Path) -> set[str]:
    return {path.name for path in target.iterdir()} - _NOTHING


def _require(fine: bool, fault: str) -> None:
    if not fine:
        raise DicomNodeError(f"backup: {fault}")
