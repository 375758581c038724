"""Tells that a store has come up to date, and lets go of the copies from before that nobody needs any more."""

from __future__ import annotations

import structlog

from dicomnode.store.database import Database
from dicomnode.store.upgrade import forget_copies

_log = structlog.get_logger(__name__)


def tell_upgrade(db: Database) -> None:
    """Log what the first connection to a store has done to its schema, and remove old copies; called at every start."""
    if db.kept_before is not None:
        _log.warning(
            "store brought up to date",
            copy_from_before=str(db.kept_before),
            remedy="`dicomnode store verify` compares every file with its digest",
        )
    try:
        for gone in forget_copies(db.path, db.clock()):
            _log.info("copy from before an upgrade removed", path=str(gone))
    except OSError as error:
        _log.error("old copy of the database not removed", path=error.filename, reason=error.strerror)
