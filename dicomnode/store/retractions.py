"""Results that an operator takes back: what a study's destinations have, and that it is taken back once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from sqlite3 import Row

from dicomnode.domain.clock import from_text
from dicomnode.domain.finding import PriorReport
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One object that a destination has or may have, as the books name it; its file may be lost."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    made_at: datetime
    path: Path = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one destination has of one job, or may have: its answer is not known. `report` is the newest among it."""

    job_id: int
    destination: str
    objects: tuple[Sent, ...]
    report: PriorReport | None


class Retractions:
    """The rows of what is retracted. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, files: Files) -> None:
        self._db = db
        self._files = files

    def stop(self, study_instance_uid: str) -> tuple[int, int]:
        """Cancel what waits and what is being analysed; how many jobs and deliveries.

        A worker finds out at its commit. What takes results back goes on.
        """
        jobs = 0
        for before, after in (("running", "waiting"), ("waiting", "cancelled")):
            jobs = self._db.execute(
                "UPDATE job SET state = ?, reason = 'retracted', changed_at = ?, lease = ''"
                " WHERE state = ? AND study_instance_uid = ?",
                after, self._db.now(), before, study_instance_uid,
            )  # fmt: skip
        deliveries = self._db.execute(
            "UPDATE delivery SET state = 'cancelled', reason = 'retracted', changed_at = ?"
            " WHERE state = 'waiting' AND study_instance_uid = ?"
            " AND (SELECT occasion FROM result WHERE result.result_id = delivery.result_id) <> 'withdrawal'",
            self._db.now(), study_instance_uid,
        )  # fmt: skip
        return jobs, deliveries

    def held(self, study_instance_uid: str) -> list[Held]:
        """What destinations have of the study and was not taken back, by job and destination."""
        rows = self._db.rows(
            "SELECT delivery.job_id, destination, result.* FROM delivery JOIN result USING (result_id)"
            " JOIN job ON job.job_id = delivery.job_id"
            " WHERE (delivery.state IN ('done', 'running') OR in_doubt = 1) AND occasion <> 'withdrawal'"
            " AND retracted = ''"
            " AND delivery.study_instance_uid = ? ORDER BY delivery.job_id, destination, result_id",
            study_instance_uid,
        )
        found: dict[tuple[int, str], list[Row]] = {}
        for row in rows:
            found.setdefault((row["job_id"], row["destination"]), []).append(row)
        return [
            Held(
                job_id=job_id,
                destination=destination,
                objects=tuple(self._sent(row) for row in results),
                report=next((_report(row, study_instance_uid) for row in reversed(results) if _tells(row)), None),
            )
            for (job_id, destination), results in found.items()
        ]

    def receiving(self, study_instance_uid: str) -> bool:
        """Whether a study has not settled, so that its rules are still to be held against it."""
        row = self._db.row("SELECT state FROM study WHERE study_instance_uid = ?", study_instance_uid)
        return row is not None and row["state"] == "receiving"

    def _sent(self, row: Row) -> Sent:
        return Sent(
            sop_class_uid=row["sop_class_uid"],
            sop_instance_uid=row["sop_instance_uid"],
            series_instance_uid=row["series_instance_uid"],
            made_at=from_text(row["created_at"]),
            path=self._files.path(row["path"]),
        )

    def mark(self, study_instance_uid: str, reason: str) -> int:
        """Note that every job of the study is taken back, so that nothing more of it is sent; how many were not yet."""
        return self._db.execute(
            "UPDATE job SET retracted = ? WHERE retracted = '' AND study_instance_uid = ?", reason, study_instance_uid
        )


def stayed(db: Database, study_instance_uid: str, plan: Plan) -> str:
    """Why other inputs of a rule are not to be analysed unasked: its newest analysis was taken back; else ""."""
    row = db.row(
        "SELECT * FROM job WHERE study_instance_uid = ? AND rule = ? AND frame_of_reference_uid = ? AND refusal = ''"
        " ORDER BY job_id DESC LIMIT 1",
        study_instance_uid, plan.rule, plan.frame_of_reference_uid,
    )  # fmt: skip
    if row is None or not row["retracted"]:
        return ""
    # Of exactly what was taken back there is a job already, so that nothing is analysed or told a second time.
    same = (row["input_digest"], row["recipe_digest"]) == (plan.input_digest, plan.recipe_digest)
    return "" if same and not row["superseded"] else str(row["retracted"])


def _tells(row: Row) -> bool:
    return (row["kind"] or row["role"]) in ("sr", "refusal")


def _report(row: Row, study_instance_uid: str) -> PriorReport:
    return PriorReport(
        study_instance_uid=study_instance_uid,
        series_instance_uid=row["series_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
    )
