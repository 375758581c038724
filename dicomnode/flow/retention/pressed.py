"""Makes room on a full disk: the oldest finished studies go until no more than the low mark is in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

import structlog

from dicomnode.config import Settings
from dicomnode.domain.retention import Freed
from dicomnode.flow.retention.disk import Disk
from dicomnode.flow.retention.give_up import give_up
from dicomnode.flow.retention.terms import terms
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention

_log = structlog.get_logger(__name__)

#: While the disk is full of what is owed, it is asked this often whether something may go …
_PRESSED_EVERY = timedelta(seconds=10)

#: … and for no more than one part in so many of the time, however many studies there are: others wait meanwhile.
_PRESSED_PART = 50

#: Where as much was removed as was needed and the disk is as full as before, something else keeps the bytes, such as
#: hard links of a backup on the same disk: removing more soon would remove everything for nothing.
_VAIN_EVERY = timedelta(hours=1)


class Pressed:
    """Looks at the disk; see `MakeRoom` for the parameters."""

    def __init__(
        self, db: Database, files: Files, settings: Settings, disk: Callable[[Path], Disk], stopped: Callable[[], bool]
    ) -> None:
        self._db = db
        self._files = files
        self._settings = settings
        self._disk = disk
        self._stopped = stopped
        self._rows = Retention(db)
        self._next = db.clock()
        self._pause = timedelta()
        self._stuck = False

    def sweep(self, now: datetime) -> Freed:
        """Remove what has to give way, once more of the disk is in use than the high mark; what was removed."""
        if now < self._next and self._next - now <= self._pause:
            return Freed()
        table, disk = self._settings.retention, self._disk(self._files.folder)
        if not table.high_percent or disk.used_percent < table.high_percent:
            self._stuck = False
            return Freed()
        needed, began = disk.beyond(table.low_percent), monotonic()
        freed, owed = self._removed(now, disk, needed)
        left = self._disk(self._files.folder)
        if left.used_percent < table.high_percent:
            return freed
        self._pause = max(_PRESSED_EVERY, timedelta(seconds=_PRESSED_PART * (monotonic() - began)))
        if freed.size_bytes >= needed:
            # Where it got emptier all the same, it is being filled again meanwhile.
            self._pause = _VAIN_EVERY if left.used_bytes >= disk.used_bytes else timedelta()
        self._next = now + self._pause
        if self._pause:
            self._tell(left, freed, owed)
        return freed

    def _removed(self, now: datetime, disk: Disk, needed: float) -> tuple[Freed, Counter[str]]:
        """What was removed, and how many studies each reason keeps."""
        table, freed, owed = self._settings.retention, Freed(), Counter[str]()
        owing, before = terms(self._settings, now), now - timedelta(hours=table.least_hours)
        why = f"{disk.used_percent:.0f} % of the disk was in use"
        for uid in self._rows.oldest():
            if hindrance := self._rows.first_owed(uid, owing):
                owed[hindrance] += 1
                continue
            kept = self._rows.kept(uid, owing)
            if max(filter(None, (kept.inputs_since, kept.results_since))) > before:
                owed[f"younger than least_hours = {table.least_hours:g}"] += 1
                continue
            freed += give_up(self._db, self._files, uid, owing, lambda _kept: (True, True), why)
            if self._stopped() or freed.size_bytes >= needed:
                break
            if self._disk(self._files.folder).used_percent <= table.low_percent:
                break
        return freed, owed

    def _tell(self, left: Disk, freed: Freed, owed: Counter[str]) -> None:
        """Say once that there is no room to be made, and what keeps it."""
        if not self._stuck:
            reasons = (f"{count} studies: {why}" for why, count in owed.most_common())
            kept = "; ".join(reasons) or "none of it is a study of ours"
            used = round(left.used_percent, 1)
            _log.warning("the disk stays full", used_percent=used, removed=freed.words, reason=kept)
        self._stuck = True
