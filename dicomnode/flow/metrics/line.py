"""One line that says how the node is, as `systemctl status` shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from time import monotonic

from dicomnode.flow import notify_systemd
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database

#: Often enough for people, who look at it once; three questions to indexes each time.
_SECONDS = 5.0


def status_line(db: Database) -> str:
    """How much comes, waits, runs and has failed; "idle" where there is nothing of that."""
    return ", ".join(_parts(Counts(db))) or "idle"


def _parts(counts: Counts) -> Iterator[str]:
    for queue in counts.queues():
        to = f" to {queue.name}" if queue.name else ""
        if queue.kind == "studies":
            if queue.waiting:
                yield f"receiving {queue.waiting}"
            if held := counts.held():
                yield f"{held} held for an operator"
        else:
            for state, verb in (("waiting", "waiting"), ("running", "running"), ("failed", "failed")):
                number = getattr(queue, state)
                if number:
                    noun = queue.kind if number != 1 else {"jobs": "job", "deliveries": "delivery"}[queue.kind]
                    yield f"{number} {verb} {noun}{to}"


class StatusLine:
    """Tells systemd that line once in a while, where systemd listens."""

    def __init__(self, tell: Callable[[str], None] = notify_systemd.status) -> None:
        self._tell = tell
        self._next = 0.0

    def __call__(self, db: Database) -> None:
        """Tell it if it is time.

        Raises
        ------
        OutOfResources
            The database cannot be read now.
        """
        if "NOTIFY_SOCKET" in os.environ and monotonic() >= self._next:
            self._next = monotonic() + _SECONDS
            self._tell(status_line(db))
