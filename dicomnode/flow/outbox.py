"""Loop 4, outbox: every destination has every result once, whatever it takes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import timedelta

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.identity.ask import Identity, Question
from dicomnode.flow.inquiry import Ask, inquire
from dicomnode.flow.setback import Setbacks
from dicomnode.store.acceptances import Acceptances
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
    ask
        None asks no peer, and believes that each accepts everything until it refuses.
    question
        None asks no archive whether a study is still whose it was when its results were made.
    """

    def __init__(
        self,
        db: Database,
        files: Files,
        settings: Settings,
        send: Send,
        name: str,
        ask: Ask | None = None,
        question: Question | None = None,
    ) -> None:
        self._db = db
        self._settings = settings
        self._send = send
        self._ask = ask
        self._name = name
        self._deliveries = Deliveries(db, files)
        self._acceptances = Acceptances(db)
        self._choice = Choice(db, files)
        self._setbacks = Setbacks(db, files, settings, name)
        self._identity = Identity(db, files, settings, question) if question else None
        self._lease = timedelta(seconds=settings.work.lease_seconds)

    def destinations(self) -> list[str]:
        """Peers that something can be sent to now."""
        return self._deliveries.destinations(self._settings.deliver.backoff)

    def run_once(self, destination: str) -> bool:
        """Send what one job owes one destination; whether there was anything."""
        peer = self._settings.peer(destination)
        log = _log.bind(destination=destination)
        try:
            batch = self._claimed(destination, peer)
        except PeerUnreachable as error:
            self._setbacks.unreachable(destination, str(error))
            log.warning("peer unreachable", reason=str(error))
            return True
        if not batch:
            return batch is not None
        log = log.bind(study_instance_uid=batch[0].study_instance_uid)
        if peer is None:
            self._setbacks.all_failed(batch, f"no peer is named {destination} in the configuration any more")
            log.error("delivery failed", reason="the peer is no longer configured")
            return True
        self._deliver(peer, batch, log)
        return True

    def _claimed(self, destination: str, peer: Peer | None) -> list[Delivery] | None:
        """What one job owes a destination, chosen by what it accepts as of today.

        None if nothing is owed now, nothing at all if that is to be asked again.
        """
        with self._db.transaction():
            # One thread sends to a destination: what is still held is a delivery whose answer could not be written.
            why = "its answer could not be written"
            self._deliveries.hand_back(self._name, why, destination=destination, counts=False)
            job = self._deliveries.due(destination, self._settings.deliver.backoff)
            unknown = peer is not None and self._acceptances.due(peer)
        if job is None:
            return None
        if unknown and peer is not None and self._ask is not None:
            inquire(self._db, peer, self._ask)
        if self._identity is not None and peer is not None and not self._identity.agreed(job, peer):
            return []
        with self._db.transaction():
            if self._deliveries.due(destination, self._settings.deliver.backoff) != job:
                return []  # another one, which is looked at anew
            self._choice.revise(job, destination, peer)
            return self._deliveries.claim(job, destination, self._name, self._lease)

    def _deliver(self, peer: Peer, batch: Sequence[Delivery], log: structlog.typing.FilteringBoundLogger) -> None:
        # Closing the answers ends the association, also when we stop listening to them half-way.
        with closing(self._send(peer, batch)) as answers:
            for delivery in batch:
                try:
                    receipt = next(answers)
                except PeerUnreachable as error:
                    sending = None if isinstance(error, NoAssociation) else delivery
                    self._setbacks.unreachable(peer.name, str(error), sending)
                    log.warning("peer unreachable", reason=str(error))
                    return
                except DeliveryError as error:
                    self._setbacks.failed(peer, delivery, str(error))
                    log.error("delivery failed", sop_instance_uid=delivery.sop_instance_uid, reason=str(error))
                    return
                failpoint("outbox.before_commit")
                with self._db.transaction():
                    ours = self._deliveries.record(delivery, receipt)
                    if receipt.stored:
                        self._deliveries.reached(peer.name)
                    elif ours:
                        self._setbacks.held_up(peer, delivery, receipt)
                failpoint("outbox.after_commit")
                log.info("delivery answered", sop_instance_uid=receipt.sop_instance_uid, answer=receipt.text)
                if not ours or not receipt.stored:
                    return
