"""One sending thread for each destination, so that a peer that hangs holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from threading import Event, Thread

import structlog

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow import pulse
from dicomnode.flow.loop import drive
from dicomnode.flow.outbox import Outbox
from dicomnode.store.database import Database

#: How long a destination rests whose thread ended in the middle of something.
_PAUSE_SECONDS = 2.0

_log = structlog.get_logger(__name__)


class Dispatcher:
    """Watches the store for deliveries and lends each destination a thread while there are any.

    Parameters
    ----------
    connect, outbox
        A connection of its own for each thread, and the loop on it.
    """

    def __init__(self, connect: Callable[[], Database], outbox: Callable[[Database], Outbox], stop: Event) -> None:
        self._connect = connect
        self._outbox = outbox
        self._stop = stop
        self._senders: dict[str, Thread] = {}
        self._broken: dict[str, float] = {}

    def run(self) -> None:
        """Dispatch until stopped; what is being sent is finished."""
        with closing(self._connect()) as db:
            watcher = self._outbox(db)

            def step() -> bool:
                pulse.again()
                for destination in {*watcher.destinations(), *self._recovered()}:
                    self._lend(destination)
                return False

            drive(step, db, self._stop)
        for thread in self._senders.values():
            thread.join()

    def _lend(self, destination: str) -> None:
        running = self._senders.get(destination)
        if running is not None and running.is_alive():
            return
        thread = Thread(target=self._send_all, args=(destination,), name=f"send-{destination}")
        self._senders[destination] = thread
        thread.start()

    def _recovered(self) -> list[str]:
        """Destinations whose thread ended in the middle of something, after a pause.

        What it held is running under the lease of this process, which lives, so nobody else would take it up.
        """
        now = time.monotonic()
        return [destination for destination, since in list(self._broken.items()) if now - since > _PAUSE_SECONDS]

    def _send_all(self, destination: str) -> None:
        self._broken[destination] = time.monotonic()
        try:
            with closing(self._connect()) as db:
                outbox = self._outbox(db)
                while not self._stop.is_set() and outbox.run_once(destination):
                    pass
            del self._broken[destination]
        except OutOfResources as error:
            _log.error("sending put off", destination=destination, reason=str(error))
