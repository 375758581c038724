"""One thread for each source of priors, so that an archive that hangs holds up no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event, Thread

import structlog

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.loop import drive
from dicomnode.flow.priors.search import Priors
from dicomnode.store.database import Database

_log = structlog.get_logger(__name__)

#: How long a source rests whose thread ended in the middle of something.
_PAUSE_SECONDS = 2.0

#: How often the scratch area is cleaned: far more often than what it keeps grows old.
_CLEAN_SECONDS = 3600.0

#: How long a stopping process waits for a thread; a retrieval under way may be cut short, since it is made good.
_JOIN_SECONDS = 2.0


class PriorThreads:
    """Runs `Priors` on connections of their own while somebody else does the main work of the process.

    Parameters
    ----------
    clean
        Removes from the scratch area what is no longer needed.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        priors: Callable[[Database, str], Priors],
        clean: Callable[[Database], None],
        sources: Sequence[str],
        stop: Event,
    ) -> None:
        self._connect = connect
        self._priors = priors
        self._clean = clean
        self._sources = tuple(sources)
        self._stop = stop
        self._threads: dict[str, Thread] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Threads for all sources until `stop` is set; one that ends before is started anew."""
        keeper = Thread(target=self._keep, name="priors", daemon=True)
        keeper.start()
        yield
        for thread in (keeper, *self._threads.values()):
            thread.join(_JOIN_SECONDS)

    def _keep(self) -> None:
        cleaned = -_CLEAN_SECONDS
        while not self._stop.is_set():
            if time.monotonic() - cleaned >= _CLEAN_SECONDS:
                cleaned = time.monotonic()
                self._on_connection("cleaning", self._clean)
            for source in self._sources:
                if source not in self._threads or not self._threads[source].is_alive():
                    thread = Thread(target=self._ask, args=(source,), name=f"priors-{source}", daemon=True)
                    self._threads[source] = thread
                    thread.start()
            self._stop.wait(_PAUSE_SECONDS)

    def _ask(self, source: str) -> None:
        self._on_connection(source, lambda db: drive(self._priors(db, source).run_once, db, self._stop))

    def _on_connection(self, what: str, act: Callable[[Database], None]) -> None:
        try:
            with closing(self._connect()) as db:
                act(db)
        except OutOfResources as error:
            _log.error("priors put off", what=what, reason=str(error))
