"""Runs the questions about images on a thread and a connection of their own, started anew if it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Peer
from dicomnode.flow.audited.query import audited_line
from dicomnode.flow.commitment.line import DimseLine, Line
from dicomnode.flow.retention.inquiry import InputsInquiry
from dicomnode.store.database import Database

_log = structlog.get_logger(__name__)

#: Images are kept for days; looking for those to ask about reads a row of each study.
_EVERY_SECONDS = 60.0

#: How long a stopping process waits; what is cut short is asked again.
_JOIN_SECONDS = 2.0


@contextmanager
def asking_for_inputs(connect: Callable[[], Database], settings: Settings, stop: Event) -> Iterator[None]:
    """Ask the archives of `inputs_confirmed_by` until `stop` is set; without any, nothing is done."""
    keeper = Thread(target=_keep, args=(connect, settings, stop), name="inputs-keeper", daemon=True)
    asked = bool(settings.retention.inputs_confirmed_by)
    if asked:
        keeper.start()
    yield
    if asked:
        keeper.join(_JOIN_SECONDS)


def _keep(connect: Callable[[], Database], settings: Settings, stop: Event) -> None:
    while not stop.is_set():
        thread = Thread(target=_serve, args=(connect, settings, stop), name="inputs", daemon=True)
        thread.start()
        while thread.is_alive() and not stop.is_set():
            thread.join(_JOIN_SECONDS)
        stop.wait(_JOIN_SECONDS)


def _serve(connect: Callable[[], Database], settings: Settings, stop: Event) -> None:

    def line(peer: Peer) -> Line:
        return audited_line(DimseLine(peer, settings), peer, settings)

    peers = [peer for name in settings.retention.inputs_confirmed_by if (peer := settings.peer(name)) is not None]
    try:
        with closing(connect()) as db:
            inquiry = InputsInquiry(db, settings, [(peer.name, line(peer)) for peer in peers])
            while not stop.is_set():
                if not inquiry.run_once():
                    stop.wait(_EVERY_SECONDS)
    except OutOfResources as error:
        _log.error("images not asked for", reason=str(error))
