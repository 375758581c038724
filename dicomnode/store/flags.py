"""What readers have complained of."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaints:
    """How many studies were flagged on which a model in one version has results."""

    model: str
    version: str
    studies: int


class Flags:
    """The rows of flags. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, study_instance_uid: str, reason: str, by: str) -> None:
        """Note a complaint about the results of a study, also in its story."""
        self._db.execute(
            "INSERT INTO flag (study_instance_uid, flagged_at, flagged_by, reason) VALUES (?, ?, ?, ?)",
            study_instance_uid, self._db.now(), by, reason,
        )  # fmt: skip
        self._db.event(study_instance_uid, "study", "", "flagged", f"by {by}: {reason}")

    def models(self, study_instance_uid: str) -> list[tuple[str, str]]:
        """The models, with their versions, whose jobs on a study have ended."""
        rows = self._db.rows(
            "SELECT DISTINCT job.model, COALESCE(version, '') AS version FROM job LEFT JOIN outcome USING (job_id)"
            " WHERE study_instance_uid = ? AND state IN ('done', 'failed') ORDER BY 1, 2",
            study_instance_uid,
        )
        return [(row["model"], row["version"]) for row in rows]

    def by_model(self) -> list[Complaints]:
        """Flagged studies of every model and version; what only an old version of this software analysed has none."""
        rows = self._db.rows(
            "SELECT job.model, COALESCE(version, '') AS version, COUNT(DISTINCT study_instance_uid) AS studies"
            " FROM flag JOIN job USING (study_instance_uid) LEFT JOIN outcome USING (job_id)"
            " WHERE state IN ('done', 'failed') GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [Complaints(**dict(row)) for row in rows]
