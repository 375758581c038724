"""What becomes of deliveries that were claimed and have not arrived."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.config import Settings
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files


class Setbacks:
    """Lets deliveries of the sender `name` wait again, or gives them up."""

    def __init__(self, db: Database, files: Files, settings: Settings, name: str) -> None:
        self._db = db
        self._name = name
        self._backoff = settings.deliver.backoff
        self._deliveries = Deliveries(db, files)
        self._acceptances = Acceptances(db)
        self._choice = Choice(db, files)

    def held_up(self, peer: Peer, delivery: Delivery, receipt: Receipt) -> None:
        """What follows may refer to this object: it waits, or gives way to a form that does without.

        Expects to be called inside `Database.transaction`.
        """
        reason = f"held up: {receipt.words}"
        self._deliveries.hand_back(self._name, reason, destination=peer.name, counts=False, untried=True)
        if receipt.final:
            self._acceptances.doubt(peer.name)
            self._choice.revise(delivery.job_id, peer.name, peer)
        else:
            self._deliveries.back_off(peer.name, reason, self._backoff)

    def unreachable(self, destination: str, reason: str, unanswered: Delivery | None = None) -> None:
        """A peer is away: everything waits, and what was being sent it may have."""
        with self._db.transaction():
            if unanswered is not None:
                self._deliveries.put_in_doubt(unanswered)
            self._deliveries.hand_back(self._name, reason, destination=destination, counts=False, untried=True)
            self._deliveries.back_off(destination, reason, self._backoff)

    def failed(self, peer: Peer, delivery: Delivery, reason: str) -> None:
        """Give up one object that cannot be sent; the others go without it, in the forms that do not refer to it."""
        with self._db.transaction():
            self._deliveries.fail(delivery, reason)
            why = f"held up: {reason}"
            self._deliveries.hand_back(self._name, why, destination=peer.name, counts=False, untried=True)
            self._choice.revise(delivery.job_id, peer.name, peer)

    def all_failed(self, batch: Sequence[Delivery], reason: str) -> None:
        """Give up all that was claimed."""
        with self._db.transaction():
            for delivery in batch:
                self._deliveries.fail(delivery, reason)
