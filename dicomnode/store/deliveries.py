"""Deliveries: which destination is owed which result, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.work import Backoff, Delivery, Form, Receipt
from dicomnode.store.database import Database
from dicomnode.store.files import Files

_USUAL = Backoff()


class Deliveries:
    """The outbox. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def forms(self, job_id: int, destination: str) -> list[Form]:
        """Everything a job has made, in the order in which it was made, with what became of it at a destination."""
        rows = self._db.rows(
            "SELECT result.result_id, role, COALESCE(NULLIF(kind, ''), role) AS kind, refers_to, sop_class_uid,"
            " result.sop_instance_uid, transfer_syntax_uid, occasion, COALESCE(state, '') AS state,"
            " COALESCE(in_doubt, 0) AS in_doubt FROM result"
            " LEFT JOIN delivery ON delivery.result_id = result.result_id AND destination = ?"
            " WHERE result.job_id = ? AND only_for IN ('', ?) ORDER BY result.result_id",
            destination, job_id, destination,
        )  # fmt: skip
        return [Form(**{**dict(row), "in_doubt": bool(row["in_doubt"])}) for row in rows]

    def withheld(self, job_id: int, *, accepts_research: bool) -> str:
        """Why a destination may not have the results of a job, or ""."""
        row = self._db.row("SELECT research, retracted FROM job WHERE job_id = ?", job_id)
        if row is not None and row["retracted"]:
            return "retracted"
        research = row is None or row["research"]
        return "the result is for research, which it does not accept" if research and not accepts_research else ""

    def owe(self, job_id: int, destination: str, forms: Sequence[Form]) -> None:
        """Owe these objects to a destination, in this order; one that refers to others goes after the last of them."""
        for form in forms:
            # The plus keeps SQLite from walking the whole table backwards for the greatest key.
            self._db.execute(
                "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination,"
                " depends_on, changed_at)"
                " SELECT :result, job_id, study_instance_uid, :uid, :destination,"
                "  (SELECT MAX(+delivery_id) FROM delivery JOIN result USING (result_id) WHERE delivery.job_id = :job"
                "   AND destination = :destination AND instr(' ' || :refers_to || ' ', ' ' || role || ' ')), :now"
                " FROM job WHERE job_id = :job"
                " ON CONFLICT (destination, sop_instance_uid) DO NOTHING",
                result=form.result_id, job=job_id, uid=form.sop_instance_uid, destination=destination,
                refers_to=form.refers_to, now=self._db.now(),
            )  # fmt: skip

    def release(self, destination: str, form: Form) -> None:
        """Owe this object no longer: another that says the same takes its place."""
        # What depends on it is released too, or refers to something that is not owed in this order.
        self._db.execute(
            "UPDATE delivery SET depends_on = NULL WHERE depends_on IN"
            " (SELECT delivery_id FROM delivery WHERE destination = ? AND result_id = ? AND state = 'waiting')",
            destination, form.result_id,
        )  # fmt: skip
        # What the destination may have stays in the books, or a retraction would forget it.
        self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'no longer owed', changed_at = ?"
            " WHERE destination = ? AND result_id = ? AND state = 'waiting' AND in_doubt = 1",
            self._db.now(), destination, form.result_id,
        )  # fmt: skip
        self._db.execute(
            "DELETE FROM delivery WHERE destination = ? AND result_id = ? AND state = 'waiting'",
            destination, form.result_id,
        )  # fmt: skip

    def left_out(self, job_id: int, destination: str, role: str, reason: str) -> None:
        """Tell the study's story that a destination does not get an object, and why."""
        row = self._db.row("SELECT study_instance_uid FROM job WHERE job_id = ?", job_id)
        if row is not None:
            self._db.event(row["study_instance_uid"], "delivery", f"{role} to {destination}", "left out", reason)

    def destinations(self, backoff: Backoff = _USUAL) -> list[str]:
        """Peers that something waits for now, those in back-off left out.

        Results of a study that is about to change, or that an operator looks into, have to wait; what takes results
        back has not.
        """
        # First the names, then of each whether anything may go: a hundred thousand may wait for a peer that is away.
        rows = self._db.rows("SELECT DISTINCT destination FROM delivery WHERE state IN ('waiting', 'running')")
        resting = self._resting(backoff)
        names = sorted(row["destination"] for row in rows)
        return [name for name in names if name not in resting and (self._next(name) or self._abandoned(name))]

    def due(self, destination: str, backoff: Backoff = _USUAL) -> int | None:
        """The oldest job that owes this destination something now.

        None for a peer that is to be left alone for a while. What dead senders held waits again, and what was made
        from inputs that were replaced, or was taken back while it was being sent, is cancelled.
        """
        if self._abandoned(destination):
            now = self._db.now()
            self._db.execute(
                "UPDATE delivery SET state = 'waiting', reason = 'lease ran out', changed_at = ?, lease = '',"
                " in_doubt = 1 WHERE state = 'running' AND lease_expires_at < ? AND destination = ?",
                now, now, destination,
            )  # fmt: skip
        if destination in self._resting(backoff):
            return None
        while row := self._next(destination):
            job_id = int(row["job_id"])
            why = "inputs were replaced" if row["superseded"] else "retracted" if row["retracted"] else ""
            if not why or not self._withdraw(job_id, destination, why):
                return job_id
        return None

    def _next(self, destination: str) -> Row | None:
        """The oldest job of which something may go to a destination, and what has become of it."""
        return self._db.row(
            "SELECT delivery.job_id, superseded, retracted FROM delivery JOIN study USING (study_instance_uid)"
            " JOIN result USING (result_id) JOIN job ON job.job_id = delivery.job_id"
            " WHERE delivery.state = 'waiting' AND destination = ?"
            " AND ((study.state <> 'receiving' AND study.held = '') OR result.occasion = 'withdrawal')"
            " ORDER BY delivery_id LIMIT 1",
            destination,
        )

    def _abandoned(self, destination: str) -> bool:
        """Whether something is held by a sender that no longer lives."""
        return (
            self._db.row(
                "SELECT 1 FROM delivery WHERE state = 'running' AND destination = ? AND lease_expires_at < ? LIMIT 1",
                destination, self._db.now(),
            )
            is not None
        )  # fmt: skip

    def _withdraw(self, job_id: int, destination: str, why: str) -> int:
        """Cancel what a job still owes a destination, but for what takes results back; how many deliveries."""
        return self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = ?, changed_at = ?"
            " WHERE state = 'waiting' AND destination = ? AND job_id = ?"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) <> 'withdrawal'",
            why, self._db.now(), destination, job_id,
        )  # fmt: skip

    def _resting(self, backoff: Backoff) -> set[str]:
        """Peers to be left alone now; not one that would be for longer than it was meant to: the clock was set back."""
        now, rows = self._db.clock(), self._db.rows("SELECT peer, failures, next_try_at FROM backoff")
        left = {row["peer"]: (from_text(row["next_try_at"]) - now, backoff.delay(row["failures"])) for row in rows}
        return {peer for peer, (wait, longest) in left.items() if timedelta(0) < wait <= longest}

    def claim(self, job_id: int, destination: str, worker: str, lease: timedelta) -> list[Delivery]:
        """Take everything that a job owes a destination; what others refer to comes first."""
        rows = self._db.rows(
            "UPDATE delivery SET state = 'running', reason = 'by ' || :worker, changed_at = :now,"
            " attempts = attempts + 1, lease = :worker, lease_expires_at = :expires"
            " WHERE state = 'waiting' AND destination = :destination AND job_id = :job"
            " RETURNING delivery_id, depends_on",
            worker=worker, now=self._db.now(), destination=destination, job=job_id,
            expires=to_text(self._db.clock() + lease),
        )  # fmt: skip
        order = sorted(rows, key=lambda row: (row["depends_on"] is not None, int(row["delivery_id"])))
        return [self._delivery(row["delivery_id"]) for row in order]

    def heartbeat(self, worker: str, lease: timedelta) -> None:
        """Prolong what a living sender holds; written by its supervisor."""
        self._db.execute(
            "UPDATE delivery SET lease_expires_at = ? WHERE state = 'running' AND lease = ?",
            to_text(self._db.clock() + lease), worker,
        )  # fmt: skip

    def hand_back(
        self, worker: str, why: str, *, destination: str | None = None, counts: bool, untried: bool = False
    ) -> int:
        """Let what this sender holds wait again; how many deliveries that were.

        Parameters
        ----------
        untried
            Whether nothing of it can have left; else the destination may have it from now on.
        """
        return self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = :why, changed_at = :now, lease = '',"
            " in_doubt = MAX(in_doubt, :tried), attempts = attempts - :uncounted"
            " WHERE state = 'running' AND lease LIKE :worker"
            " AND (:destination IS NULL OR destination = :destination)",
            why=why, now=self._db.now(), tried=int(not untried), uncounted=0 if counts else 1, worker=worker,
            destination=destination,
        )  # fmt: skip

    def put_in_doubt(self, delivery: Delivery) -> None:
        """Note that the destination may have this object: it was being sent, and no answer came."""
        self._db.execute("UPDATE delivery SET in_doubt = 1 WHERE delivery_id = ?", delivery.delivery_id)

    def record(self, delivery: Delivery, receipt: Receipt) -> bool:
        """Write down what the peer answered; False if the delivery was no longer this sender's."""
        if receipt.stored:
            state = "done"
        else:
            state = "failed" if receipt.final else "waiting"
        return bool(
            self._db.execute(
                "UPDATE delivery SET state = ?, reason = ?, status = ?, changed_at = ?, lease = ''"
                " WHERE delivery_id = ? AND state = 'running' AND lease = ?",
                state, receipt.words, receipt.status, self._db.now(), delivery.delivery_id, delivery.lease,
            )
        )  # fmt: skip

    def fail(self, delivery: Delivery, reason: str) -> None:
        """Give up a delivery for a reason on our side."""
        self._db.execute(
            "UPDATE delivery SET state = 'failed', reason = ?, changed_at = ?, lease = ''"
            " WHERE delivery_id = ? AND state = 'running' AND lease = ?",
            reason, self._db.now(), delivery.delivery_id, delivery.lease,
        )  # fmt: skip

    def back_off(self, peer: str, reason: str, backoff: Backoff) -> timedelta:
        """Leave a peer alone for a while that grows with every failure; how long."""
        row = self._db.row("SELECT failures FROM backoff WHERE peer = ?", peer)
        failures = (row["failures"] if row else 0) + 1
        wait = backoff.delay(failures)
        self._db.execute(
            "INSERT INTO backoff VALUES (:peer, :failures, :next, :reason) ON CONFLICT (peer) DO UPDATE SET"
            " failures = :failures, next_try_at = :next, reason = :reason",
            peer=peer, failures=failures, next=to_text(self._db.clock() + wait), reason=reason,
        )  # fmt: skip
        return wait

    def reached(self, peer: str) -> None:
        """The peer answers again."""
        self._db.execute("DELETE FROM backoff WHERE peer = ?", peer)

    def requeue(self, study_instance_uid: str) -> int:
        """Send again what failed for one study; how many deliveries.

        The peers' back-off ends, and they are asked anew what they accept. What stood in for another and failed too
        is owed again only if that other is refused again.
        """
        now = self._db.now()
        self._db.execute(
            "DELETE FROM backoff WHERE peer IN (SELECT destination FROM delivery WHERE study_instance_uid = ?)",
            study_instance_uid,
        )
        self._db.execute(
            "UPDATE inquiry SET doubtful = 1 WHERE peer IN"
            " (SELECT destination FROM delivery WHERE state = 'failed' AND study_instance_uid = ?)",
            study_instance_uid,
        )
        return self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = 'by an operator', changed_at = ?, attempts = 0"
            " WHERE state = 'failed' AND study_instance_uid = ?"
            " AND ((SELECT superseded = 0 AND retracted = '' FROM job WHERE job.job_id = delivery.job_id)"
            "  OR (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) = 'withdrawal')"
            " AND (SELECT purged_at FROM result WHERE result.result_id = delivery.result_id) = ''",
            now, study_instance_uid,
        )  # fmt: skip

    def cancel(self, study_instance_uid: str) -> int:
        """Cancel what still waits, but for what takes results back; how many deliveries."""
        return self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'by an operator', changed_at = ?"
            " WHERE state = 'waiting' AND study_instance_uid = ?"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) <> 'withdrawal'",
            self._db.now(), study_instance_uid,
        )  # fmt: skip

    def _delivery(self, delivery_id: int) -> Delivery:
        row: Row | None = self._db.row(
            "SELECT delivery.*, sop_class_uid, transfer_syntax_uid, path FROM delivery JOIN result USING (result_id)"
            " WHERE delivery_id = ?",
            delivery_id,
        )
        assert row is not None
        return Delivery(
            delivery_id=row["delivery_id"],
            job_id=row["job_id"],
            study_instance_uid=row["study_instance_uid"],
            destination=row["destination"],
            sop_class_uid=row["sop_class_uid"],
            sop_instance_uid=row["sop_instance_uid"],
            transfer_syntax_uid=row["transfer_syntax_uid"],
            path=self._files.path(row["path"]),
            attempts=row["attempts"],
            lease=row["lease"],
        )
