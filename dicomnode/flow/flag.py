"""Takes down what a reader complains of."""

from __future__ import annotations

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.operate import find
from dicomnode.store.database import Database
from dicomnode.store.flags import Flags


def flag(db: Database, study: str, reason: str, by: str) -> str:
    """Record a complaint about the results of a study, and tell whoever has asked to be told; in words what was done.

    Parameters
    ----------
    reason
        What is wrong, in words.
    by
        Who says so.

    Raises
    ------
    DicomNodeError
        If no or several studies begin so, or the reason is empty.
    """
    uid = find(db, study)
    if not reason.strip():
        raise DicomNodeError("reason: found none, needed what is wrong with the results")
    rows = Flags(db)
    with db.transaction():
        rows.add(uid, reason.strip(), by.strip() or "somebody")
        models = rows.models(uid)
    about = ", ".join(f"{model} {version}".strip() for model, version in models)
    return f"study {uid}: flagged, {f'against {about}' if about else 'though no model has analysed it'}"
