"""Sends one result to one destination again, because somebody wants it to."""

from __future__ import annotations

from dicomnode.domain.errors import DicomNodeError
from dicomnode.store.database import Database


class Again:
    """The one row of a delivery; methods that write expect to be called inside `Database.transaction`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def study_of(self, delivery_id: int) -> str:
        """The study of a delivery.

        Raises
        ------
        DicomNodeError
            There is no such delivery.
        """
        row = self._db.row("SELECT study_instance_uid FROM delivery WHERE delivery_id = ?", delivery_id)
        if row is None:
            raise DicomNodeError(f"delivery {delivery_id}: there is none of this number")
        return str(row["study_instance_uid"])

    def send(self, delivery_id: int, why: str) -> str:
        """Let a delivery that has ended wait again, with the bytes that it had; in words what it is.

        What was confirmed counts no more, and the peer is not left alone any longer. Who had it may have it all the
        same, so that a retraction names it.

        Raises
        ------
        DicomNodeError
            It waits or runs, was cancelled, or its result was replaced, taken back or removed.
        """
        row = self._db.row(
            "SELECT delivery.*, role, occasion, result.purged_at, superseded, retracted FROM delivery"
            " JOIN result USING (result_id) JOIN job ON job.job_id = delivery.job_id WHERE delivery_id = ?",
            delivery_id,
        )
        if row is None:
            raise DicomNodeError(f"delivery {delivery_id}: there is none of this number")
        subject = f"{row['role']} to {row['destination']}"
        if row["state"] not in ("done", "failed"):
            raise DicomNodeError(f"{subject}: it is {row['state']}; needed one that is done or has failed")
        if row["purged_at"]:
            raise DicomNodeError(f"{subject}: its file was removed to make room; `dicomnode rerun` makes it again")
        if (row["superseded"] or row["retracted"]) and row["occasion"] != "withdrawal":
            raise DicomNodeError(f"{subject}: it was replaced or taken back, and does not go out again")
        self._db.execute("DELETE FROM backoff WHERE peer = ?", row["destination"])
        self._db.execute("UPDATE inquiry SET doubtful = 1 WHERE peer = ?", row["destination"])
        self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = ?, changed_at = ?, attempts = 0, confirmed_at = '',"
            " confirmed_by = '', to_ask = 1, in_doubt = MAX(in_doubt, state = 'done') WHERE delivery_id = ?",
            why, self._db.now(), delivery_id,
        )  # fmt: skip
        return subject
