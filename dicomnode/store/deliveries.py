"""Deliveries: which destination is owed which result, and what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from sqlite3 import Row

from dicomnode.domain.clock import to_text
from dicomnode.domain.work import Backoff, Delivery, Job, Receipt
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Made

#: Ends the role of a result that takes the place of another where a destination refused the SEG.
STAND_IN = "-without-seg"


class Deliveries:
    """The outbox. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def add(self, job: Job, results: Sequence[tuple[int, Made]], destinations: Sequence[str]) -> None:
        """Owe every result to every destination; what refers to the SEG waits for it."""
        for destination in destinations:
            segmentation: int | None = None
            for result_id, result in sorted(results, key=lambda made: made[1].role != "seg"):
                if result.role.endswith(STAND_IN):
                    continue  # kept for a destination that refuses the SEG
                delivery_id = self._db.insert(
                    "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination,"
                    " depends_on, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    result_id, job.job_id, job.study_instance_uid, result.sop_instance_uid, destination, segmentation,
                    self._db.now(),
                )  # fmt: skip
                if result.role == "seg":
                    segmentation = delivery_id

    def destinations(self) -> list[str]:
        """Peers that something waits for now, those in back-off left out."""
        now = self._db.now()
        rows = self._db.rows(
            "SELECT DISTINCT destination FROM delivery JOIN study USING (study_instance_uid)"
            " LEFT JOIN backoff ON backoff.peer = destination"
            " WHERE (delivery.state = 'waiting' OR (delivery.state = 'running' AND lease_expires_at < ?))"
            " AND study.state <> 'receiving' AND study.held = '' AND (next_try_at IS NULL OR next_try_at <= ?)",
            now, now,
        )  # fmt: skip
        return [row["destination"] for row in rows]

    def claim(self, destination: str, worker: str, lease: timedelta) -> list[Delivery]:
        """Take everything that waits for one destination from its oldest job, in the order it was owed.

        Nothing is taken for a peer that is to be left alone for a while.
        """
        now = self._db.now()
        self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = 'lease ran out', changed_at = ?, lease = ''"
            " WHERE state = 'running' AND lease_expires_at < ? AND destination = ?",
            now, now, destination,
        )  # fmt: skip
        self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'inputs were replaced', changed_at = ?"
            " WHERE state = 'waiting' AND destination = ? AND job_id IN (SELECT job_id FROM job WHERE superseded = 1)",
            now, destination,
        )  # fmt: skip
        self._fail_dependants(destination)
        rows = self._db.rows(
            "UPDATE delivery SET state = 'running', reason = 'by ' || :worker, changed_at = :now,"
            " attempts = attempts + 1, lease = :worker, lease_expires_at = :expires"
            " WHERE state = 'waiting' AND destination = :destination AND job_id ="
            "  (SELECT job_id FROM delivery JOIN study USING (study_instance_uid)"
            "   WHERE delivery.state = 'waiting' AND destination = :destination AND study.state <> 'receiving'"
            "   AND study.held = '' ORDER BY delivery_id LIMIT 1)"
            " AND NOT EXISTS (SELECT 1 FROM backoff WHERE peer = :destination AND next_try_at > :now)"
            " RETURNING delivery_id",
            worker=worker, now=now, destination=destination, expires=to_text(self._db.clock() + lease),
        )  # fmt: skip
        return [self._delivery(row["delivery_id"]) for row in sorted(rows, key=lambda row: int(row["delivery_id"]))]

    def heartbeat(self, worker: str, lease: timedelta) -> None:
        """Prolong what a living sender holds; written by its supervisor."""
        self._db.execute(
            "UPDATE delivery SET lease_expires_at = ? WHERE state = 'running' AND lease = ?",
            to_text(self._db.clock() + lease), worker,
        )  # fmt: skip

    def hand_back(self, worker: str, why: str, *, destination: str | None = None, counts: bool) -> int:
        """Let what this sender holds wait again; how many deliveries that were."""
        return self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = :why, changed_at = :now, lease = '',"
            " attempts = attempts - :uncounted WHERE state = 'running' AND lease LIKE :worker"
            " AND (:destination IS NULL OR destination = :destination)",
            why=why, now=self._db.now(), uncounted=0 if counts else 1, worker=worker, destination=destination,
        )  # fmt: skip

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
                state, receipt.text, receipt.status, self._db.now(), delivery.delivery_id, delivery.lease,
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
        """Send again what failed for one study; how many deliveries. The peers' back-off ends.

        A report that stood in for another does so again only if the SEG is refused again.
        """
        now = self._db.now()
        self._db.execute(
            "DELETE FROM backoff WHERE peer IN (SELECT destination FROM delivery WHERE study_instance_uid = ?)",
            study_instance_uid,
        )
        return self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = 'by an operator', changed_at = ?, attempts = 0"
            " WHERE state = 'failed' AND study_instance_uid = ?"
            " AND job_id IN (SELECT job_id FROM job WHERE superseded = 0)"
            " AND result_id IN (SELECT result_id FROM result WHERE role NOT LIKE '%-without-seg')",
            now, study_instance_uid,
        )  # fmt: skip

    def cancel(self, study_instance_uid: str) -> int:
        """Cancel what still waits; how many deliveries."""
        return self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'by an operator', changed_at = ?"
            " WHERE state = 'waiting' AND study_instance_uid = ?",
            self._db.now(), study_instance_uid,
        )  # fmt: skip

    def _fail_dependants(self, destination: str) -> None:
        """An SR whose SEG the destination refused would refer to nothing: another takes its place that does not."""
        orphans = self._db.rows(
            "SELECT delivery.delivery_id, delivery.job_id, delivery.study_instance_uid, result.role, before.reason"
            " FROM delivery JOIN result USING (result_id) JOIN delivery AS before"
            " ON before.delivery_id = delivery.depends_on WHERE delivery.state = 'waiting'"
            " AND delivery.destination = ? AND before.state IN ('failed', 'cancelled')",
            destination,
        )
        for orphan in orphans:
            # Two steps, since only what runs can fail.
            for state in ("running", "failed"):
                self._db.execute(
                    "UPDATE delivery SET state = ?, changed_at = ?, reason = ? WHERE delivery_id = ?",
                    state, self._db.now(), f"what it refers to was not stored there: {orphan['reason']}",
                    orphan["delivery_id"],
                )  # fmt: skip
            self._db.execute(
                "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination,"
                " changed_at)"
                " SELECT result_id, job_id, ?, sop_instance_uid, ?, ? FROM result WHERE job_id = ? AND role = ?"
                " ON CONFLICT (destination, sop_instance_uid) DO UPDATE SET state = 'waiting', depends_on = NULL,"
                " reason = 'the SEG was refused again', changed_at = excluded.changed_at WHERE state = 'failed'",
                orphan["study_instance_uid"], destination, self._db.now(), orphan["job_id"],
                orphan["role"] + STAND_IN,
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
