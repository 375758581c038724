"""Tells a peer what is kept of what it has asked this node to commit to."""

from __future__ import annotations

from datetime import timedelta

import structlog

from dicomnode.config import Settings
from dicomnode.deliver.commitment import status_text
from dicomnode.domain.commitment import Failure
from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.network import Peer
from dicomnode.flow.commitment.line import Line
from dicomnode.flow.failpoint import failpoint
from dicomnode.store.database import Database
from dicomnode.store.pledges import Pledge, Pledges

_log = structlog.get_logger(__name__)

#: A peer that has not taken a report for so long after it was due will not take it any more; it keeps its objects.
_REPORT_FOR = timedelta(days=7)

#: No modality asks about a request again after so long.
_REMEMBERED = timedelta(days=90)

#: Answers to a report that may be another next time.
_PASSING = frozenset({int(Failure.PROCESSING), int(Failure.RESOURCES)})


class CommitmentReports:
    """The requests of one peer. One object for each thread, since a connection has one owner."""

    def __init__(self, db: Database, settings: Settings, peer: Peer, line: Line) -> None:
        self._db = db
        self._peer = peer.name
        self._line = line
        self._backoff = settings.deliver.backoff
        self._pledges = Pledges(db)

    def run_once(self) -> bool:
        """Do what is due first; whether there was anything."""
        return self._decide() or self._report()

    def _decide(self) -> bool:
        """Make requests ready whose time is up; archives that answer have them made ready at once."""
        decided = False
        for pledge_id in self._pledges.waiting(self._peer):
            if self._db.clock() >= self._pledges.of(pledge_id).answer_by:
                with self._db.transaction():
                    decided |= self._pledges.decide(pledge_id)
        return decided

    def _report(self) -> bool:
        pledge = self._pledges.due(self._peer)
        if pledge is None:
            return False
        with self._db.transaction():
            report = self._pledges.report(pledge)
        failpoint("pledge.before_report")
        try:
            status = self._line.tell(pledge.called_aet, report)
        except DeliveryError as error:
            self._not_reported(pledge, str(error))
            return True
        failpoint("pledge.after_report")
        if status in _PASSING:
            self._not_reported(pledge, f"answered with {status_text(status)}")
            return True
        with self._db.transaction():
            if status == 0x0000:
                self._pledges.close(pledge.pledge_id, "reported", "on an association of our own")
            else:
                self._pledges.give_up(pledge.pledge_id, f"answered with {status_text(status)}")
            self._pledges.forget(self._db.clock() - _REMEMBERED)
        _log.info("commitment answered", peer=pledge.peer, transaction=pledge.transaction_uid, status=f"{status:04X}")
        return True

    def _not_reported(self, pledge: Pledge, reason: str) -> None:
        now = self._db.clock()
        with self._db.transaction():
            if now > pledge.answer_by + _REPORT_FOR:
                self._pledges.give_up(pledge.pledge_id, reason)
            else:
                self._pledges.put_off(pledge.pledge_id, reason, now + self._backoff.delay(pledge.failures + 1))
        _log.warning("commitment not answered", peer=pledge.peer, reason=reason)
