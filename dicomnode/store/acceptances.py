"""What each peer accepts, as it last answered, and when it is to be asked again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from dicomnode.domain.clock import from_text
from dicomnode.domain.network import Acceptance, Peer
from dicomnode.store.database import Database

#: An archive is upgraded over night: what it accepts is known for a day.
VALID = timedelta(days=1)


class Acceptances:
    """The rows of inquiries. Methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, peer: Peer) -> Acceptance | None:
        """What a peer answered last, however long ago; None if it was never asked at its present address."""
        row = self._db.row("SELECT asked_at FROM inquiry WHERE peer = ? AND address = ?", peer.name, peer.address)
        if row is None:
            return None
        rows = self._db.rows(
            "SELECT sop_class_uid, transfer_syntax_uid, result FROM acceptance WHERE peer = ?", peer.name
        )
        return Acceptance(
            asked_at=from_text(row["asked_at"]),
            results={(one["sop_class_uid"], one["transfer_syntax_uid"]): one["result"] for one in rows},
        )

    def due(self, peer: Peer) -> bool:
        """Whether a peer is to be asked (again)."""
        row = self._db.row(
            "SELECT asked_at FROM inquiry WHERE peer = ? AND address = ? AND doubtful = 0", peer.name, peer.address
        )
        return row is None or self._db.clock() - from_text(row["asked_at"]) >= VALID

    def remember(self, peer: Peer, results: Mapping[tuple[str, str], int]) -> None:
        """Write down what a peer has just answered, in place of what it answered before."""
        self._db.execute("DELETE FROM inquiry WHERE peer = ?", peer.name)
        self._db.execute("INSERT INTO inquiry VALUES (?, ?, ?, 0)", peer.name, peer.address, self._db.now())
        for (sop_class, syntax), result in results.items():
            self._db.execute("INSERT INTO acceptance VALUES (?, ?, ?, ?)", peer.name, sop_class, syntax, result)

    def doubt(self, peer: str) -> None:
        """Have a peer asked again before something is sent to it: it refused what it had accepted."""
        self._db.execute("UPDATE inquiry SET doubtful = 1 WHERE peer = ?", peer)
