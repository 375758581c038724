"""Loop 4, outbox: every destination has every result once, whatever it takes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import timedelta

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.failpoint import failpoint
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files

_log = structlog.get_logger(__name__)

#: Sends deliveries to a peer in order, yielding what it answers to each.
Send = Callable[[Peer, Sequence[Delivery]], Generator[Receipt]]


class Outbox:
    """Sends what waits for one destination. One object for each sending thread, since a connection has one owner.

    Parameters
    ----------
    name
        Identifies the leases of this process; its supervisor writes the heartbeat under the same name.
    """

    def __init__(self, db: Database, files: Files, settings: Settings, send: Send, name: str) -> None:
        self._db = db
        self._settings = settings
        self._send = send
        self._name = name
        self._deliveries = Deliveries(db, files)
        self._lease = timedelta(seconds=settings.work.lease_seconds)

    def destinations(self) -> list[str]:
        """Peers that something can be sent to now."""
        return self._deliveries.destinations()

    def run_once(self, destination: str) -> bool:
        """Send what one job owes one destination; whether there was anything."""
        with self._db.transaction():
            # One thread sends to a destination: what is still held is a delivery whose answer could not be written.
            why = "its answer could not be written"
            self._deliveries.hand_back(self._name, why, destination=destination, counts=False)
            batch = self._deliveries.claim(destination, self._name, self._lease)
        if not batch:
            return False
        log = _log.bind(destination=destination, study_instance_uid=batch[0].study_instance_uid)
        peer = self._settings.peer(destination)
        if peer is None:
            self._fail_all(batch, f"no peer is named {destination} in the configuration any more")
            log.error("delivery failed", reason="the peer is no longer configured")
            return True
        try:
            self._deliver(peer, batch, log)
        except PeerUnreachable as error:
            self._hand_back(destination, str(error))
            log.warning("peer unreachable", reason=str(error))
        except DeliveryError as error:
            self._fail_all(batch, str(error))
            log.error("delivery failed", reason=str(error))
        return True

    def _deliver(self, peer: Peer, batch: Sequence[Delivery], log: structlog.typing.FilteringBoundLogger) -> None:
        # Closing the answers ends the association, also when we stop listening to them half-way.
        with closing(self._send(peer, batch)) as answers:
            # The answers come first: after the last one the peer is asked for the end of the association.
            for receipt, delivery in zip(answers, batch, strict=True):
                failpoint("outbox.before_commit")
                with self._db.transaction():
                    ours = self._deliveries.record(delivery, receipt)
                    if receipt.stored:
                        self._deliveries.reached(peer.name)
                failpoint("outbox.after_commit")
                log.info("delivery answered", sop_instance_uid=receipt.sop_instance_uid, answer=receipt.text)
                if not ours:
                    return
                if not receipt.stored:
                    # What follows may refer to this object; it is claimed anew and judged by what became of this one.
                    self._hand_back(peer.name, f"held up: {receipt.text}", busy=not receipt.final)
                    return

    def _hand_back(self, destination: str, reason: str, *, busy: bool = True) -> None:
        with self._db.transaction():
            self._deliveries.hand_back(self._name, reason, destination=destination, counts=False)
            if busy:
                self._deliveries.back_off(destination, reason, self._settings.deliver.backoff)

    def _fail_all(self, batch: Sequence[Delivery], reason: str) -> None:
        with self._db.transaction():
            for delivery in batch:
                self._deliveries.fail(delivery, reason)
