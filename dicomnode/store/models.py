"""What this site has decided about models: accepted for use on patients, or disabled; and what they did last."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dicomnode.domain.clock import from_text, to_text
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One acceptance.

    Attributes
    ----------
    recipe
        Of the bundle as it was then; any change voids the acceptance.
    cases, figures
        Local cases with figures, and these; none of a model that marks nothing.
    node
        Version of this software; "" where an old one did not say.
    """

    model: str
    version: str
    recipe: str
    accepted_by: str
    accepted_at: datetime
    cases: int
    figures: Any = field(default=None, repr=False)
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """What the jobs of a model came to: how many by state, and when the newest was done."""

    states: dict[str, int]
    done_at: str


class Models:
    """The rows about models. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def accept(self, one: Accepted) -> None:
        """Write down an acceptance; those before stay for whoever asks."""
        self._db.execute(
            "INSERT INTO model_acceptance"
            " (model, version, recipe, accepted_by, accepted_at, cases, figures, node)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            one.model, one.version, one.recipe, one.accepted_by, to_text(one.accepted_at), one.cases,
            json.dumps(one.figures), one.node,
        )  # fmt: skip

    def accepted(self, model: str) -> Accepted | None:
        """The newest acceptance of a model, of whatever bundle."""
        row = self._db.row("SELECT * FROM model_acceptance WHERE model = ? ORDER BY acceptance_id DESC LIMIT 1", model)
        if row is None:
            return None
        return Accepted(
            model=row["model"],
            version=row["version"],
            recipe=row["recipe"],
            accepted_by=row["accepted_by"],
            accepted_at=from_text(row["accepted_at"]),
            cases=row["cases"],
            figures=json.loads(row["figures"]),
            node=row["node"],
        )

    def disabled(self, model: str) -> str:
        """Why a model is disabled, or ""."""
        row = self._db.row("SELECT reason FROM disabled_model WHERE model = ?", model)
        return str(row["reason"]) if row else ""

    def disable(self, model: str, reason: str) -> tuple[int, int]:
        """Hold a model's jobs from now on (`Jobs.claim` passes them over); how many waited, and how many ran.

        What runs is taken from its worker, whose commit then finds that it has lost the job, and waits; the attempt
        does not count.
        """
        now = self._db.now()
        self._db.execute(
            "INSERT INTO disabled_model VALUES (?, ?, ?) ON CONFLICT (model) DO UPDATE SET reason = excluded.reason",
            model, reason, now,
        )  # fmt: skip
        why = f"model {model} was disabled: {reason}"
        waiting = self._db.execute(
            "INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)"
            " SELECT ?, study_instance_uid, 'job', job_id, 'held', ? FROM job WHERE state = 'waiting' AND model = ?",
            now, why, model,
        )  # fmt: skip
        running = self._db.execute(
            "UPDATE job SET state = 'waiting', reason = ?, changed_at = ?, lease = '', attempts = attempts - 1"
            " WHERE state = 'running' AND model = ?",
            why, now, model,
        )  # fmt: skip
        return waiting, running

    def enable(self, model: str) -> int | None:
        """Let a model's jobs run again; how many wait, None where it was not disabled."""
        if not self._db.execute("DELETE FROM disabled_model WHERE model = ?", model):
            return None
        return self._db.execute(
            "INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)"
            " SELECT ?, study_instance_uid, 'job', job_id, 'released', ? FROM job"
            " WHERE state = 'waiting' AND model = ?",
            self._db.now(), f"model {model} was enabled", model,
        )  # fmt: skip

    def lately(self, model: str) -> Lately:
        """What became of a model's jobs."""
        rows = self._db.rows("SELECT state, COUNT(*) AS jobs FROM job WHERE model = ? GROUP BY state", model)
        row = self._db.row("SELECT MAX(changed_at) AS at FROM job WHERE model = ? AND state = 'done'", model)
        return Lately(states={one["state"]: one["jobs"] for one in rows}, done_at=str(row["at"] or "") if row else "")
