"""Studies that were made to test the way through the node: how far they have come, and how they are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dicomnode.domain.clock import from_text
from dicomnode.domain.uid import CHECK_ROOT
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One object that a destination is owed, or has."""

    destination: str
    role: str
    state: str
    reason: str
    occasion: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The state of the study or of its only job, why, and when it was entered."""

    state: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a study has come; `job` is None while there is none."""

    objects: int
    study: Stage | None
    job: Stage | None
    refusal: str
    deliveries: tuple[Delivered, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        if self.study is None or self.study.state == "receiving" or (self.job and self.job.state in _GOING_ON):
            return False
        return not any(one.state in _GOING_ON for one in self.deliveries)


_GOING_ON = ("waiting", "running")

#: What begins with the root, as a range that an index can answer; ":" follows the digits.
_MADE = (CHECK_ROOT, f"{CHECK_ROOT}:")


class RoundTrips:
    """The rows of made studies. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def left(self) -> list[str]:
        """Study Instance UIDs of all that are in the books."""
        rows = self._db.rows(
            "SELECT study_instance_uid FROM study WHERE study_instance_uid >= ? AND study_instance_uid < ?", *_MADE
        )
        return [row[0] for row in rows]

    def progress(self, study_instance_uid: str) -> Progress:
        """How far a study has come."""
        uid = study_instance_uid
        study = self._db.row("SELECT state, reason, changed_at FROM study WHERE study_instance_uid = ?", uid)
        job = self._db.row(
            "SELECT state, reason, changed_at, refusal FROM job WHERE study_instance_uid = ? ORDER BY job_id DESC", uid
        )
        count = self._db.row("SELECT COUNT(*) FROM instance WHERE study_instance_uid = ?", uid)
        deliveries = self._db.rows(
            "SELECT destination, role, state, reason, occasion, result.sop_class_uid, result.sop_instance_uid,"
            " result.series_instance_uid FROM delivery JOIN result USING (result_id) WHERE study_instance_uid = ?"
            " ORDER BY delivery_id",
            uid,
        )
        return Progress(
            objects=count[0] if count else 0,
            study=_stage(study), job=_stage(job), refusal=job["refusal"] if job else "",
            deliveries=tuple(Delivered(**dict(row)) for row in deliveries),
        )  # fmt: skip

    def has_files(self, study_instance_uid: str) -> bool:
        """Whether the books name files of a study, or something is being done with it."""
        row = self._db.row(
            "SELECT (SELECT COUNT(*) FROM instance WHERE study_instance_uid = :uid AND purged_at = '')"
            " + (SELECT COUNT(*) FROM job JOIN result USING (job_id)"
            "  WHERE study_instance_uid = :uid AND purged_at = '')"
            " + (SELECT COUNT(*) FROM job WHERE study_instance_uid = :uid AND state = 'running')"
            " + (SELECT COUNT(*) FROM delivery WHERE study_instance_uid = :uid AND state = 'running')",
            uid=study_instance_uid,
        )
        return bool(row and row[0])

    def when(self, study_instance_uid: str, entity: str, arrow: str) -> datetime | None:
        """When something last happened to a study, if it did."""
        row = self._db.row(
            "SELECT MAX(at) FROM event WHERE study_instance_uid = ? AND entity = ? AND arrow = ?",
            study_instance_uid, entity, arrow,
        )  # fmt: skip
        return from_text(row[0]) if row and row[0] else None

    def forget(self, study_instance_uid: str) -> None:
        """Strike a study and its story off the books, as if it had never come.

        The newest event of all stays until another follows: its number must not be given to a second one, since
        readers of the log remember how far they have come. A study that has files yet is not to be forgotten.
        """
        self._db.execute("DELETE FROM study WHERE study_instance_uid = ?", study_instance_uid)
        self._db.execute(
            "DELETE FROM event INDEXED BY event_by_study WHERE study_instance_uid >= ? AND study_instance_uid < ?"
            " AND event_id < (SELECT MAX(event_id) FROM event)"
            " AND study_instance_uid NOT IN (SELECT study_instance_uid FROM study)",
            *_MADE,
        )


def _stage(row: object) -> Stage | None:
    if row is None:
        return None
    found = dict(row)  # type: ignore[call-overload]
    return Stage(state=found["state"], reason=found["reason"], at=from_text(found["changed_at"]))
