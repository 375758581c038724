"""Reads what happened and what is owed, for people who ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event of a study's story."""

    at: str
    entity: str
    entity_id: str
    arrow: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When the first and the last instance of a study came, and how many there are."""

    first_at: str
    last_at: str
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How many studies, jobs and deliveries stand where, and what wants an operator's eye."""

    studies: dict[str, int]
    jobs: dict[str, int]
    deliveries: dict[str, int]
    failed: list[dict[str, str]]
    held: list[dict[str, str]]
    backing_off: list[dict[str, str]]
    disabled: list[dict[str, str]] = field(default_factory=list)
    flagged: list[dict[str, str]] = field(default_factory=list)
    untold: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One result and where it stands at one destination."""

    role: str
    sop_instance_uid: str
    destination: str
    state: str
    reason: str


class Story:
    """Questions about the store; nothing is written."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def why(self, study_instance_uid: str) -> list[Line]:
        """Everything that happened to a study, oldest first, with how much came of each series."""
        rows = self._db.rows(
            "SELECT at, entity, entity_id, arrow, detail FROM event WHERE study_instance_uid = ?"
            " UNION ALL SELECT MIN(arrived_at), 'series', series_instance_uid, 'received',"
            "  COUNT(*) || ' objects until ' || MAX(arrived_at) FROM instance WHERE study_instance_uid = ?"
            "  GROUP BY series_instance_uid ORDER BY 1",
            study_instance_uid, study_instance_uid,
        )  # fmt: skip
        return [Line(**dict(row)) for row in rows]

    def arrivals(self, study_instance_uid: str) -> Arrivals | None:
        """When its instances came; None where none is in the books."""
        row = self._db.row(
            "SELECT MIN(arrived_at) AS first_at, MAX(arrived_at) AS last_at, COUNT(*) AS instances FROM instance"
            " WHERE study_instance_uid = ?",
            study_instance_uid,
        )
        return Arrivals(**dict(row)) if row is not None and row["instances"] else None

    def studies_like(self, beginning: str) -> list[str]:
        """Study Instance UIDs that begin so, for people who do not type all 64 characters."""
        rows = self._db.rows(
            "SELECT study_instance_uid FROM study WHERE substr(study_instance_uid, 1, ?) = ?", len(beginning), beginning
        )
        return [row[0] for row in rows]

    def results(self, study_instance_uid: str) -> list[Sent]:
        """The results of a study and their deliveries; a result that is owed to nobody stands with an empty state.

        Objects that only stand ready for a destination that refuses others are left out.
        """
        rows = self._db.rows(
            "SELECT role, result.sop_instance_uid, COALESCE(destination, '') AS destination,"
            " COALESCE(delivery.state, '') AS state, COALESCE(delivery.reason, '') AS reason"
            " FROM result JOIN job USING (job_id) LEFT JOIN delivery USING (result_id)"
            " WHERE job.study_instance_uid = ? AND (delivery.state IS NOT NULL OR role = kind)"
            " ORDER BY result_id, destination",
            study_instance_uid,
        )
        return [Sent(**dict(row)) for row in rows]

    def backlog(self) -> Backlog:
        """The node at a glance."""
        return Backlog(
            studies=self._counts("SELECT state, COUNT(*) FROM study GROUP BY state"),
            jobs=self._counts("SELECT state, COUNT(*) FROM job GROUP BY state"),
            deliveries=self._counts("SELECT state, COUNT(*) FROM delivery GROUP BY state"),
            failed=self._texts(
                "SELECT 'job' AS what, study_instance_uid AS study, reason FROM job WHERE state = 'failed' UNION ALL"
                " SELECT 'delivery to ' || destination, study_instance_uid, reason FROM delivery WHERE state = 'failed'"
                " UNION ALL SELECT 'delivery', study_instance_uid, 'no destination: the results are owed to nobody'"
                " FROM job WHERE destinations = '[]' AND state IN ('done', 'failed')"
                " UNION ALL SELECT 'commitment at ' || peer, study_instance_uid, reason FROM commitment"
                " WHERE state = 'failed'"
                " UNION ALL SELECT 'report on commitment to ' || peer, COALESCE((SELECT MAX(study_instance_uid)"
                "  FROM pledge_object WHERE pledge_id = pledge.pledge_id), ''), reason"
                " FROM pledge WHERE state = 'failed'"
            ),
            held=self._texts("SELECT study_instance_uid AS study, held AS reason FROM study WHERE held <> ''"),
            backing_off=self._texts("SELECT peer, next_try_at, reason FROM backoff"),
            disabled=self._texts(
                "SELECT model, reason, (SELECT CAST(COUNT(*) AS TEXT) FROM job"
                " WHERE job.model = disabled_model.model AND state = 'waiting') AS waiting FROM disabled_model"
            ),
            flagged=self._texts(
                "SELECT study_instance_uid AS study, flagged_at AS at, flagged_by AS by, reason FROM flag"
                " ORDER BY flag_id DESC LIMIT 20"
            ),
            untold=self._texts(
                "SELECT notify, state, reason FROM message"
                " WHERE state = 'given up' OR (attempts > 0 AND state = 'waiting') ORDER BY made_at DESC LIMIT 20"
            ),
        )

    def _counts(self, sql: str) -> dict[str, int]:
        return {row[0]: row[1] for row in self._db.rows(sql)}

    def _texts(self, sql: str) -> list[dict[str, str]]:
        return [dict(row) for row in self._db.rows(sql)]
