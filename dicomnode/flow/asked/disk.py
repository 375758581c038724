"""How full the disk is, how long files are kept, and which studies' files go next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from dicomnode.config import Settings
from dicomnode.domain.retention import Kept
from dicomnode.flow.retention.disk import disk_of
from dicomnode.flow.retention.terms import keep_days, terms
from dicomnode.store.database import Database
from dicomnode.store.retention import Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptShown:
    """A study of which files are here; `owes` says in words what keeps them from going, `goes_at` when they may."""

    study_instance_uid: str
    state: str
    objects: int
    results: int
    size_bytes: int
    worked_at: str
    goes_at: str
    owes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskShown:
    """The disk of the store, and the marks of `[retention]`: percent in use, and the percent kept in reserve."""

    used_bytes: int
    free_bytes: int
    used_percent: float
    high_percent: float
    low_percent: float
    reserve_percent: float
    inputs_days: float
    results_days: float
    oldest: tuple[KeptShown, ...]


def disk_shown(settings: Settings, db: Database, most: int) -> DiskShown:
    """The disk, and the studies that have been here without work for longest, at most so many."""
    disk, table = disk_of(settings.store.folder), settings.retention
    rows, owing = Retention(db), terms(settings, db.clock())
    kept = [rows.kept(uid, owing) for uid in islice(rows.oldest(), most)]
    return DiskShown(
        used_bytes=disk.used_bytes, free_bytes=disk.free_bytes, used_percent=round(disk.used_percent, 1),
        high_percent=table.high_percent, low_percent=table.low_percent, reserve_percent=table.reserve_percent,
        inputs_days=table.inputs_days, results_days=table.results_days,
        oldest=tuple(_shown(settings, one) for one in kept),
    )  # fmt: skip


def _shown(settings: Settings, kept: Kept) -> KeptShown:
    days = keep_days(settings, kept.rules)
    times = [_after(kept.inputs_since, days.inputs), _after(kept.results_since, days.results)]
    worked = max((one for one in (kept.inputs_since, kept.results_since) if one is not None), default=None)
    return KeptShown(
        study_instance_uid=kept.study_instance_uid, state=kept.state, objects=kept.objects, results=kept.results,
        size_bytes=kept.size_bytes, worked_at=worked.isoformat() if worked else "",
        goes_at=min((one.isoformat() for one in times if one is not None), default=""), owes=kept.owes,
    )  # fmt: skip


def _after(since: datetime | None, days: float | None) -> datetime | None:
    """When so many days are over; 0 is without limit."""
    return since + timedelta(days=days) if since is not None and days else None
