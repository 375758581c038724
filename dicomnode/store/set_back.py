"""Receiving studies whose last object came at a time that is yet to come: the clock was set back."""

from __future__ import annotations

from dicomnode.store.database import Database


def wait_anew(db: Database) -> None:
    """Let their waiting begin now; nothing is written where there are none."""
    now = db.now()
    if db.row("SELECT 1 FROM study WHERE state = 'receiving' AND last_arrival_at > ? LIMIT 1", now) is None:
        return
    with db.transaction():
        db.execute(
            "UPDATE study SET last_arrival_at = :now, first_arrival_at = MIN(first_arrival_at, :now)"
            " WHERE state = 'receiving' AND last_arrival_at > :now",
            now=now,
        )
