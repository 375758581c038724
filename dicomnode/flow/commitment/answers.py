"""Asks peers what they keep: of what they were sent, or of what another peer wants to have committed."""

from __future__ import annotations

import structlog

from dicomnode.config import Settings
from dicomnode.deliver.commitment import NotOffered
from dicomnode.domain.commitment import Report, Request, new_transaction_uid
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Confirmation
from dicomnode.flow.commitment.line import Line
from dicomnode.flow.commitment.verdict import Verdicts
from dicomnode.flow.failpoint import failpoint
from dicomnode.store.commitments import Asking, Commitments, Wanted
from dicomnode.store.database import Database
from dicomnode.store.pledges import Pledges

_log = structlog.get_logger(__name__)


class Commitment:
    """The questions to one peer. One object for each thread, since a connection has one owner."""

    def __init__(self, db: Database, settings: Settings, peer: Peer, line: Line) -> None:
        self._db = db
        self._peer = peer
        self._line = line
        self._backoff = settings.deliver.backoff
        self._requesters = [one.name for one in settings.peers if peer.name in one.committed_by]
        self._asks_for_own = peer.commitment or peer.verify
        self._means = Confirmation.COMMITMENT if peer.commitment else Confirmation.QUERY
        self._commitments = Commitments(db)
        self._pledges = Pledges(db)
        self._verdicts = Verdicts(db, settings)
        self._failures = 0
        with db.transaction():
            self._commitments.recover(peer.name)

    def run_once(self) -> bool:
        """Do what is due first; whether there was anything."""
        # A peer waits for what it wants to have committed; of our own results there may be those of years.
        return self._open_for_pledge() or self._ask() or self._expire() or self._open_for_job()

    def _open_for_pledge(self) -> bool:
        """Make a question of what somebody else asks us."""
        name = self._peer.name
        pledge = self._commitments.unasked_pledge(name, self._requesters) if self._requesters else None
        if pledge is None:
            return False
        with self._db.transaction():
            self._commitments.open_for_pledge(name, pledge, self._means)
        return True

    def _open_for_job(self) -> bool:
        """Make a question of what a job has delivered."""
        job = self._commitments.unasked_job(self._peer.name) if self._asks_for_own else None
        if job is None:
            return False
        with self._db.transaction():
            self._commitments.open_for_job(self._peer.name, job, self._means)
        return True

    def _ask(self) -> bool:
        asking = self._commitments.due(self._peer.name)
        if asking is None:
            return False
        if not self._wanted(asking):
            with self._db.transaction():
                self._verdicts.conclude(asking.commitment_id)
            return True
        try:
            if asking.means is Confirmation.COMMITMENT:
                self._request(asking)
            else:
                self._query(asking)
            self._failures = 0
        except PeerUnreachable as error:
            self._unreachable(asking, str(error))
        except NotOffered as error:
            self._not_offered(asking, str(error))
        except DeliveryError as error:
            _log.warning("commitment not asked", peer=asking.peer, reason=str(error))
            with self._db.transaction():
                self._verdicts.unanswered(self._commitments.of(asking.commitment_id), str(error))
        return True

    def _wanted(self, asking: Asking) -> list[Wanted]:
        """What is open of a question; nothing once the request that it is for has been answered."""
        if asking.pledge_id is not None and self._pledges.of(asking.pledge_id).state != "waiting":
            return []
        return [one for one in self._commitments.objects(asking.commitment_id) if one.verdict != 0]

    def _request(self, asking: Asking) -> None:
        wanted = tuple(one.reference for one in self._wanted(asking))
        request = Request(transaction_uid=new_transaction_uid(), references=wanted)
        with self._db.transaction():
            self._commitments.begin(asking, request.transaction_uid, self._verdicts.patience(asking))
        failpoint("commitment.before_request")
        self._line.request(request, self._keep, lambda: self._commitments.reported(request.transaction_uid))
        with self._db.transaction():
            self._commitments.accepted(request.transaction_uid)
        failpoint("commitment.after_request")
        _log.info("commitment requested", peer=asking.peer, objects=len(wanted))

    def _keep(self, report: Report) -> bool:
        """Keep a report that comes over the association of its request."""
        with self._db.transaction():
            commitment_id = self._commitments.record(self._peer.name, report)
            if commitment_id is not None:
                self._verdicts.conclude(commitment_id)
        return commitment_id is not None

    def _query(self, asking: Asking) -> None:
        with self._db.transaction():
            self._commitments.count(asking)
        began = self._db.now()
        found = self._line.query(self._wanted(asking))
        failpoint("commitment.before_commit")
        with self._db.transaction():
            self._commitments.judge(asking.commitment_id, found, began)
            self._verdicts.conclude(asking.commitment_id)

    def _expire(self) -> bool:
        """Ask again where no report has come."""
        asking = self._commitments.overdue(self._peer.name)
        if asking is None:
            return False
        _log.warning("no commitment report", peer=asking.peer, asked=asking.asked)
        with self._db.transaction():
            self._verdicts.overdue(asking, "no report has come")
        return True

    def _unreachable(self, asking: Asking, reason: str) -> None:
        """The peer is away, which says nothing about what it keeps and does not count."""
        self._failures += 1
        until = self._db.clock() + self._backoff.delay(self._failures)
        with self._db.transaction():
            self._commitments.take_back(asking, reason, until)
            self._commitments.leave_alone(self._peer.name, reason, until)
        _log.warning("peer unreachable", peer=asking.peer, reason=reason)

    def _not_offered(self, asking: Asking, reason: str) -> None:
        with self._db.transaction():
            if self._peer.verify or asking.pledge_id is not None:
                self._commitments.change_means(asking, Confirmation.QUERY)
            else:
                self._verdicts.unanswered(self._commitments.of(asking.commitment_id), reason)
        _log.warning("commitment not offered", peer=asking.peer, reason=reason)
