"""STOW-RS beside the listener: the same intake, in the same process, since what a crash left is swept for one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import structlog

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import TurnedAway
from dicomnode.flow.reload.handed import handed_ports
from dicomnode.node.opened import open_store
from dicomnode.receive.census import Census
from dicomnode.receive.descriptors import require
from dicomnode.receive.limits import Limits
from dicomnode.receive.storing import Intake
from dicomnode.receive.tally import Tally
from dicomnode.store.web_tokens import WebTokens
from dicomnode.tls.credentials import Credentials

if TYPE_CHECKING:
    from dicomnode.web.stow_listener import StowListener


#: How often a listener is tried again that a file which has gone keeps from its port.
_AGAIN_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Posts:
    """The port for STOW-RS of a process that listens; nothing where there is none."""

    def __init__(self) -> None:
        self._lock, self._over = Lock(), Event()
        self._listener: StowListener | None = None
        self._trying: Thread | None = None

    def begin(self, made: Callable[[], StowListener]) -> None:
        """Listen with what is made; where that cannot be now, DICOM goes on and it is tried again and again."""
        if not self._begun(made):
            self._trying = Thread(target=self._try, args=(made,), name="stow-again", daemon=True)
            self._trying.start()

    def leave(self, grace_seconds: float | None) -> None:
        """As `StowListener.leave`."""
        with self._lock:
            self._over.set()
            if self._listener is not None:
                self._listener.leave(grace_seconds)

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return self._listener is not None and self._listener.busy

    def stop(self) -> None:
        """As `StowListener.stop`."""
        if self._trying is not None:
            self._trying.join()
        if self._listener is not None:
            self._listener.stop()

    def _try(self, made: Callable[[], StowListener]) -> None:
        while not self._over.wait(_AGAIN_SECONDS):
            if self._begun(made):
                return

    def _begun(self, made: Callable[[], StowListener]) -> bool:
        with self._lock:
            if self._over.is_set():
                return False
            try:
                listener = made()
            except ConfigError as error:
                _log.error("STOW-RS is not answered", reason=str(error), again_in_seconds=_AGAIN_SECONDS)
                return False
            listener.start()
            self._listener = listener
            return True


def shown(settings: Settings) -> Credentials | None:
    """What the port for STOW-RS shows and trusts; None for plain HTTP.

    Raises
    ------
    ConfigError
        One of its files cannot be used.
    """
    return Credentials(as_tls(settings.tls), server=True, required=False) if settings.stow.tls else None


@contextmanager
def posting(
    settings: Settings,
    intake: Intake,
    incoming: Path,
    limits: Limits,
    turned_away: Callable[[TurnedAway], None],
    tally: Tally,
) -> Iterator[Posts]:
    """Take objects by STOW-RS too, where the configuration says so."""
    posts, table = Posts(), settings.stow
    if not table.port:
        yield posts
        return
    # A node without it does without a web server in the process that listens.
    from dicomnode.web.stow import Reception
    from dicomnode.web.stow_listener import StowListener

    db, _files = open_store(settings)
    lock, tokens = Lock(), WebTokens(db)

    def whose(token: str) -> str:
        with lock:
            account = tokens.bearer(token)
        return account.name if account else ""

    census = Census(limits.maximum_associations, limits.maximum_associations_per_peer)
    # Beside the DICOM ports, which have as many.
    require(2 * census.most_connections, 2 * limits.maximum_associations)
    reception = Reception(
        intake=intake,
        incoming=incoming,
        limits=limits,
        peers=settings.peers,
        called_aet=settings.node.aet,
        whose=whose,
        on_turned_away=turned_away,
        census=census,
        tally=tally,
    )

    def made() -> StowListener:
        return StowListener(
            reception,
            host=table.host or settings.node.host,
            port=table.port,
            credentials=shown(settings),
            inherited=handed_ports().get("stow.port"),
        )

    posts.begin(made)
    try:
        yield posts
    finally:
        posts.leave(settings.node.drain_seconds)
        posts.stop()
        db.close()
