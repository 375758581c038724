"""What peers are asked to confirm that they keep, under which transactions, and what they have said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row

from dicomnode.domain.clock import to_text
from dicomnode.domain.commitment import Failure, Reference, Report
from dicomnode.domain.work import Confirmation
from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question to one peer: for what a job has delivered there, or for what a pledge is about.

    Attributes
    ----------
    asked
        How often it was asked.
    """

    commitment_id: int
    peer: str
    job_id: int | None
    pledge_id: int | None
    study_instance_uid: str
    means: Confirmation
    state: str
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object of a question.

    Attributes
    ----------
    delivery_id
        None where a pledge wants it.
    verdict
        0 for kept, else a Failure Reason; None while nothing is known.
    lost
        How often the peer has said of this delivery that it does not have it, now included.
    """

    position: int
    reference: Reference
    study_instance_uid: str
    series_instance_uid: str
    delivery_id: int | None
    verdict: int | None
    lost: int


class Commitments:
    """Our questions. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ---- what is to be asked

    def unasked_job(self, peer: str) -> int | None:
        """The oldest job all of whose deliveries to a peer have ended, with some that nobody has asked about.

        What was taken back is not asked for: an archive may hide what a rejection note names.
        """
        row = self._db.row(
            "SELECT job_id FROM delivery AS done WHERE state = 'done' AND confirmed_at = '' AND to_ask = 1"
            " AND destination = :peer"
            " AND NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = done.job_id AND destination = :peer"
            "  AND state IN ('waiting', 'running'))"
            " ORDER BY delivery_id LIMIT 1",
            peer=peer,
        )
        return None if row is None else int(row["job_id"])

    def open_for_job(self, peer: str, job_id: int, means: Confirmation) -> int:
        """Ask a peer about what a job has delivered there and it has not confirmed."""
        commitment_id = self._db.insert(
            "INSERT INTO commitment (peer, job_id, study_instance_uid, means, next_at)"
            " SELECT ?, job_id, study_instance_uid, ?, ? FROM job WHERE job_id = ?",
            peer, means.value, self._db.now(), job_id,
        )  # fmt: skip
        self._db.execute(
            "INSERT INTO commitment_object (commitment_id, position, delivery_id, sop_class_uid,"
            " sop_instance_uid, study_instance_uid, series_instance_uid)"
            " SELECT :id, ROW_NUMBER() OVER (ORDER BY delivery_id), delivery_id, sop_class_uid, done.sop_instance_uid,"
            " study_instance_uid, series_instance_uid"
            " FROM delivery AS done JOIN result USING (result_id)"
            " WHERE state = 'done' AND confirmed_at = '' AND to_ask = 1 AND destination = :peer AND done.job_id = :job",
            id=commitment_id, peer=peer, job=job_id,
        )  # fmt: skip
        self._db.execute(
            "UPDATE delivery SET to_ask = 0 WHERE delivery_id IN"
            " (SELECT delivery_id FROM commitment_object WHERE commitment_id = ?)",
            commitment_id,
        )
        return commitment_id

    def unasked_pledge(self, archive: str, requesters: Sequence[str]) -> int | None:
        """The oldest pledge to one of these peers that waits and that this archive has not been asked about."""
        row = self._db.row(
            "SELECT pledge_id FROM pledge WHERE state = 'waiting' AND peer IN (SELECT value FROM json_each(?))"
            " AND NOT EXISTS (SELECT 1 FROM commitment WHERE pledge_id = pledge.pledge_id AND peer = ?)"
            " ORDER BY pledge_id LIMIT 1",
            json.dumps(list(requesters)), archive,
        )  # fmt: skip
        return None if row is None else int(row["pledge_id"])

    def open_for_pledge(self, archive: str, pledge_id: int, means: Confirmation) -> int:
        """Ask an archive about what a peer wants to have committed, as far as it is not decided."""
        commitment_id = self._db.insert(
            "INSERT INTO commitment (peer, pledge_id, study_instance_uid, means, next_at) VALUES (?, ?, '', ?, ?)",
            archive, pledge_id, means.value, self._db.now(),
        )  # fmt: skip
        self._db.execute(
            "INSERT INTO commitment_object (commitment_id, position, sop_class_uid, sop_instance_uid,"
            " study_instance_uid, series_instance_uid)"
            " SELECT ?, position, sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid"
            " FROM pledge_object WHERE pledge_id = ? AND verdict IS NULL",
            commitment_id, pledge_id,
        )  # fmt: skip
        return commitment_id

    def due(self, peer: str) -> Asking | None:
        """What to ask a peer now of what has come due: for a peer that waits for the answer, then the oldest."""
        return self._first("state = 'waiting'", peer)

    def overdue(self, peer: str) -> Asking | None:
        """The oldest question to a peer whose report should have come by now."""
        return self._first("state = 'asked'", peer)

    def of(self, commitment_id: int) -> Asking:
        """One question."""
        row = self._db.row("SELECT * FROM commitment WHERE commitment_id = ?", commitment_id)
        assert row is not None
        return _asking(row)

    def objects(self, commitment_id: int) -> list[Wanted]:
        """What a question is about."""
        rows = self._db.rows(
            "SELECT position, sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid, delivery_id,"
            " verdict, (SELECT COUNT(*) FROM commitment_object AS other WHERE other.delivery_id = one.delivery_id"
            "  AND other.verdict = ?) AS lost"
            " FROM commitment_object AS one WHERE commitment_id = ? ORDER BY position",
            int(Failure.NO_SUCH_INSTANCE), commitment_id,
        )  # fmt: skip
        return [
            Wanted(
                position=row["position"],
                reference=Reference(sop_class_uid=row["sop_class_uid"], sop_instance_uid=row["sop_instance_uid"]),
                study_instance_uid=row["study_instance_uid"],
                series_instance_uid=row["series_instance_uid"],
                delivery_id=row["delivery_id"],
                verdict=row["verdict"],
                lost=row["lost"],
            )
            for row in rows
        ]

    # ---- asking

    def begin(self, asking: Asking, transaction_uid: str, until: datetime) -> None:
        """Write down a transaction before the peer hears of it: its report may be quicker than the answer."""
        self._db.execute(
            "UPDATE commitment SET state = 'asked', asked = asked + 1, next_at = ? WHERE commitment_id = ?",
            to_text(until), asking.commitment_id,
        )  # fmt: skip
        self._db.execute(
            "INSERT INTO commitment_transaction (transaction_uid, commitment_id, asked_at) VALUES (?, ?, ?)",
            transaction_uid, asking.commitment_id, self._db.now(),
        )  # fmt: skip

    def count(self, asking: Asking) -> None:
        """Note that the peer was asked, where that needs no transaction."""
        self._db.execute("UPDATE commitment SET asked = asked + 1 WHERE commitment_id = ?", asking.commitment_id)

    def accepted(self, transaction_uid: str) -> None:
        """The peer has taken the request."""
        self._db.execute(
            "UPDATE commitment_transaction SET accepted = 1 WHERE transaction_uid = ?", transaction_uid
        )  # fmt: skip

    def reported(self, transaction_uid: str) -> bool:
        """Whether the report on a transaction has come."""
        row = self._db.row("SELECT reported FROM commitment_transaction WHERE transaction_uid = ?", transaction_uid)
        return row is not None and bool(row["reported"])

    def recover(self, peer: str) -> int:
        """Ask again what a crash cut off between the note of a transaction and the peer's answer; how many."""
        return self._db.execute(
            "UPDATE commitment SET state = 'waiting', next_at = ? WHERE state = 'asked' AND peer = ?"
            " AND NOT EXISTS (SELECT 1 FROM commitment_transaction"
            "  WHERE commitment_id = commitment.commitment_id AND accepted + reported > 0)",
            self._db.now(), peer,
        )  # fmt: skip

    def put_off(self, asking: Asking, reason: str, until: datetime) -> None:
        """Ask again later."""
        self._db.execute(
            "UPDATE commitment SET state = 'waiting', reason = ?, next_at = ? WHERE commitment_id = ?",
            reason, to_text(until), asking.commitment_id,
        )  # fmt: skip

    def take_back(self, asking: Asking, reason: str, until: datetime) -> None:
        """Let a question count as not asked, since nobody was there; a report on it may have come all the same."""
        self._db.execute(
            "UPDATE commitment SET state = 'waiting', asked = asked - 1, reason = ?, next_at = ?"
            " WHERE commitment_id = ? AND state IN ('waiting', 'asked')",
            reason, to_text(until), asking.commitment_id,
        )  # fmt: skip

    def leave_alone(self, peer: str, reason: str, until: datetime) -> None:
        """Ask a peer nothing for a while."""
        self._db.execute(
            "UPDATE commitment SET reason = ?, next_at = ? WHERE peer = ? AND state = 'waiting' AND next_at < ?",
            reason, to_text(until), peer, to_text(until),
        )  # fmt: skip

    def change_means(self, asking: Asking, means: Confirmation) -> None:
        """Ask in another way, now."""
        self._db.execute(
            "UPDATE commitment SET means = ?, state = 'waiting', next_at = ? WHERE commitment_id = ?",
            means.value, self._db.now(), asking.commitment_id,
        )  # fmt: skip

    def close(self, asking: Asking, state: str, reason: str) -> None:
        """Ask no more; `state` is `done` or `failed`. What is neither confirmed nor given up, another question asks."""
        self._db.execute(
            "UPDATE commitment SET state = ?, reason = ? WHERE commitment_id = ?", state, reason, asking.commitment_id
        )
        self._db.execute(
            "UPDATE delivery SET to_ask = 1 WHERE delivery_id IN (SELECT delivery_id FROM commitment_object"
            " WHERE commitment_id = ? AND final = 0 AND verdict IS NOT 0)",
            asking.commitment_id,
        )

    # ---- answers

    def record(self, peer: str, report: Report) -> int | None:
        """Write down a report; the question that it answers, or None where this peer was never asked that.

        One that comes again changes nothing, and no failure takes back what was confirmed.
        """
        row = self._db.row(
            "SELECT commitment_id, asked_at FROM commitment_transaction JOIN commitment USING (commitment_id)"
            " WHERE transaction_uid = ? AND peer = ?",
            report.transaction_uid, peer,
        )  # fmt: skip
        if row is None:
            return None
        commitment_id = int(row["commitment_id"])
        self._db.execute(
            "UPDATE commitment_transaction SET reported = 1 WHERE transaction_uid = ?", report.transaction_uid
        )
        self.judge(commitment_id, {**dict.fromkeys(report.kept, 0), **report.failed}, row["asked_at"])
        return commitment_id

    def judge(self, commitment_id: int, verdicts: Mapping[Reference, int], asked_at: str) -> None:
        """Write down what a peer says of objects; a question does not grow by what it was not about.

        Nor does an answer count to what was asked before an object was sent (again), or before something else was said
        of it: it is about another copy.
        """
        for one, verdict in verdicts.items():
            self._db.execute(
                "UPDATE commitment_object SET verdict = :verdict, asked_at = :asked_at"
                " WHERE commitment_id = :id AND sop_instance_uid = :instance AND sop_class_uid = :sop_class"
                " AND (final = 0 OR :verdict = 0) AND verdict IS NOT 0 AND asked_at <= :asked_at"
                " AND (delivery_id IS NULL OR EXISTS (SELECT 1 FROM delivery"
                "  WHERE delivery.delivery_id = commitment_object.delivery_id AND changed_at <= :asked_at))",
                verdict=verdict, id=commitment_id, instance=one.sop_instance_uid, sop_class=one.sop_class_uid,
                asked_at=asked_at,
            )  # fmt: skip

    def forget(self, asking: Asking, wanted: Wanted) -> None:
        """Let an answer that may be another next time count as none."""
        self._db.execute(
            "UPDATE commitment_object SET verdict = NULL WHERE commitment_id = ? AND position = ?",
            asking.commitment_id, wanted.position,
        )  # fmt: skip

    def finish(self, asking: Asking, wanted: Wanted) -> None:
        """This delivery is asked for no more, whatever was said."""
        self._db.execute(
            "UPDATE commitment_object SET final = 1 WHERE commitment_id = ? AND position = ?",
            asking.commitment_id, wanted.position,
        )  # fmt: skip

    def renew(self, study_instance_uid: str) -> int:
        """Ask again what was given up for a study, from the beginning; how many questions."""
        given_up = "SELECT commitment_id FROM commitment WHERE state = 'failed' AND study_instance_uid = ?"
        self._db.execute(
            "UPDATE delivery SET to_ask = 1 WHERE delivery_id IN (SELECT delivery_id FROM commitment_object"  # noqa: S608
            f" WHERE commitment_id IN ({given_up}) AND verdict IS NOT 0)",
            study_instance_uid,
        )  # fmt: skip
        self._db.execute(
            f"UPDATE commitment_object SET final = 0 WHERE commitment_id IN ({given_up})",  # noqa: S608 - ours
            study_instance_uid,
        )
        return self._db.execute(
            "UPDATE commitment SET state = 'replaced' WHERE state = 'failed' AND study_instance_uid = ?",
            study_instance_uid,
        )

    def tell(self, asking: Asking, arrow: str, detail: str) -> None:
        """Add a line to the story of the study; pledges have none."""
        if asking.study_instance_uid:
            self._db.event(
                asking.study_instance_uid, "commitment", f"job {asking.job_id} at {asking.peer}", arrow, detail
            )

    def _first(self, condition: str, peer: str) -> Asking | None:
        row = self._db.row(
            f"SELECT * FROM commitment WHERE {condition} AND peer = ? AND next_at <= ?"  # noqa: S608 - the condition is ours
            " ORDER BY pledge_id IS NULL, commitment_id LIMIT 1",
            peer, self._db.now(),
        )  # fmt: skip
        return None if row is None else _asking(row)


def _asking(row: Row) -> Asking:
    return Asking(
        commitment_id=row["commitment_id"],
        peer=row["peer"],
        job_id=row["job_id"],
        pledge_id=row["pledge_id"],
        study_instance_uid=row["study_instance_uid"],
        means=Confirmation(row["means"]),
        state=row["state"],
        asked=row["asked"],
    )
