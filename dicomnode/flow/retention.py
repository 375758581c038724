"""Makes room: files of finished studies go when their time is over, the oldest of them when the disk fills up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.retention import Freed, Kept, Terms
from dicomnode.flow.audited_removal import tell_removals
from dicomnode.flow.disk import Disk, disk_of
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.retention_removal import remove_given_up
from dicomnode.flow.retention_terms import keep_days, outlived, shortest_days, terms
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention
from dicomnode.store.untold import Untold

_log = structlog.get_logger(__name__)

#: Keep times are days: so often is enough to ask whether one is over.
_AGED_EVERY = timedelta(minutes=5)

#: While the disk is full of what is owed, it is asked this often whether something may go …
_PRESSED_EVERY = timedelta(seconds=10)

#: … and for no more than one part in so many of the time, however many studies there are: others wait meanwhile.
_PRESSED_PART = 50

#: Where as much was removed as was needed and the disk is as full as before, something else keeps the bytes, such as
#: hard links of a backup on the same disk: removing more soon would remove everything for nothing.
_VAIN_EVERY = timedelta(hours=1)


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
        self._disk = disk
        self._stopped = stopped
        self._rows = Retention(db)
        self._next_aged = self._next_pressed = db.clock()
        self._pause = timedelta()
        self._stuck = False
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
            if now >= self._next_pressed or self._next_pressed - now > self._pause:
                freed += self._pressed(now)
            self._put_off = ""
        except DicomNodeError as error:
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
            days = keep_days(self._settings, kept.rules)
            if any(outlived(kept, days, now)):
                freed += self._purge(uid, owing, partial(outlived, days=days, now=now), "its time is over")
        return freed

    def _pressed(self, now: datetime) -> Freed:
        """Once more of the disk is in use than the high mark, the oldest go until the low one is reached."""
        table, freed, disk = self._settings.retention, Freed(), self._disk(self._files.folder)
        if not table.high_percent or disk.used_percent < table.high_percent:
            self._stuck = False
            return freed
        needed, why = disk.beyond(table.low_percent), f"{disk.used_percent:.0f} % of the disk was in use"
        owing, before = terms(self._settings, now), now - timedelta(hours=table.least_hours)
        owed: Counter[str] = Counter()
        began = monotonic()
        for uid in self._rows.oldest():
            if hindrance := self._rows.first_owed(uid, owing):
                owed[hindrance] += 1
                continue
            kept = self._rows.kept(uid, owing)
            if max(filter(None, (kept.inputs_since, kept.results_since))) > before:
                owed[f"younger than least_hours = {table.least_hours:g}"] += 1
                continue
            freed += self._purge(uid, owing, lambda _kept: (True, True), why)
            if self._stopped() or freed.size_bytes >= needed:
                break
            if self._disk(self._files.folder).used_percent <= table.low_percent:
                break
        left = self._disk(self._files.folder)
        if left.used_percent < table.high_percent:
            return freed
        self._pause = max(_PRESSED_EVERY, timedelta(seconds=_PRESSED_PART * (monotonic() - began)))
        if freed.size_bytes >= needed:
            # Where it got emptier all the same, it is being filled again meanwhile.
            self._pause = _VAIN_EVERY if left.used_bytes >= disk.used_bytes else timedelta()
        self._next_pressed = now + self._pause
        if self._pause:
            self._tell(freed, owed)
        return freed

    def _purge(self, uid: str, owing: Terms, which: Callable[[Kept], tuple[bool, bool]], why: str) -> Freed:
        """Give up files of one study; nothing if it has come to owe something since it was looked at."""
        with self._db.transaction():
            kept = self._rows.kept(uid, owing)
            inputs, results = which(kept)
            if kept.owes or not (inputs or results):
                return Freed()
            inputs, results = inputs and kept.objects > 0, results and kept.results > 0
            freed = self._rows.purge(uid, why, inputs=inputs, results=results)
            Untold(self._db).add(uid, why)
            failpoint("purge.before_commit")
        failpoint("purge.after_commit")
        remove_given_up(self._db, self._files)
        _log.info("files removed", study_instance_uid=uid, why=why, files=freed.files, bytes=freed.size_bytes)
        return freed

    def _tell(self, freed: Freed, owed: Counter[str]) -> None:
        """Say once that there is no room to be made, and what keeps it."""
        if not self._stuck:
            reasons = (f"{count} studies: {why}" for why, count in owed.most_common())
            kept = "; ".join(reasons) or "none of it is a study of ours"
            used = self._disk(self._files.folder).used_percent
            _log.warning("the disk stays full", used_percent=round(used, 1), removed=freed.words, reason=kept)
        self._stuck = True
