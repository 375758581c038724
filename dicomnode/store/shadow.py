"""Runs of candidates on the inputs of jobs that are done, and how their answers differ from those that count."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicomnode.domain.uid import CHECK_ROOT
from dicomnode.store.database import Database

#: Jobs of a rule since a moment that a candidate may yet be tried on; by the index, whatever the planner thinks of it.
_LEFT = (
    "SELECT job.job_id, job.changed_at FROM job INDEXED BY job_done_by_rule JOIN study USING (study_instance_uid)"
    " LEFT JOIN shadow_run AS run ON run.job_id = job.job_id AND run.candidate = :candidate"
    " WHERE job.rule = :rule AND job.state = 'done' AND job.changed_at >= :since AND job.superseded = 0"
    " AND study.purged_at = '' AND NOT (study_instance_uid >= :check AND study_instance_uid < :check || ':')"
    " AND (run.shadow_id IS NULL OR run.state = 'running')"
)
_IN_ORDER = "ORDER BY job.changed_at, job.job_id LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of one comparison.

    Attributes
    ----------
    figure
        `dice`, `volume`, `score`, `probability`, `agreement` or `findings`.
    subject, code
        What it is about: a segment, a score or an answer.
    unit
        UCUM.
    value
        A coefficient, or the candidate's number minus the model's; None where there is nothing to compare.
    """

    figure: str
    subject: str
    code: str
    unit: str
    value: float | None
    model_value: float | None = None
    candidate_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRun:
    """A candidate that is to be tried on the inputs of a job."""

    shadow_id: int
    job_id: int
    candidate: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One run with its figures, or why it has none."""

    rule: str
    model: str
    candidate: str
    version: str
    study_instance_uid: str
    at: str
    reason: str
    model_seconds: float
    candidate_seconds: float
    differences: tuple[Difference, ...]


class Shadows:
    """The rows of comparisons. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        # Of each trial, until when all that was analysed is compared: what is done is not gone through again.
        self._compared_until: dict[tuple[str, str], str] = {}

    def on_trial(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Rules and their candidates as they are configured now; each counts from the moment it is first named."""
        wanted = set(pairs)
        known = {(row["rule"], row["candidate"]) for row in self._db.rows("SELECT rule, candidate FROM shadow_trial")}
        for rule, candidate in known - wanted:
            self._db.execute("DELETE FROM shadow_trial WHERE rule = ? AND candidate = ?", rule, candidate)
        for rule, candidate in sorted(wanted - known):
            self._db.execute("INSERT INTO shadow_trial VALUES (?, ?, ?)", rule, candidate, self._db.now())

    def owed(self, most_attempts: int) -> tuple[int, str] | None:
        """Job and candidate of the oldest comparison that is owed; reads only, outside of a transaction.

        Of jobs whose objects are here, that count, and that were not made by `dicomnode check`.
        """
        found = []
        for trial in self._db.rows("SELECT rule, candidate, since FROM shadow_trial"):
            row = self._oldest(trial["rule"], trial["candidate"], trial["since"], most_attempts)
            if row is not None:
                found.append((row["changed_at"], row["job_id"], trial["candidate"]))
        return min(found)[1:] if found else None

    def _oldest(self, rule: str, candidate: str, since: str, most_attempts: int) -> sqlite3.Row | None:
        until = self._compared_until.get((rule, candidate), "")
        # A clock that was set back makes new jobs that seem to be older than what is known of.
        since = max(since, until if until <= self._db.now() else "")
        newest = self._db.row(
            "SELECT MAX(changed_at) FROM job INDEXED BY job_done_by_rule WHERE rule = ? AND state = 'done'", rule
        )
        left = self._db.row(f"{_LEFT} {_IN_ORDER}", rule=rule, candidate=candidate, since=since, check=CHECK_ROOT)
        if left is None:
            self._compared_until[rule, candidate] = (newest[0] if newest else None) or ""
            return None
        self._compared_until[rule, candidate] = left["changed_at"]
        return self._db.row(
            f"{_LEFT} AND study.state = 'settled' AND (run.shadow_id IS NULL OR run.attempts < :most) {_IN_ORDER}",
            rule=rule, candidate=candidate, since=left["changed_at"], check=CHECK_ROOT, most=most_attempts,
        )  # fmt: skip

    def begin(self, job_id: int, candidate: str) -> int | None:
        """Begin a comparison that was owed; None where it is no longer. See `begun`."""
        begun = self._db.execute(
            "INSERT INTO shadow_run (job_id, candidate, state, attempts, changed_at)"
            " SELECT job_id, ?, 'running', 1, ? FROM job JOIN study USING (study_instance_uid) WHERE job_id = ?"
            " AND job.state = 'done' AND superseded = 0 AND purged_at = '' AND study.state = 'settled'"
            " ON CONFLICT (job_id, candidate) DO UPDATE SET attempts = attempts + 1, changed_at = excluded.changed_at",
            candidate, self._db.now(), job_id,
        )  # fmt: skip
        found = self._db.row("SELECT shadow_id FROM shadow_run WHERE job_id = ? AND candidate = ?", job_id, candidate)
        return int(found["shadow_id"]) if begun and found else None

    def begun(self, shadow_id: int) -> ShadowRun:
        """A comparison that has begun."""
        row = self._db.row("SELECT * FROM shadow_run WHERE shadow_id = ?", shadow_id)
        assert row is not None
        return ShadowRun(
            shadow_id=shadow_id, job_id=row["job_id"], candidate=row["candidate"], attempts=row["attempts"]
        )

    def put_back(self, shadow_id: int) -> None:
        """Something else goes first; it begins anew as if it had not begun."""
        self._db.execute("UPDATE shadow_run SET attempts = attempts - 1 WHERE shadow_id = ?", shadow_id)

    def finish(
        self, shadow_id: int, version: str, model_seconds: float, candidate_seconds: float, found: Sequence[Difference]
    ) -> None:
        """The comparison is done; nothing is kept of one whose images went meanwhile."""
        known = self._db.execute(
            "UPDATE shadow_run SET state = 'done', version = ?, changed_at = ?, model_seconds = ?,"
            " candidate_seconds = ? WHERE shadow_id = ?",
            version, self._db.now(), model_seconds, candidate_seconds, shadow_id,
        )  # fmt: skip
        for position, one in enumerate(found if known else ()):
            self._db.execute(
                "INSERT INTO shadow_difference VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                shadow_id, position, one.figure, one.subject, one.code, one.unit, one.model_value,
                one.candidate_value, one.value,
            )  # fmt: skip

    def fail(self, shadow_id: int, reason: str) -> None:
        """There will be no comparison."""
        self._db.execute(
            "UPDATE shadow_run SET state = 'failed', reason = ?, changed_at = ? WHERE shadow_id = ?",
            reason, self._db.now(), shadow_id,
        )  # fmt: skip

    def any_to_give_up(self, most_attempts: int) -> bool:
        """Whether `given_up` would find anything; reads only."""
        row = self._db.row("SELECT 1 FROM shadow_run WHERE state = 'running' AND attempts >= ? LIMIT 1", most_attempts)
        return row is not None

    def given_up(self, most_attempts: int) -> int:
        """Fail what has ended its process too often; how many."""
        return self._db.execute(
            "UPDATE shadow_run SET state = 'failed', reason = 'its process ended without an answer', changed_at = ?"
            " WHERE state = 'running' AND attempts >= ?",
            self._db.now(), most_attempts,
        )  # fmt: skip

    def compared(self, *, rule: str = "", since: str = "") -> list[Compared]:
        """Everything that was compared or failed, the oldest first; `since` is UTC text, empty for ever."""
        rows = self._db.rows(
            "SELECT run.*, job.rule, job.model, job.study_instance_uid FROM shadow_run AS run JOIN job USING (job_id)"
            " WHERE run.state IN ('done', 'failed') AND run.changed_at >= :since AND (:rule = '' OR job.rule = :rule)"
            " ORDER BY run.changed_at, run.shadow_id",
            rule=rule, since=since,
        )  # fmt: skip
        return [
            Compared(
                rule=row["rule"], model=row["model"], candidate=row["candidate"], version=row["version"],
                study_instance_uid=row["study_instance_uid"], at=row["changed_at"], reason=row["reason"],
                model_seconds=row["model_seconds"], candidate_seconds=row["candidate_seconds"],
                differences=self._differences(row["shadow_id"]),
            )
            for row in rows
        ]  # fmt: skip

    def _differences(self, shadow_id: int) -> tuple[Difference, ...]:
        rows = self._db.rows("SELECT * FROM shadow_difference WHERE shadow_id = ? ORDER BY position", shadow_id)
        return tuple(
            Difference(
                figure=row["figure"], subject=row["subject"], code=row["code"], unit=row["unit"], value=row["value"],
                model_value=row["model_value"], candidate_value=row["candidate_value"],
            )
            for row in rows
        )  # fmt: skip
