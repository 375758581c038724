"""Lets the processes of a node begin on its store when what a crash or an older version left there is put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from threading import Event
from typing import TypeVar

import structlog

from dicomnode.domain.errors import OutOfResources

_T = TypeVar("_T")

_LOCK = "prepare.lock"

#: How often a waiting process looks: what it waits for takes milliseconds, or else minutes.
_POLL_SECONDS = 0.02

#: How long to leave a database alone that somebody else holds.
_PAUSE_SECONDS = 0.5

_log = structlog.get_logger(__name__)


@contextmanager
def preparing(store: Path, stop: Event) -> Iterator[None]:
    """Hold the store of a node for oneself while it is migrated and swept; the kernel lets go of it with the process.

    Where `stop` is set meanwhile it is not held, and whoever asks does nothing more.
    """
    with (store / _LOCK).open("a") as lock:
        while not stop.is_set():
            try:
                flock(lock, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                stop.wait(_POLL_SECONDS)
        yield


def wait_until_prepared(store: Path, stop: Event) -> bool:
    """Wait until nobody holds the store; whether that has come, and not the end of the node."""
    while not stop.is_set():
        if not being_prepared(store):
            return True
        stop.wait(_POLL_SECONDS)
    return False


def being_prepared(store: Path) -> bool:
    """Whether somebody holds the store for himself."""
    with (store / _LOCK).open("a") as lock:
        try:
            flock(lock, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return True
    return False


def patiently(act: Callable[[], _T], stop: Event) -> _T:
    """Do what another process keeps us from for a while, as a long transaction does, when it lets us.

    Raises
    ------
    OutOfResources
        There is another reason, such as a full disk, or the node ends first.
    """
    waiting = False
    while True:
        try:
            return act()
        except OutOfResources as error:
            if stop.is_set() or not _held_by_another(error):
                raise
            if not waiting:
                _log.warning("waiting for the database", reason=str(error))
            waiting = True
            stop.wait(_PAUSE_SECONDS)


def _held_by_another(error: OutOfResources) -> bool:
    """By what SQLite said (SQLITE_BUSY and kin, SQLITE_LOCKED), or by the lock under which the schema is changed."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or isinstance(error.__cause__, BlockingIOError)
