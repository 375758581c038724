"""Closes the associations of a listener that has ended, while another one has its own."""

from __future__ import annotations

from datetime import datetime

from dicomnode.domain.clock import to_text
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.studies import Studies


def close_left(db: Database, files: Files, before: datetime) -> int:
    """Close the associations that were opened before the present listener began, since nobody serves them; how many.

    One that has ended in good order has left none.
    """
    studies = Studies(db, files)
    with db.transaction():
        rows = db.rows("SELECT association_id FROM association WHERE opened_at < ?", to_text(before))
        for row in rows:
            studies.close_association(row["association_id"])
    return len(rows)
