"""One thread for each peer that storage commitment is done with, so that one that hangs holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.flow.audited.query import audited_line
from dicomnode.flow.commitment.answers import Commitment
from dicomnode.flow.commitment.line import DimseLine
from dicomnode.flow.commitment.roles import involved
from dicomnode.flow.commitment.tell import CommitmentReports
from dicomnode.flow.loop import drive
from dicomnode.store.database import Database

_log = structlog.get_logger(__name__)

#: How long a peer rests whose thread ended in the middle of something.
_PAUSE_SECONDS = 2.0

#: How long a stopping process waits for a thread; what is cut short is asked or told again.
_JOIN_SECONDS = 2.0


class CommitmentThreads:
    """Runs `Commitment` on connections of their own while somebody else does the main work of the process."""

    def __init__(self, connect: Callable[[], Database], settings: Settings, stop: Event) -> None:
        self._connect = connect
        self._settings = settings
        self._stop = stop
        self._threads: dict[str, Thread] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Threads for all peers until `stop` is set; one that ends before is started anew."""
        peers = involved(self._settings)
        keeper = Thread(target=self._keep, args=(peers,), name="commitment", daemon=True)
        if peers:
            keeper.start()
        yield
        for thread in (*([keeper] if peers else ()), *self._threads.values()):
            thread.join(_JOIN_SECONDS)

    def _keep(self, peers: list[Peer]) -> None:
        while not self._stop.is_set():
            for peer in peers:
                if peer.name not in self._threads or not self._threads[peer.name].is_alive():
                    thread = Thread(target=self._serve, args=(peer,), name=f"commitment-{peer.name}", daemon=True)
                    self._threads[peer.name] = thread
                    thread.start()
            self._stop.wait(_PAUSE_SECONDS)

    def _serve(self, peer: Peer) -> None:
        try:
            with closing(self._connect()) as db:
                line = audited_line(DimseLine(peer, self._settings), peer, self._settings)
                questions = Commitment(db, self._settings, peer, line)
                reports = CommitmentReports(db, self._settings, peer, line)

                def step() -> bool:
                    return (bool(peer.committed_by) and reports.run_once()) or questions.run_once()

                drive(step, db, self._stop)
        except OutOfResources as error:
            _log.error("commitment put off", peer=peer.name, reason=str(error))
