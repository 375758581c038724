"""Counts what the story of the studies tells, event by event, into counters that cost nothing to read."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import datetime
from itertools import takewhile

from dicomnode.domain.clock import from_text
from dicomnode.flow.metrics.families import BUCKETS_SECONDS
from dicomnode.flow.metrics.reasons import reason_class
from dicomnode.store.counts import Counts, Happened, Key
from dicomnode.store.database import Database

#: So many events are counted in one transaction: a few milliseconds in which nobody else writes.
_SLICE = 200

#: Between two of a backlog: longer than those who wait sleep between two looks (100 ms, SQLite's busy handler).
_PAUSE_SECONDS = 0.12

#: Arrow of a job or delivery → how it ended.
_JOB_ARROWS = {"finished": "done", "failed": "failed", "cancelled": "cancelled"}
_DELIVERY_ARROWS = {**_JOB_ARROWS, "lost": "lost", "not kept": "lost"}

#: Every outcome of a job, and of a delivery.
JOB_ENDS = tuple(_JOB_ARROWS.values())
DELIVERY_ENDS = (*JOB_ENDS, "lost")

#: As `flow/results.py` writes them: "read 0.31 s, check 0.02 s; what was left out".
_STAGE = re.compile(r"(read|check|infer|measure|report) (\d+\.\d+) s")
_NOT_ANALYSED = "not analysed: "


class Fold:
    """Counts the events since the last time. One at a time, on one connection."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counts = Counts(db)
        self._found: Counter[Key] = Counter()

    def run(self) -> int:
        """Count every event that is not counted yet; how many there were.

        Raises
        ------
        OutOfResources
            The database cannot be written now; nothing is counted twice or left out.
        """
        total = 0
        while count := self._slice():
            total += count
            if count == _SLICE:
                # SQLite queues nobody: who waits for the lock looks for it now and then, and has to find it free.
                time.sleep(_PAUSE_SECONDS)
        return total

    def _slice(self) -> int:
        if not self._counts.uncounted(1):
            return 0
        with self._db.transaction():
            events = self._counts.uncounted(_SLICE)
            self._found = Counter()
            for event in events:
                self._count(event)
            self._counts.add(self._found)
            self._counts.counted(events[-1]["event_id"])
        return len(events)

    def _count(self, event: Happened) -> None:
        match event["entity"]:
            case "study":
                if event["arrow"] == "settled":
                    self._since("dicomnode_study_settling_seconds", (), event, ("opened", "reopened"))
            case "job":
                self._job(event)
            case "delivery":
                self._delivery(event)

    def _job(self, event: Happened) -> None:
        arrow, detail = event["arrow"], event["detail"]
        if arrow == "claimed":
            self._since("dicomnode_job_waiting_seconds", (), event, ("created", "requeued"))
        elif arrow == "retried":
            self._found["dicomnode_retries_total", ("job",)] += 1
        elif arrow == "overdue":
            self._found["dicomnode_deadlines_missed_total", ()] += 1
        elif arrow in _JOB_ARROWS:
            model, ending = self._counts.model_and_ending(int(event["entity_id"].split()[0]))
            self._found["dicomnode_jobs_total", (model, _JOB_ARROWS[arrow])] += 1
            if arrow == "finished":
                self._since("dicomnode_model_run_seconds", (model,), event, ("claimed",))
                self._stages(model, detail)
            elif detail.startswith(_NOT_ANALYSED):
                reason = reason_class(detail.removeprefix(_NOT_ANALYSED), ending)
                self._found["dicomnode_not_analysed_total", (reason,)] += 1

    def _stages(self, model: str, words: str) -> None:
        for stage, seconds in _STAGE.findall(words.split(";")[0]):
            self._observe("dicomnode_job_stage_seconds", (stage,), float(seconds))
            if stage == "infer":
                self._observe("dicomnode_model_inference_seconds", (model,), float(seconds))

    def _delivery(self, event: Happened) -> None:
        arrow, destination = event["arrow"], event["entity_id"].split(" to ", 1)[-1]
        if arrow == "retried":
            self._found["dicomnode_retries_total", ("delivery",)] += 1
        elif arrow in _DELIVERY_ARROWS:
            self._found["dicomnode_deliveries_total", (destination, _DELIVERY_ARROWS[arrow])] += 1
        if arrow == "finished":
            made = self._counts.made_at(event["study_instance_uid"], destination, event["at"])
            self._observe_between("dicomnode_delivery_seconds", (destination,), made, event)

    def _since(self, family: str, labels: tuple[str, ...], event: Happened, arrows: tuple[str, ...]) -> None:
        self._observe_between(family, labels, self._counts.before(event, arrows), event)

    def _observe_between(self, family: str, labels: tuple[str, ...], begun: datetime | None, event: Happened) -> None:
        if begun is not None:
            # A clock that was set back in between gives no time, but the event has happened.
            self._observe(family, labels, max(0.0, (from_text(event["at"]) - begun).total_seconds()))

    def _observe(self, family: str, labels: tuple[str, ...], seconds: float) -> None:
        self._found[family, (*labels, bucket(seconds))] += 1
        self._found[family, (*labels, "sum")] += seconds  # type: ignore[assignment]


def bucket(seconds: float) -> str:
    """Upper limit of the bucket that a time falls into, as Prometheus writes it."""
    above = len(list(takewhile(lambda limit: limit < seconds, BUCKETS_SECONDS)))
    return f"{BUCKETS_SECONDS[above]}" if above < len(BUCKETS_SECONDS) else "+Inf"
