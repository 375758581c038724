"""Asks peers what they accept, and remembers the answers with their date."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from dicomnode.config import Settings
from dicomnode.deliver import offers
from dicomnode.deliver.association import Timeouts
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.flow.failpoint import failpoint
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database

_log = structlog.get_logger(__name__)

#: Asks a peer what it accepts: (SOP class, transfer syntax) → result of the presentation context.
Ask = Callable[[Peer], Mapping[tuple[str, str], int]]


def asker(settings: Settings, presumed: Ask | None = None) -> Ask:
    """What the outbox asks with: an association under this node's AE title in which nothing is sent.

    A peer that gets its results by STOW-RS cannot be asked; `presumed` says what it is believed to accept.
    """
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )

    def ask(peer: Peer) -> Mapping[tuple[str, str], int]:
        if peer.stow is None:
            return offers.ask(peer, calling_aet=settings.node.aet, timeouts=timeouts)
        if presumed is None:
            raise DeliveryError(f"{peer.title}: STOW-RS has no question for what it takes")
        return presumed(peer)

    return ask


def inquire(db: Database, peer: Peer, ask: Ask) -> None:
    """Ask a peer and write down the answer.

    Raises
    ------
    PeerUnreachable
        It does not answer; what it answered before stays.
    """
    try:
        results = ask(peer)
    except PeerUnreachable:
        raise
    except DeliveryError as error:
        # The sending meets the same fault, and there it ends in a verdict.
        _log.warning("peer cannot be asked", destination=peer.name, reason=str(error))
        return
    failpoint("inquiry.before_commit")
    with db.transaction():
        Acceptances(db).remember(peer, results)
    failpoint("inquiry.after_commit")
    accepted = sum(result == 0 for result in results.values())
    _log.info("peer asked what it accepts", destination=peer.name, accepted=accepted, proposed=len(results))
