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
    given_up, why
        How many of those that are not here an operator waits for no more, and why; they are not missing.
    """

    missing: int
    here: int
    new: int
    given_up: int
    why: str


#: Removed, and not here in another form in the meantime.
_GONE = (
    "gone.study_instance_uid = :uid AND gone.purged_at <> '' AND NOT EXISTS (SELECT 1 FROM instance AS one"
    " WHERE one.study_instance_uid = :uid AND one.sop_instance_uid = gone.sop_instance_uid AND one.purged_at = '')"
)


def returned(db: Database, study_instance_uid: str) -> Returned:
    """How much of a study is here again; an object that came in another form in the meantime is not missing."""
    gone = db.row(
        "SELECT COUNT(DISTINCT CASE WHEN given_up = '' THEN sop_instance_uid END) AS missing,"  # noqa: S608 - ours
        " COUNT(DISTINCT CASE WHEN given_up <> '' THEN sop_instance_uid END) AS given_up, MAX(given_up) AS why"
        f" FROM instance AS gone WHERE {_GONE}",
        uid=study_instance_uid,
    )
    here = db.row(
        "SELECT COUNT(*) AS here, COALESCE(SUM(returned = 0), 0) AS new FROM instance"
        " WHERE study_instance_uid = ? AND standing = 'current'",
        study_instance_uid,
    )
    assert gone is not None and here is not None
    return Returned(
        missing=gone["missing"], here=here["here"], new=here["new"], given_up=gone["given_up"], why=gone["why"] or ""
    )


def wait_no_more(db: Database, study_instance_uid: str, why: str) -> None:
    """Let objects that were removed and are not back count no more; expects to be called inside a transaction."""
    db.execute(
        f"UPDATE instance AS gone SET given_up = :why WHERE {_GONE}",  # noqa: S608 - words of ours
        uid=study_instance_uid, why=why,
    )  # fmt: skip
