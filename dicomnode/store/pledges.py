"""What peers have asked this node to commit to, what is known of it, and whether they have been told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.commitment import Failure, Reference, Report, Request
from dicomnode.store.database import Database

#: Of `one` object of a pledge, what came here under its UID, and of that what counts.
_COPIES = "instance WHERE sop_instance_uid = one.sop_instance_uid"
_CURRENT = "ORDER BY standing <> 'current', instance_id LIMIT 1"

#: Of `one` object of a pledge, what archives have been asked.
_ASKED = (
    "commitment CROSS JOIN commitment_object USING (commitment_id) WHERE commitment.pledge_id = one.pledge_id"
    " AND commitment_object.sop_class_uid = one.sop_class_uid"
    " AND commitment_object.sop_instance_uid = one.sop_instance_uid"
)

#: What is reported of `one` object of a pledge; null: not known yet.
_VERDICT = (
    f"WHEN NOT EXISTS (SELECT 1 FROM {_COPIES}) THEN :absent"  # noqa: S608 - ours
    f" WHEN one.sop_class_uid <> (SELECT sop_class_uid FROM {_COPIES} {_CURRENT}) THEN :conflict"
    f" WHEN EXISTS (SELECT 1 FROM {_COPIES} AND standing = 'conflicting') THEN :failed"
    f" WHEN (SELECT COUNT(DISTINCT study_instance_uid) FROM {_COPIES}) > 1 THEN :failed"
    f" WHEN EXISTS (SELECT 1 FROM {_COPIES} AND standing = 'undecided') THEN CASE WHEN :time_is_up THEN :failed END"
    f" WHEN EXISTS (SELECT 1 FROM {_ASKED} AND commitment_object.verdict = 0) THEN 0"
    " WHEN :time_is_up THEN COALESCE("
    "  (SELECT CASE WHEN COUNT(commitment_object.verdict) = COUNT(*) THEN MAX(commitment_object.verdict) END"
    f"   FROM {_ASKED}), :failed)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """One request of a peer.

    Attributes
    ----------
    called_aet
        The title of this node that it called.
    state
        `waiting` for archives, `ready` to be reported, `reported` or `failed`.
    failures
        Reports that did not arrive, in a row.
    """

    pledge_id: int
    peer: str
    called_aet: str
    transaction_uid: str
    state: str
    asked_at: datetime
    answer_by: datetime
    failures: int


class Pledges:
    """Requests of peers. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, peer: str, transaction_uid: str) -> Pledge | None:
        """The request of a peer under this transaction UID."""
        row = self._db.row("SELECT * FROM pledge WHERE peer = ? AND transaction_uid = ?", peer, transaction_uid)
        return None if row is None else _pledge(row)

    def of(self, pledge_id: int) -> Pledge:
        """One request."""
        row = self._db.row("SELECT * FROM pledge WHERE pledge_id = ?", pledge_id)
        assert row is not None
        return _pledge(row)

    def open_count(self, peer: str) -> int:
        """How many requests of a peer have not been answered."""
        row = self._db.row(
            "SELECT COUNT(*) FROM pledge WHERE peer = ? AND state IN ('waiting', 'ready')", peer
        )  # fmt: skip
        return int(row[0]) if row else 0

    def add(self, peer: str, called_aet: str, request: Request, answer_by: datetime, report_at: datetime) -> int:
        """Write down a request, with study and series of our copies, since it names neither."""
        pledge_id = self._db.insert(
            "INSERT INTO pledge (peer, called_aet, transaction_uid, asked_at, answer_by, next_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            peer, called_aet, request.transaction_uid, self._db.now(), to_text(answer_by), to_text(report_at),
        )  # fmt: skip
        asked = [[one.sop_class_uid, one.sop_instance_uid] for one in dict.fromkeys(request.references)]
        self._db.execute(
            "INSERT INTO pledge_object (pledge_id, position, sop_class_uid, sop_instance_uid, study_instance_uid,"  # noqa: S608 - ours
            " series_instance_uid) SELECT ?, position, one.sop_class_uid, one.sop_instance_uid,"
            f" COALESCE((SELECT study_instance_uid FROM {_COPIES} {_CURRENT}), ''),"
            f" COALESCE((SELECT series_instance_uid FROM {_COPIES} {_CURRENT}), '')"
            " FROM (SELECT key AS position, json_extract(value, '$[0]') AS sop_class_uid,"
            "  json_extract(value, '$[1]') AS sop_instance_uid FROM json_each(?)) AS one",
            pledge_id, json.dumps(asked),
        )  # fmt: skip
        return pledge_id

    def references(self, pledge_id: int) -> frozenset[Reference]:
        """What a request is about."""
        return frozenset(reference for reference, _ in self._objects(pledge_id))

    def report(self, pledge: Pledge) -> Report:
        """The answer; what nothing is known of counts as failed."""
        objects = self._objects(pledge.pledge_id)
        return Report(
            transaction_uid=pledge.transaction_uid,
            kept=tuple(reference for reference, verdict in objects if verdict == 0),
            failed={
                reference: int(Failure.PROCESSING) if verdict is None else verdict
                for reference, verdict in objects
                if verdict != 0
            },
        )

    def waiting(self, peer: str) -> list[int]:
        """Requests of a peer that are not decided."""
        rows = self._db.rows("SELECT pledge_id FROM pledge WHERE peer = ? AND state = 'waiting'", peer)
        return [row["pledge_id"] for row in rows]

    def decide(self, pledge_id: int) -> bool:
        """Decide by our books and by what archives have said, and make the request ready once nothing is open.

        What was never sent here cannot be asked for at an archive, since a request names neither study nor series; what
        came under one UID with different pixels, or in several studies, is not to be deleted anywhere, and that may
        come out while archives are asked. One archive that keeps an object is enough. When time is up, what none keeps
        fails for the reason that an archive gave, if all have answered.

        Returns
        -------
        bool
            Whether it has become ready.
        """
        time_is_up = self._db.clock() >= self.of(pledge_id).answer_by
        self._db.execute(
            "UPDATE pledge_object SET verdict = now.verdict"  # noqa: S608 - ours
            f" FROM (SELECT position, CASE {_VERDICT} END AS verdict FROM pledge_object AS one"
            "  WHERE pledge_id = :id AND verdict IS NULL) AS now"
            " WHERE pledge_id = :id AND pledge_object.position = now.position AND now.verdict IS NOT NULL",
            id=pledge_id, time_is_up=time_is_up, failed=int(Failure.PROCESSING), absent=int(Failure.NO_SUCH_INSTANCE),
            conflict=int(Failure.CONFLICT),
        )  # fmt: skip
        return bool(
            self._db.execute(
                "UPDATE pledge SET state = 'ready' WHERE pledge_id = ? AND state = 'waiting'"
                " AND NOT EXISTS (SELECT 1 FROM pledge_object WHERE pledge_id = pledge.pledge_id AND verdict IS NULL)",
                pledge_id,
            )
        )  # fmt: skip

    # ---- telling the peer

    def due(self, peer: str) -> Pledge | None:
        """What to report to a peer now."""
        row = self._db.row(
            "SELECT * FROM pledge WHERE peer = ? AND state = 'ready' AND next_at <= ? ORDER BY pledge_id LIMIT 1",
            peer, self._db.now(),
        )  # fmt: skip
        return None if row is None else _pledge(row)

    def hold(self, pledge_id: int, until: datetime) -> None:
        """Let nobody else report this until then."""
        self._db.execute("UPDATE pledge SET next_at = ? WHERE pledge_id = ?", to_text(until), pledge_id)

    def again(self, pledge_id: int, report_at: datetime) -> None:
        """Report what is decided (once more), as if it had just been asked for, since the peer asks again."""
        self._db.execute(
            "UPDATE pledge SET next_at = ?, failures = 0,"
            " answer_by = CASE state WHEN 'waiting' THEN answer_by ELSE ? END,"
            " state = CASE state WHEN 'waiting' THEN state ELSE 'ready' END WHERE pledge_id = ?",
            to_text(report_at), self._db.now(), pledge_id,
        )  # fmt: skip

    def put_off(self, pledge_id: int, reason: str, until: datetime) -> None:
        """The report has not arrived: try again later."""
        self._db.execute(
            "UPDATE pledge SET failures = failures + 1, reason = ?, next_at = ? WHERE pledge_id = ?",
            reason, to_text(until), pledge_id,
        )  # fmt: skip

    def close(self, pledge_id: int, state: str, reason: str) -> None:
        """The peer has been told, or never will be; `state` is `reported` or `failed`."""
        self._db.execute("UPDATE pledge SET state = ?, reason = ? WHERE pledge_id = ?", state, reason, pledge_id)

    def give_up(self, pledge_id: int, reason: str) -> None:
        """The peer cannot be told; the stories of the studies that it asked about say so."""
        self.close(pledge_id, "failed", reason)
        self._db.execute(
            "INSERT INTO event (at, study_instance_uid, entity, entity_id, arrow, detail)"
            " SELECT DISTINCT ?, study_instance_uid, 'commitment', 'for ' || peer, 'not reported', ?"
            " FROM pledge JOIN pledge_object USING (pledge_id) WHERE pledge_id = ? AND study_instance_uid <> ''",
            self._db.now(), reason, pledge_id,
        )  # fmt: skip

    def renew(self, study_instance_uid: str) -> int:
        """Report again what could not be reported, for as long as what was just asked for; how many requests."""
        return self._db.execute(
            "UPDATE pledge SET state = 'ready', failures = 0, answer_by = ?, next_at = ? WHERE state = 'failed'"
            " AND pledge_id IN (SELECT pledge_id FROM pledge_object WHERE study_instance_uid = ?)",
            self._db.now(), self._db.now(), study_instance_uid,
        )  # fmt: skip

    def forget(self, before: datetime) -> None:
        """Forget answered requests that were made before; the same transaction would then be another request."""
        self._db.execute("DELETE FROM pledge WHERE state IN ('reported', 'failed') AND asked_at < ?", to_text(before))

    def _objects(self, pledge_id: int) -> list[tuple[Reference, int | None]]:
        rows = self._db.rows("SELECT * FROM pledge_object WHERE pledge_id = ? ORDER BY position", pledge_id)
        return [
            (
                Reference(sop_class_uid=row["sop_class_uid"], sop_instance_uid=row["sop_instance_uid"]),
                row["verdict"],
            )
            for row in rows
        ]


def _pledge(row: Row) -> Pledge:
    return Pledge(
        pledge_id=row["pledge_id"],
        peer=row["peer"],
        called_aet=row["called_aet"],
        transaction_uid=row["transaction_uid"],
        state=row["state"],
        asked_at=from_text(row["asked_at"]),
        answer_by=from_text(row["answer_by"]),
        failures=row["failures"],
    )
