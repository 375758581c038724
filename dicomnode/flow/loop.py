"""Drives a loop: step while there is work, otherwise wait until the store changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from dicomnode.store.database import Database

#: How often the store is asked whether anything changed: one pragma that reads no table.
_POLL_SECONDS = 0.02
#: How long to wait at most before stepping all the same, since waiting times and leases run out without a change.
_IDLE_SECONDS = 0.5


def drive(step: Callable[[], bool], db: Database, stop: Event, idle_seconds: float = _IDLE_SECONDS) -> None:
    """Call `step` until `stop` is set; `step` returns whether it found something to do."""
    seen = db.data_version()
    while not stop.is_set():
        if step():
            continue
        seen = wait_for_change(db, stop, seen, idle_seconds)


def wait_for_change(db: Database, stop: Event, seen: int, seconds: float) -> int:
    """Return when another connection has committed, `stop` is set or `seconds` have passed; the version seen."""
    deadline = time.monotonic() + seconds
    while not stop.wait(_POLL_SECONDS):
        version = db.data_version()
        if version != seen or time.monotonic() >= deadline:
            return version
    return seen
