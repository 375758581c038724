"""How peers answered when somebody last asked them, and which of them are left alone."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """One C-ECHO; `failure` is empty where the peer answered, `seconds` says after how long."""

    asked_at: str
    seconds: float
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What a peer has to do with this node.

    Attributes
    ----------
    deliveries
        How many of those to it stand in which state.
    delivered_at
        When it last took one; "" for never.
    sent_at
        When something last came from it; "" for never.
    left_alone_until, left_alone_because
        While it does not answer; "" where it does.
    """

    deliveries: dict[str, int]
    delivered_at: str
    sent_at: str
    left_alone_until: str
    left_alone_because: str


class Echoes:
    """The rows about peers; methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def write(self, peer: str, seconds: float, failure: str) -> Echo:
        """Write down how a peer has answered just now."""
        echo = Echo(asked_at=self._db.now(), seconds=seconds, failure=failure)
        self._db.execute(
            "INSERT INTO peer_echo VALUES (:peer, :at, :seconds, :failure)"
            " ON CONFLICT (peer) DO UPDATE SET asked_at = :at, seconds = :seconds, failure = :failure",
            peer=peer, at=echo.asked_at, seconds=seconds, failure=failure,
        )  # fmt: skip
        return echo

    def of(self, peer: str) -> Echo | None:
        """How a peer answered last."""
        row = self._db.row("SELECT asked_at, seconds, failure FROM peer_echo WHERE peer = ?", peer)
        return Echo(**dict(row)) if row else None

    def traffic(self, peer: str) -> Traffic:
        """What came from a peer and went there."""
        rows = self._db.rows(
            "SELECT state, COUNT(*) AS deliveries, MAX(changed_at) AS at FROM delivery WHERE destination = ?"
            " GROUP BY state",
            peer,
        )
        sent = self._db.row("SELECT MAX(last_arrival_at) AS at FROM study WHERE peer = ?", peer)
        alone = self._db.row("SELECT next_try_at, reason FROM backoff WHERE peer = ?", peer)
        return Traffic(
            deliveries={row["state"]: row["deliveries"] for row in rows},
            delivered_at=next((row["at"] for row in rows if row["state"] == "done"), ""),
            sent_at=(sent["at"] or "") if sent else "",
            left_alone_until=alone["next_try_at"] if alone else "",
            left_alone_because=alone["reason"] if alone else "",
        )
