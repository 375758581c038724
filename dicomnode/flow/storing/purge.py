"""Removes files of studies because an operator says so, and never by oversight what is still owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dicomnode.audit.message import this_person
from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.retention import Freed, Kept
from dicomnode.flow.audited.removal import tell_removals
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.operate import find
from dicomnode.flow.retention.removal import remove_given_up
from dicomnode.flow.retention.terms import terms
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention
from dicomnode.store.untold import Untold

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What became of one study: how much was removed, or would be, or why nothing."""

    study_instance_uid: str
    freed: Freed
    refused: str = ""


def age(text: str) -> timedelta:
    """An age such as 30d, 12h or 2w.

    Raises
    ------
    DicomNodeError
        If it is none.
    """
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal():
        raise DicomNodeError(f"age: found {text!r}, needed a number and h, d or w, such as 30d")
    return timedelta(**{_UNITS[unit]: int(number)})


def listing(db: Database, settings: Settings) -> list[Kept]:
    """Every study of which files are here, the oldest first, with what it owes."""
    rows, owing = Retention(db), terms(settings, db.clock())
    return [rows.kept(uid, owing) for uid in rows.oldest()]


def purge(
    db: Database,
    files: Files,
    settings: Settings,
    studies: Sequence[str],
    *,
    older_than: timedelta | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> list[Purged]:
    """Remove the files of these studies, or of all whose last work is older; what became of each.

    Parameters
    ----------
    reason
        Why also what is owed goes; empty: it stays. What is going on at this moment is never called off.
    """
    rows = Retention(db)
    uids = [find(db, one) for one in studies]
    if older_than is not None:
        before = db.clock() - older_than
        owing = terms(settings, db.clock())
        for uid in rows.quiet(before, before):
            kept = rows.kept(uid, owing)
            if max(filter(None, (kept.inputs_since, kept.results_since))) < before:
                uids.append(uid)
    return [_purged(db, files, settings, uid, reason, dry_run) for uid in dict.fromkeys(uids)]


def _purged(db: Database, files: Files, settings: Settings, uid: str, reason: str, dry_run: bool) -> Purged:
    rows, owing = Retention(db), terms(settings, db.clock())
    with db.transaction():
        kept = rows.kept(uid, owing)
        hindrance = rows.busy(uid, owing) if reason else kept.owes
        if hindrance or not kept.size_bytes:
            why = ", ".join(hindrance) or "none of its files is here"
            return Purged(study_instance_uid=uid, freed=Freed(), refused=why)
        if dry_run:
            freed = Freed(files=kept.objects + kept.results, size_bytes=kept.size_bytes)
            return Purged(study_instance_uid=uid, freed=freed)
        why = "by an operator"
        if kept.owes:
            why = f"by an operator, although {', '.join(kept.owes)}: {reason}"
            rows.give_up(uid, why)
        freed = rows.purge(uid, why, inputs=kept.objects > 0, results=kept.results > 0)
        Untold(db).add(uid, why, this_person().user_id)
        failpoint("purge.before_commit")
    failpoint("purge.after_commit")
    tell_removals(db, settings)
    remove_given_up(db, files)
    return Purged(study_instance_uid=uid, freed=freed)
