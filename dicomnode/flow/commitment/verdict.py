"""What follows from what a peer says of delivered objects: confirmed, asked again, sent again, failed visibly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dicomnode.config import Settings
from dicomnode.domain.commitment import PASSING, Failure, reason_text
from dicomnode.domain.work import Backoff, Confirmation
from dicomnode.store.commitments import Asking, Commitments, Wanted
from dicomnode.store.confirmations import Confirmations
from dicomnode.store.database import Database
from dicomnode.store.pledges import Pledges

#: A peer that has answered that it cannot now, or not at all, is asked again after twice the time, up to this.
_LONGEST = timedelta(days=1)


class Verdicts:
    """Draws the conclusions. Methods expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._asks = settings.commitment.asks
        self._resends = settings.commitment.resends
        self._soon = settings.deliver.backoff
        first = timedelta(seconds=settings.commitment.report_timeout_seconds)
        self._late = Backoff(first=first, longest=max(first, _LONGEST))
        self._commitments = Commitments(db)
        self._confirmations = Confirmations(db)
        self._pledges = Pledges(db)

    def patience(self, asking: Asking) -> datetime:
        """Until when to wait for the report on a request that is about to be sent."""
        return self._db.clock() + self._late.delay(asking.asked + 1)

    def unanswered(self, asking: Asking, reason: str) -> None:
        """The peer was asked and has said nothing of use: ask again later, or no more."""
        if asking.pledge_id is not None:
            self.conclude(asking.commitment_id)
        elif asking.state in ("waiting", "asked"):
            self._again(asking, reason, self._late)

    def overdue(self, asking: Asking, reason: str) -> None:
        """What the peer was given to report is over: ask again now, or no more."""
        if asking.pledge_id is not None:
            self.conclude(asking.commitment_id)
        else:
            self._again(asking, reason, None)

    def conclude(self, commitment_id: int) -> None:
        """Act on what is known of a question now."""
        asking = self._commitments.of(commitment_id)
        objects = self._commitments.objects(commitment_id)
        if asking.pledge_id is not None:
            self._for_pledge(asking, asking.pledge_id, objects)
        else:
            self._for_job(asking, objects)

    def _for_pledge(self, asking: Asking, pledge_id: int, objects: Sequence[Wanted]) -> None:
        """Let the archive be asked again of what it does not keep: it may be on its way there."""
        self._pledges.decide(pledge_id)
        if asking.state not in ("waiting", "asked"):
            return
        left = [one for one in objects if one.verdict != 0]
        if self._pledges.of(pledge_id).state != "waiting":
            self._commitments.close(asking, "done", "the request has been answered" if left else "everything is kept")
        else:
            until = self._db.clock() + self._soon.delay(max(asking.asked, 1))
            reason = f"{len(left)} objects not kept yet" if left else "copies that came here are being compared"
            self._commitments.put_off(asking, reason, until)

    def _for_job(self, asking: Asking, objects: Sequence[Wanted]) -> None:
        kept = [one for one in objects if one.verdict == 0]
        self._confirmed(asking, kept)
        refused = [one for one in objects if one.verdict and one.verdict not in (*PASSING, Failure.NO_SUCH_INSTANCE)]
        missing = [one for one in objects if one.verdict == Failure.NO_SUCH_INSTANCE]
        open_ones = [one for one in objects if one.verdict is None or one.verdict in PASSING]
        for one in refused:
            self._commitments.finish(asking, one)
        if asking.state not in ("waiting", "asked"):
            # What was given up may be confirmed all the same, late.
            if len(kept) == len(objects):
                self._commitments.close(asking, "done", "everything is kept")
            return
        if refused:
            self._commitments.tell(asking, "not committed", _counted(refused))
        if missing and asking.means is Confirmation.QUERY and asking.asked < self._asks:
            # A query finds what is indexed, and an archive may take its time for that.
            for one in missing:
                self._commitments.forget(asking, one)
            self._again(asking, f"not found yet: {len(missing)} of {len(objects)} objects", self._soon)
            return
        self._lost(asking, missing)
        if missing:
            # What is left is asked for together with what is sent again.
            self._commitments.close(asking, "failed" if refused else "done", f"not there: {_counted(missing)}")
        elif open_ones:
            for one in open_ones:
                self._commitments.forget(asking, one)
            self._again(asking, f"not confirmed yet: {_counted(open_ones)}", self._late)
        else:
            self._commitments.close(asking, "failed" if refused else "done", _counted(refused))

    def _confirmed(self, asking: Asking, kept: Sequence[Wanted]) -> None:
        deliveries = [one.delivery_id for one in kept if one.delivery_id is not None]
        new = self._confirmations.confirm(deliveries, asking.means)
        if new:
            by = "storage commitment" if asking.means is Confirmation.COMMITMENT else "C-FIND"
            self._commitments.tell(asking, "confirmed", f"{new} objects, by {by}")

    def _lost(self, asking: Asking, missing: Sequence[Wanted]) -> None:
        for one in missing:
            if one.delivery_id is None:
                continue
            how = "its storage commitment" if asking.means is Confirmation.COMMITMENT else "a C-FIND"
            why = f"stored there, but not there any more by {how}"
            if one.lost <= self._resends:
                self._confirmations.send_again(one.delivery_id, why)
            else:
                self._confirmations.not_kept(one.delivery_id, f"{why}, {one.lost} times")

    def _again(self, asking: Asking, reason: str, backoff: Backoff | None) -> None:
        if asking.asked < self._asks:
            pause = backoff.delay(max(asking.asked, 1)) if backoff is not None else timedelta()
            self._commitments.put_off(asking, reason, self._db.clock() + pause)
            return
        for one in self._commitments.objects(asking.commitment_id):
            if one.verdict != 0:
                self._commitments.finish(asking, one)
        self._commitments.tell(asking, "given up", f"asked {asking.asked} times; {reason}")
        self._commitments.close(asking, "failed", reason)


def _counted(objects: Sequence[Wanted]) -> str:
    """How many objects there are of each answer, in words."""
    counts: dict[str, int] = {}
    for one in objects:
        words = "no answer" if one.verdict is None else reason_text(one.verdict)
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(f"{count} × {words}" for words, count in counts.items())
