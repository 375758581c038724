"""STOW-RS beside the listener: the same intake, in the same process, since what a crash left is swept for one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from dicomnode.config import Settings
from dicomnode.config.secure import as_tls
from dicomnode.domain.network import TurnedAway
from dicomnode.flow.reload.handed import handed_ports
from dicomnode.node.opened import open_store
from dicomnode.receive.census import Census
from dicomnode.receive.limits import Limits
from dicomnode.receive.scp import Intake
from dicomnode.receive.tally import Tally
from dicomnode.store.web_tokens import WebTokens
from dicomnode.tls.credentials import Credentials


@contextmanager
def posting(
    settings: Settings,
    intake: Intake,
    incoming: Path,
    limits: Limits,
    turned_away: Callable[[TurnedAway], None],
    tally: Tally,
) -> Iterator[Callable[[], None]]:
    """Take objects by STOW-RS too, where the configuration says so; what is handed out begins to drain.

    Raises
    ------
    ConfigError
        The port is taken, or a file for TLS cannot be used.
    """
    table = settings.stow
    if not table.port:
        yield lambda: None
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

    reception = Reception(
        intake=intake,
        incoming=incoming,
        limits=limits,
        peers=settings.peers,
        called_aet=settings.node.aet,
        whose=whose,
        on_turned_away=turned_away,
        census=Census(limits.maximum_associations, limits.maximum_associations_per_peer),
        tally=tally,
    )
    credentials = Credentials(as_tls(settings.tls), server=True, required=False) if table.tls else None
    listener = StowListener(
        reception,
        host=table.host or settings.node.host,
        port=table.port,
        credentials=credentials,
        inherited=handed_ports().get("stow.port"),
    )
    listener.start()
    try:
        yield lambda: listener.leave(settings.node.drain_seconds)
    finally:
        listener.leave(settings.node.drain_seconds)
        listener.stop()
        db.close()
