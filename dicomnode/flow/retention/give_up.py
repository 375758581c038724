"""Gives up files of one study, unless it has come to owe something since it was looked at."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from dicomnode.domain.retention import Freed, Kept, Terms
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.retention.removal import remove_given_up
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention
from dicomnode.store.untold import Untold

_log = structlog.get_logger(__name__)


def give_up(
    db: Database, files: Files, uid: str, owing: Terms, which: Callable[[Kept], tuple[bool, bool]], why: str
) -> Freed:
    """Give up files of a study and remove them; what was given up.

    Parameters
    ----------
    which
        Whether the objects, and whether the results are to go.

    Raises
    ------
    OutOfResources
        If they cannot be removed now; they are the next time.
    """
    rows = Retention(db)
    with db.transaction():
        kept = rows.kept(uid, owing)
        inputs, results = which(kept)
        if kept.owes or not (inputs or results):
            return Freed()
        inputs, results = inputs and kept.objects > 0, results and kept.results > 0
        freed = rows.purge(uid, why, inputs=inputs, results=results)
        Untold(db).add(uid, why)
        failpoint("purge.before_commit")
    failpoint("purge.after_commit")
    remove_given_up(db, files)
    _log.info("files removed", study_instance_uid=uid, why=why, files=freed.files, bytes=freed.size_bytes)
    return freed
