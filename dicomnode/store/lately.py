"""What happened lately, whichever study it was about, and how much each model has done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from dicomnode.domain.clock import to_text
from dicomnode.store.database import Database

#: Arrows of a story that want an eye.
WARNINGS: Final = ("abandoned", "failed", "retried", "held", "not kept", "lost", "left out", "retracted", "cancelled")

#: So far back is looked for warnings, so that a long quiet history is not read through.
_LOOKED_AT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the history; it names no patient."""

    event_id: int
    at: str
    study_instance_uid: str
    entity: str
    entity_id: str
    arrow: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """How many jobs of a model were done within a day and a week, and how many failed within the week."""

    done_in_a_day: int
    done_in_a_week: int
    failed_in_a_week: int


class Recent:
    """Reads the history backwards; nothing is written."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def events(self, *, before: int = 0, limit: int = 100, warnings: bool = False) -> list[Event]:
        """The newest lines, or those before one of them; `warnings`: only those that want an eye."""
        row = self._db.row("SELECT COALESCE(MAX(event_id), 0) + 1 AS next FROM event")
        end = before or (int(row["next"]) if row else 1)
        arrows = ", ".join("?" for _ in WARNINGS)
        rows = self._db.rows(
            "SELECT * FROM event WHERE event_id < ? AND event_id >= ?"  # noqa: S608 - question marks
            f" AND (? = 0 OR arrow IN ({arrows})) ORDER BY event_id DESC LIMIT ?",
            end, end - _LOOKED_AT, int(warnings), *WARNINGS, limit,
        )  # fmt: skip
        return [Event(**dict(one)) for one in rows]

    def throughput(self, model: str) -> Throughput:
        """What a model has done lately."""
        now = self._db.clock()
        row = self._db.row(
            "SELECT COALESCE(SUM(state = 'done' AND changed_at >= :day), 0) AS day,"
            " COALESCE(SUM(state = 'done' AND changed_at >= :week), 0) AS week,"
            " COALESCE(SUM(state = 'failed' AND changed_at >= :week), 0) AS failed FROM job"
            " WHERE model = :model AND state IN ('done', 'failed') AND changed_at >= :week",
            model=model, day=to_text(now - timedelta(days=1)), week=to_text(now - timedelta(days=7)),
        )  # fmt: skip
        day, week, failed = (row["day"], row["week"], row["failed"]) if row else (0, 0, 0)
        return Throughput(done_in_a_day=day, done_in_a_week=week, failed_in_a_week=failed)
