"""What people are to be told of, and the messages that are owed for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.notice import Message, Notice, Topic
from dicomnode.domain.uid import is_check
from dicomnode.store.database import Database

#: Events that are read at a time: the transaction stays short, however long nobody has read.
_BATCH = 500

#: So many notices are told in words; of the others a message gives the number.
MOST_TOLD = 20

#: What became of messages can be looked up for so long.
_KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the event log."""

    at: datetime
    study_instance_uid: str
    entity: str
    entity_id: str
    arrow: str
    detail: str


class Notices:
    """The rows of one `[[notify]]`. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database, notify: str) -> None:
        self._db = db
        self._notify = notify

    def begin(self) -> None:
        """Read the event log from here on, unless it was begun before: nobody wants to be told of years."""
        self._db.execute(
            "INSERT INTO notice_mark SELECT ?, COALESCE(MAX(event_id), 0) FROM event WHERE true ON CONFLICT DO NOTHING",
            self._notify,
        )

    def behind(self) -> bool:
        """Whether there are events that were not read yet."""
        row = self._db.row(
            "SELECT (SELECT MAX(event_id) FROM event) > event_id AS more FROM notice_mark WHERE notify = ?",
            self._notify,
        )
        return row is not None and bool(row["more"])

    def read(self) -> list[Event]:
        """The next events; they count as read once the transaction is through."""
        rows = self._db.rows(
            "SELECT event.* FROM event WHERE event_id > (SELECT event_id FROM notice_mark WHERE notify = ?)"
            " ORDER BY event_id LIMIT ?",
            self._notify, _BATCH,
        )  # fmt: skip
        if rows:
            self._db.execute("UPDATE notice_mark SET event_id = ? WHERE notify = ?", rows[-1]["event_id"], self._notify)
        return [
            Event(
                at=from_text(row["at"]), study_instance_uid=row["study_instance_uid"], entity=row["entity"],
                entity_id=row["entity_id"], arrow=row["arrow"], detail=row["detail"],
            )
            for row in rows
            if not is_check(row["study_instance_uid"])
        ]  # fmt: skip

    def add(self, notices: Sequence[Notice]) -> None:
        """Owe these; the next message has them."""
        for one in notices:
            self._db.execute(
                "INSERT INTO notice (notify, topic, happened_at, study_instance_uid, rule, text)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                self._notify, one.topic.value, to_text(one.happened_at), one.study_instance_uid, one.rule, one.text,
            )  # fmt: skip

    def appeared(self, subjects: Collection[str]) -> set[str]:
        """Note what is wrong now; which of these subjects were well before."""
        known = {
            row["subject"] for row in self._db.rows("SELECT subject FROM condition WHERE notify = ?", self._notify)
        }
        for gone in known - set(subjects):
            self._db.execute("DELETE FROM condition WHERE notify = ? AND subject = ?", self._notify, gone)
        new = set(subjects) - known
        for subject in new:
            self._db.execute("INSERT INTO condition VALUES (?, ?, ?)", self._notify, subject, self._db.now())
        return new

    def waiting(self) -> list[Message]:
        """The messages that are on their way, whether they are due or not, those with the fewest attempts first."""
        rows = self._db.rows(
            "SELECT * FROM message INDEXED BY message_waiting WHERE notify = ? AND state = 'waiting'"
            " ORDER BY attempts, made_at",
            self._notify,
        )
        return [self._message(row) for row in rows]

    def due_at(self, message: Message) -> datetime:
        """When a message is to be tried."""
        row = self._db.row("SELECT next_try_at FROM message WHERE message_id = ?", message.message_id)
        assert row is not None
        return from_text(row["next_try_at"])

    def made_at(self) -> datetime | None:
        """When the newest message was made."""
        row = self._db.row("SELECT MAX(made_at) AS at FROM message WHERE notify = ?", self._notify)
        return from_text(row["at"]) if row and row["at"] else None

    def topics(self) -> set[Topic]:
        """What the notices without a message are about."""
        sql = "SELECT DISTINCT topic FROM notice WHERE notify = ? AND message_id IS NULL"
        return {Topic(row["topic"]) for row in self._db.rows(sql, self._notify)}

    def gather(self, message_id: str) -> None:
        """Make a message of all notices that have none; old messages are forgotten."""
        now = self._db.now()
        self._db.execute(
            "INSERT INTO message (message_id, notify, made_at, next_try_at) VALUES (?, ?, ?, ?)",
            message_id, self._notify, now, now,
        )  # fmt: skip
        self._db.execute(
            "UPDATE notice SET message_id = ? WHERE notify = ? AND message_id IS NULL", message_id, self._notify
        )
        self._db.execute(
            "DELETE FROM message WHERE state <> 'waiting' AND made_at < ?", to_text(self._db.clock() - _KEPT)
        )

    def sent(self, message: Message, remark: str = "") -> None:
        """The receiver has it."""
        self._leave(message, "sent", remark)

    def put_off(self, message: Message, reason: str, until: datetime, *, refused: bool) -> None:
        """Try again later; `refused`: the receiver answered, and did not take it."""
        self._db.execute(
            "UPDATE message SET attempts = attempts + 1, next_try_at = ?, reason = ?, refused = ? WHERE message_id = ?",
            to_text(until), reason, int(refused), message.message_id,
        )  # fmt: skip

    def give_up(self, message: Message, reason: str) -> None:
        """Nobody will get it; said in the event log, in the story of no study."""
        self._leave(message, "given up", reason)
        told = ", ".join(f"{count} {topic}" for topic, count in message.counts.items())
        self._db.event("", "notify", self._notify, "given up", f"message {message.message_id} ({told}): {reason}")

    def _leave(self, message: Message, state: str, reason: str) -> None:
        self._db.execute(
            "UPDATE message SET state = ?, attempts = attempts + 1, reason = ? WHERE message_id = ?",
            state, reason, message.message_id,
        )  # fmt: skip

    def _message(self, row: Row) -> Message:
        counts = self._db.rows(
            "SELECT topic, COUNT(*) AS many FROM notice WHERE message_id = ? GROUP BY topic", row["message_id"]
        )
        found = {Topic(one["topic"]): int(one["many"]) for one in counts}
        order = list(Topic)
        rank = " ".join(f"WHEN '{topic}' THEN {number}" for number, topic in enumerate(order))
        told = self._db.rows(
            f"SELECT * FROM notice WHERE message_id = ? ORDER BY CASE topic {rank} END, notice_id LIMIT ?",  # noqa: S608
            row["message_id"], MOST_TOLD,
        )  # fmt: skip
        return Message(
            message_id=row["message_id"],
            notify=row["notify"],
            made_at=from_text(row["made_at"]),
            notices=tuple(
                Notice(
                    topic=Topic(one["topic"]), happened_at=from_text(one["happened_at"]), text=one["text"],
                    study_instance_uid=one["study_instance_uid"], rule=one["rule"],
                )
                for one in told
            ),
            counts={topic: found[topic] for topic in order if topic in found},
            attempts=row["attempts"],
            refused=bool(row["refused"]),
        )  # fmt: skip


def forget(db: Database, names: Collection[str]) -> int:
    """Drop all that is owed to a `[[notify]]` that the configuration no longer has; how many notices were not sent.

    The event log says so, in the story of no study.
    """
    unsent = owed_to_others(db, names)
    for name, many in unsent.items():
        reason = f"{many} notices were not sent, and the configuration has no such [[notify]] any more"
        db.event("", "notify", name, "given up", reason)
    listed = ", ".join("?" * len(names))
    # First what is sent or waits, with which its notices go, then the notices without a message.
    for table in ("message", "notice", "condition", "notice_mark"):
        db.execute(f"DELETE FROM {table} WHERE notify NOT IN ({listed})", *names)  # noqa: S608 - ours
    return sum(unsent.values())


def owed_to_others(db: Database, names: Collection[str]) -> dict[str, int]:
    """How many notices are not sent yet, in a message that waits or in none, by `[[notify]]` that is not named."""
    listed = ", ".join("?" * len(names))
    unsent = f"notice.notify NOT IN ({listed}) AND COALESCE(state, 'waiting') = 'waiting'"
    rows = db.rows(
        f"SELECT notice.notify, COUNT(*) AS many FROM notice LEFT JOIN message USING (message_id)"  # noqa: S608 - ours
        f" WHERE {unsent} GROUP BY 1 ORDER BY 1",
        *names,
    )
    return {row["notify"]: int(row["many"]) for row in rows}


class Circumstances:
    """What else is known of what an event is about; nothing is written."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ending(self, job_id: int) -> tuple[str, str, str, bool]:
        """How a job ended, which rules of the gate blocked it, what of it is urgent, and whether that is new.

        It is not new where the rule's last run on the study, in any of its frames of reference, has found the same:
        what was found, then not found, and is found again is.
        """
        row = self._db.row(
            "SELECT ending, blocked_by, urgent, NOT EXISTS (SELECT 1 FROM job AS old JOIN outcome AS was USING (job_id)"
            "  WHERE old.study_instance_uid = job.study_instance_uid AND old.rule = job.rule"
            "  AND old.job_id < job.job_id AND was.ending = 'done' AND was.urgent = outcome.urgent"
            "  AND NOT EXISTS (SELECT 1 FROM job AS next JOIN outcome AS found USING (job_id)"
            "   WHERE next.study_instance_uid = old.study_instance_uid AND next.rule = old.rule"
            "   AND next.frame_of_reference_uid = old.frame_of_reference_uid AND found.ending = 'done'"
            "   AND next.job_id > old.job_id AND next.job_id < job.job_id)) AS new"
            " FROM outcome JOIN job USING (job_id) WHERE job_id = ?",
            job_id,
        )
        return ("failed", "", "", False) if row is None else (
            row["ending"], row["blocked_by"], row["urgent"], bool(row["new"])
        )  # fmt: skip

    def model(self, job_id: int) -> str:
        """The model of a job."""
        row = self._db.row("SELECT model FROM job WHERE job_id = ?", job_id)
        return str(row["model"]) if row else ""

    def rules(self, study_instance_uid: str) -> set[str]:
        """The rules that have jobs on a study."""
        rows = self._db.rows("SELECT DISTINCT rule FROM job WHERE study_instance_uid = ?", study_instance_uid)
        return {row["rule"] for row in rows}

    def status(self, study_instance_uid: str, destination: str) -> int | None:
        """The status with which a destination refused something of a study last."""
        row = self._db.row(
            "SELECT status FROM delivery WHERE study_instance_uid = ? AND destination = ? AND state = 'failed'"
            " ORDER BY changed_at DESC LIMIT 1",
            study_instance_uid, destination,
        )  # fmt: skip
        return None if row is None else row["status"]

    def patient(self, study_instance_uid: str) -> str:
        """DICOM JSON of the study's first series, which says whose it is; "" where there is none."""
        row = self._db.row(
            "SELECT header FROM series WHERE study_instance_uid = ? ORDER BY rowid LIMIT 1", study_instance_uid
        )
        return str(row["header"]) if row else ""

    def silent(self, failures: int) -> list[tuple[str, str]]:
        """Peers that have not answered so often in a row, with when they are tried again."""
        rows = self._db.rows("SELECT peer, next_try_at FROM backoff WHERE failures >= ? ORDER BY peer", failures)
        return [(row["peer"], row["next_try_at"]) for row in rows]
