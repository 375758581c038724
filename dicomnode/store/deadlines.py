"""Deadlines that rules promise their readers: which are missed, and that each is told of once."""

from __future__ import annotations

from dicomnode.store.database import Database


class Deadlines:
    """The deadlines of jobs. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def missed(self) -> list[int]:
        """Jobs whose reader has waited for too long and was not told.

        Not of a study that is receiving again, since it may get other jobs, and not of one that an operator looks into.
        """
        rows = self._db.rows(
            "SELECT job_id FROM job JOIN study USING (study_instance_uid)"
            " WHERE deadline_at <> '' AND deadline_at <= ? AND job.state IN ('waiting', 'running')"
            " AND superseded = 0 AND retracted = '' AND refusal = '' AND study.state <> 'receiving' AND held = ''"
            " ORDER BY deadline_at",
            self._db.now(),
        )
        return [row["job_id"] for row in rows]

    def close(self, job_id: int) -> bool:
        """End a deadline, since its reader is told; False if there is nothing to tell any more."""
        return bool(
            self._db.execute(
                "UPDATE job SET deadline_at = '' WHERE job_id = ? AND deadline_at <> ''"
                " AND state IN ('waiting', 'running') AND superseded = 0 AND retracted = ''",
                job_id,
            )
        )

    def overtake(self, job_id: int) -> None:
        """Do not send any more that a result is late: it is here."""
        self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'the result is here', changed_at = ?"
            " WHERE state = 'waiting' AND job_id = ?"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) = 'overdue'",
            self._db.now(), job_id,
        )  # fmt: skip
