"""What has come back of a study whose objects had been removed to make room."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Objects of a study that were removed: how many are missing still, and what is here instead.

    Attributes
    ----------
    new
        How many of the objects that count were never here before.
    """

    missing: int
    here: int
    new: int


def returned(db: Database, study_instance_uid: str) -> Returned:
    """How much of a study is here again; an object that came in another form in the meantime is not missing."""
    row = db.row(
        "SELECT (SELECT COUNT(DISTINCT sop_instance_uid) FROM instance AS gone WHERE study_instance_uid = :uid"
        "  AND purged_at <> '' AND NOT EXISTS (SELECT 1 FROM instance AS one WHERE one.study_instance_uid = :uid"
        "   AND one.sop_instance_uid = gone.sop_instance_uid AND one.purged_at = '')) AS missing,"
        " COUNT(*) AS here, COALESCE(SUM(returned = 0), 0) AS new FROM instance"
        " WHERE study_instance_uid = :uid AND standing = 'current'",
        uid=study_instance_uid,
    )
    assert row is not None
    return Returned(missing=row["missing"], here=row["here"], new=row["new"])
