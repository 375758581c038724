"""Counters that outlast restarts, and what stands where at this moment, for whoever watches the node."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row

from dicomnode.domain.clock import from_text
from dicomnode.domain.uid import CHECK_ROOT
from dicomnode.store.database import Database

#: Family and label values, in the order of its labels.
Key = tuple[str, tuple[str, ...]]

#: A line of the story, as its table has it.
Happened = Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What of one kind waits.

    Attributes
    ----------
    kind
        `studies` (receiving), `jobs` or `deliveries`.
    name
        The destination of deliveries; else empty.
    since
        When the oldest of them came to wait, not counting attempts as an end of that; of deliveries also of those that
        are being tried. None where none does.
    """

    kind: str
    name: str
    waiting: int
    running: int
    failed: int
    since: datetime | None


class Counts:
    """The rows of counters. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, increments: Mapping[Key, float]) -> None:
        """Add to counters; one that is not there begins at 0."""
        for (family, labels), value in increments.items():
            self._db.execute(
                "INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
                family, json.dumps(labels, separators=(",", ":")), value,
            )  # fmt: skip

    def received(self, peer: str, size_bytes: int) -> None:
        """One object more was taken from this peer, with so many bytes."""
        labels = (peer,)
        self.add(
            {
                ("dicomnode_instances_received_total", labels): 1,
                ("dicomnode_received_bytes_total", labels): size_bytes,
            }
        )

    def all(self) -> dict[Key, float]:
        """Every counter."""
        rows = self._db.rows("SELECT family, labels, value FROM counter")
        return {(row["family"], tuple(json.loads(row["labels"]))): row["value"] for row in rows}

    def uncounted(self, most: int) -> Sequence[Happened]:
        """The oldest events that are not counted yet, at most so many; those of made studies never are."""
        return self._db.rows(
            "SELECT event_id, at, study_instance_uid, entity, entity_id, arrow, detail FROM event"
            " WHERE event_id > (SELECT event_id FROM counted) AND study_instance_uid NOT GLOB ? || '*'"
            " ORDER BY event_id LIMIT ?",
            CHECK_ROOT,
            most,
        )

    def counted(self, event_id: int) -> None:
        """Everything up to this event is counted."""
        self._db.execute("UPDATE counted SET event_id = ?", event_id)

    def before(self, event: Happened, arrows: Sequence[str]) -> datetime | None:
        """When the same thing last took one of these arrows before this event."""
        study = event["entity"] == "study"  # a revision is named anew with each arrow
        row = self._db.row(
            "SELECT at FROM event WHERE study_instance_uid = ? AND event_id < ? AND entity = ?"
            " AND (? OR entity_id = ?) AND arrow IN (SELECT value FROM json_each(?)) ORDER BY event_id DESC LIMIT 1",
            event["study_instance_uid"], event["event_id"], event["entity"], study, event["entity_id"],
            json.dumps(arrows),
        )  # fmt: skip
        return from_text(row["at"]) if row else None

    def model_and_ending(self, job_id: int) -> tuple[str, str]:
        """The model of a job and how the books say that it ended; "" for what they do not say any more."""
        row = self._db.row(
            "SELECT job.model, COALESCE(ending, '') AS ending FROM job LEFT JOIN outcome USING (job_id)"
            " WHERE job_id = ?",
            job_id,
        )
        return (str(row["model"]), str(row["ending"])) if row else ("", "")

    def made_at(self, study_instance_uid: str, destination: str, delivered_at: str) -> datetime | None:
        """When that was made which this destination acknowledged then."""
        row = self._db.row(
            "SELECT MAX(created_at) AS at FROM delivery JOIN result USING (result_id)"
            " WHERE delivery.study_instance_uid = ? AND destination = ? AND delivery.changed_at = ?",
            study_instance_uid, destination, delivered_at,
        )  # fmt: skip
        return from_text(row["at"]) if row and row["at"] else None

    # ---- what stands where

    def queues(self) -> list[Queue]:
        """Studies that are coming, jobs, and deliveries by destination; also where nothing waits."""
        studies = self._db.row(
            "SELECT COUNT(*) AS waiting, MIN(first_arrival_at) AS since FROM study WHERE state = 'receiving'"
        )
        waits = "MIN(CASE waits_since WHEN '' THEN changed_at ELSE waits_since END)"
        jobs = self._states(f"SELECT '' AS name, state, COUNT(*) AS n, {waits} AS since FROM job"  # noqa: S608 - ours
                            " WHERE state IN ('waiting', 'running', 'failed') GROUP BY state")  # fmt: skip
        deliveries = self._states(
            f"SELECT destination AS name, state, COUNT(*) AS n, {waits} AS since FROM delivery"  # noqa: S608 - ours
            " WHERE state IN ('waiting', 'running', 'failed') GROUP BY destination, state"
        )
        since = from_text(studies["since"]) if studies and studies["since"] else None
        coming = int(studies["waiting"]) if studies else 0
        found = [Queue(kind="studies", name="", waiting=coming, running=0, failed=0, since=since)]
        found += [_queue("jobs", "", jobs.get("", {}), ("waiting",))]
        owed = ("waiting", "running")
        return found + [_queue("deliveries", name, states, owed) for name, states in sorted(deliveries.items())]

    def held(self) -> int:
        """Studies that wait for an operator."""
        return self._count("SELECT COUNT(*) FROM study WHERE held <> ''")

    def associations(self) -> int:
        """Associations that are open."""
        return self._count("SELECT COUNT(*) FROM association")

    def away(self) -> set[str]:
        """Peers that are owed something and have not answered, whether they are being tried or left alone."""
        rows = self._db.rows(
            "SELECT peer FROM backoff WHERE failures > 0 AND EXISTS"
            " (SELECT 1 FROM delivery WHERE state IN ('waiting', 'running') AND destination = peer)"
        )
        return {row["peer"] for row in rows}

    def messages(self) -> dict[str, datetime]:
        """By `[[notify]]`, when the oldest message was made that nobody has taken yet."""
        sql = "SELECT notify, MIN(made_at) AS since FROM message INDEXED BY message_waiting WHERE state = 'waiting'"
        return {row["notify"]: from_text(row["since"]) for row in self._db.rows(f"{sql} GROUP BY notify")}

    def commitments(self, peers: Sequence[str]) -> dict[str, int]:
        """Questions to each of these peers, whether it keeps something, that are not answered."""
        sql = "SELECT COUNT(*) FROM commitment WHERE peer = ? AND state IN ('waiting', 'asked')"
        return {peer: self._count(sql, peer) for peer in peers}

    def pledges(self, peers: Sequence[str]) -> dict[str, int]:
        """Questions of each of these peers, whether this node keeps something, that are not answered."""
        sql = "SELECT COUNT(*) FROM pledge WHERE peer = ? AND state IN ('waiting', 'ready')"
        return {peer: self._count(sql, peer) for peer in peers}

    def schema(self) -> int:
        """How many migrations were applied."""
        return self._count("PRAGMA user_version")

    def _states(self, sql: str) -> dict[str, dict[str, Row]]:
        found: dict[str, dict[str, Row]] = {}
        for row in self._db.rows(sql):
            found.setdefault(row["name"], {})[row["state"]] = row
        return found

    def _count(self, sql: str, *values: str) -> int:
        row = self._db.row(sql, *values)
        return int(row[0]) if row else 0


def _queue(kind: str, name: str, states: Mapping[str, Row], since: Sequence[str]) -> Queue:
    number = {state: int(row["n"]) for state, row in states.items()}
    begun = [states[state]["since"] for state in since if state in states]
    return Queue(
        kind=kind,
        name=name,
        waiting=number.get("waiting", 0),
        running=number.get("running", 0),
        failed=number.get("failed", 0),
        since=from_text(min(begun)) if begun else None,
    )
