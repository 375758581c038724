"""Where the listener brings requests for storage commitment and reports on our own, to be kept before it answers."""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog

from dicomnode.config import Settings
from dicomnode.domain.commitment import Report, Request
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.flow.commitment.verdict import Verdicts
from dicomnode.flow.failpoint import failpoint
from dicomnode.receive.commitment import InvalidValue
from dicomnode.receive.commitment_report import WAIT_SECONDS
from dicomnode.store.commitments import Commitments
from dicomnode.store.database import Database
from dicomnode.store.pledges import Pledges

_log = structlog.get_logger(__name__)

#: Requests of one peer that may be unanswered: more than a scanner makes in a week.
_MOST_OPEN = 10_000


class CommitmentDesk:
    """Thread-safe, on a connection of its own: every association calls from its own thread."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._peers = {peer.name: peer for peer in settings.peers}
        self._answer_within = timedelta(seconds=settings.commitment.answer_within_seconds)
        self._report_within = timedelta(seconds=settings.deliver.response_timeout_seconds)
        self._pledges = Pledges(db)
        self._commitments = Commitments(db)
        self._verdicts = Verdicts(db, settings)
        self._lock = threading.Lock()

    def roles(self, peer: str) -> tuple[bool, bool]:
        """Whether a peer may ask this node to commit, and whether it is asked by this node and so may report."""
        entry = self._peers.get(peer)
        if entry is None:
            return False, False
        asked = entry.commitment or any(peer in one.committed_by for one in self._peers.values())
        return bool(entry.committed_by), asked

    def asked(self, association: Association, request: Request) -> int:
        """Keep a request durably; a name for it.

        A request that comes again, because its answer was lost, is the same request, and is reported once more.

        Raises
        ------
        OutOfResources
            The database cannot take it, or the peer has too many open.
        InvalidValue
            The transaction UID stands for other objects already.
        """
        peer, called = association.peer, association.called_aet
        failpoint("pledge.before_commit")
        with self._lock, self._db.transaction():
            now = self._db.clock()
            # The association's own thread comes first.
            hold = now + timedelta(seconds=WAIT_SECONDS)
            known = self._pledges.find(peer, request.transaction_uid)
            if known is None:
                if self._pledges.open_count(peer) >= _MOST_OPEN:
                    raise OutOfResources(f"{peer}: {_MOST_OPEN} requests for storage commitment are unanswered")
                pledge_id = self._pledges.add(peer, called, request, now + self._answer_within, hold)
                self._pledges.decide(pledge_id)
            else:
                pledge_id = known.pledge_id
                if self._pledges.references(pledge_id) != frozenset(request.references):
                    raise InvalidValue(f"transaction {request.transaction_uid}: asked before, for other objects")
                self._pledges.again(pledge_id, hold)
        failpoint("pledge.after_commit")
        _log.info("commitment asked", peer=peer, transaction=request.transaction_uid, objects=len(request.references))
        return pledge_id

    def answer(self, pledge_id: int) -> Report | None:
        """The report on a request, once it is known; the peer is not told elsewhere until it could have answered."""
        with self._lock:
            if self._pledges.of(pledge_id).state != "ready":
                return None
            try:
                with self._db.transaction():
                    self._pledges.hold(pledge_id, self._db.clock() + self._report_within)
                    return self._pledges.report(self._pledges.of(pledge_id))
            except OutOfResources as error:
                _log.error("commitment reported later", reason=str(error))
                return None

    def told(self, pledge_id: int, status: int | None) -> None:
        """What the peer answered to the report; without an answer, or with a failure, it is told elsewhere."""
        failpoint("pledge.after_report")
        try:
            with self._lock, self._db.transaction():
                if status == 0x0000:
                    self._pledges.close(pledge_id, "reported", "on the association of the request")
                else:
                    self._pledges.hold(pledge_id, self._db.clock())
        except OutOfResources as error:
            _log.error("commitment report not noted", reason=str(error))

    def reported(self, association: Association, report: Report) -> bool:
        """Keep the report of an archive durably, with what follows from it; False where it was never asked that."""
        failpoint("commitment.before_commit")
        with self._lock, self._db.transaction():
            commitment_id = self._commitments.record(association.peer, report)
            if commitment_id is None:
                return False
            self._verdicts.conclude(commitment_id)
        failpoint("commitment.after_commit")
        failed = len(report.failed)
        _log.info("commitment reported", peer=association.peer, kept=len(report.kept), failed=failed)
        return True
