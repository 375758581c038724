"""What waits, by the rule that asked for it."""

from __future__ import annotations

from dicomnode.store.database import Database


def waiting_by_rule(db: Database) -> dict[str, int]:
    """Name of a rule → its jobs that wait to be run."""
    rows = db.rows("SELECT rule, COUNT(*) AS jobs FROM job WHERE state = 'waiting' GROUP BY rule ORDER BY rule")
    return {row["rule"]: row["jobs"] for row in rows}


def any_may_run(db: Database) -> bool:
    """Whether a worker would find a job at this moment, by the conditions of `Jobs.claim`."""
    now = db.now()
    row = db.row(
        "SELECT 1 FROM job JOIN study USING (study_instance_uid)"
        " WHERE job.state = 'waiting' AND (job.not_before <= ? OR job.changed_at > ?)"
        " AND study.state <> 'receiving' AND study.held = ''"
        " AND job.model NOT IN (SELECT model FROM disabled_model) LIMIT 1",
        now, now,
    )  # fmt: skip
    return row is not None
