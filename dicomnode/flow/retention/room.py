"""Makes room: files of finished studies go when their time is over, the oldest of them when the disk fills up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.retention import Freed
from dicomnode.flow.audited.removal import tell_removals
from dicomnode.flow.retention.disk import Disk, disk_of
from dicomnode.flow.retention.give_up import give_up
from dicomnode.flow.retention.pressed import Pressed
from dicomnode.flow.retention.removal import remove_given_up
from dicomnode.flow.retention.terms import keep_days, outlived, shortest_days, terms
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention

_log = structlog.get_logger(__name__)

#: Keep times are days: so often is enough to ask whether one is over.
_AGED_EVERY = timedelta(minutes=5)


class MakeRoom:
    """Removes what nobody needs any more, beside the listener, on a connection of its own.

    Parameters
    ----------
    disk
        Tells how full the disk is that holds a folder.
    stopped
        Whether to leave the rest for the next time.
    """

    def __init__(
        self,
        db: Database,
        files: Files,
        settings: Settings,
        disk: Callable[[Path], Disk] = disk_of,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._db = db
        self._files = files
        self._settings = settings
        self._stopped = stopped
        self._rows = Retention(db)
        self._pressed = Pressed(db, files, settings, disk, stopped)
        self._next_aged = db.clock()
        self._put_off = ""

    def sweep(self) -> Freed:
        """Finish what was begun, remove what has outlived its time, then what has to give way; what was removed."""
        freed = Freed()
        try:
            remove_given_up(self._db, self._files)
            now = self._db.clock()
            if now >= self._next_aged or self._next_aged - now > _AGED_EVERY:
                freed += self._aged(now)
                self._next_aged = now + _AGED_EVERY
            freed += self._pressed.sweep(now)
            self._put_off = ""
        except OutOfResources as error:
            if str(error) != self._put_off:
                _log.error("making room put off", reason=str(error))
            self._put_off = str(error)
        finally:
            tell_removals(self._db, self._settings)
        return freed

    def _aged(self, now: datetime) -> Freed:
        """Remove the files that have been here for longer than they are kept."""
        freed, owing, shortest = Freed(), terms(self._settings, now), shortest_days(self._settings)
        inputs, results = (now - timedelta(days=days) if days else None for days in (shortest.inputs, shortest.results))
        either = max((one for one in (inputs, results) if one is not None), default=None)
        for uid in self._rows.quiet(either, results):
            if self._stopped():
                break
            if self._rows.first_owed(uid, owing):
                continue
            kept = self._rows.kept(uid, owing)
            over = partial(outlived, days=keep_days(self._settings, kept.rules), now=now)
            if any(over(kept)):
                freed += give_up(self._db, self._files, uid, owing, over, "its time is over")
        return freed
