"""Deliveries that a destination has confirmed to keep, or has turned out not to have."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.domain.work import Confirmation
from dicomnode.store.database import Database


class Confirmations:
    """What becomes of deliveries that are done.

    Methods that write expect to be called inside `Database.transaction`.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def confirm(self, delivery_ids: Sequence[int], by: Confirmation) -> int:
        """Note that these are kept; how many of them that was not known of."""
        return sum(
            self._db.execute(
                "UPDATE delivery SET confirmed_at = ?, confirmed_by = ? WHERE delivery_id = ? AND confirmed_at = ''"
                " AND state = 'done'",
                self._db.now(), by.value, delivery_id,
            )
            for delivery_id in delivery_ids
        )  # fmt: skip

    def send_again(self, delivery_id: int, reason: str) -> None:
        """Owe an object once more. The destination may have it all the same, so that a retraction names it.

        One whose file was removed meanwhile is given up visibly: a new run makes it anew.
        """
        here = "(SELECT purged_at FROM result WHERE result.result_id = delivery.result_id) = ''"
        owed = self._db.execute(
            "UPDATE delivery SET state = 'waiting', reason = ?, changed_at = ?, in_doubt = 1, attempts = 0"  # noqa: S608
            f" WHERE delivery_id = ? AND state = 'done' AND confirmed_at = '' AND {here}",
            f"{reason}: sent again", self._db.now(), delivery_id,
        )  # fmt: skip
        if not owed:
            self.not_kept(delivery_id, f"{reason}, and its file was removed here; `dicomnode rerun` makes a new one")

    def not_kept(self, delivery_id: int, reason: str) -> None:
        """Give an object up that does not stay where it is sent; `dicomnode retry` sends it again."""
        self._db.execute(
            "UPDATE delivery SET state = 'failed', reason = ?, changed_at = ?"
            " WHERE delivery_id = ? AND state = 'done' AND confirmed_at = ''",
            reason, self._db.now(), delivery_id,
        )  # fmt: skip
