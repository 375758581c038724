"""Compares every file of the store with the digest under which it was kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dicomnode.flow.storing.digest import digest_of
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.holdings import Held, Holding, Holdings

#: What is being written has no row yet; writing never takes that long.
_STRAY_SECONDS = 3600.0


class Damage(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    STRAY = "stray"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """One file that is not as it should be, and what to do about it."""

    damage: Damage
    path: str
    study_instance_uid: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was read, and what was wrong."""

    files: int
    size_bytes: int
    damaged: tuple[Damaged, ...]


def verify(db: Database, files: Files, tell: Callable[[str, int, int], None]) -> Verified:
    """Read every file; `tell` hears how far it is. The node may run meanwhile."""
    holdings = Holdings(db, files)
    count, size, damaged = 0, 0, []
    total = holdings.count()
    for held in holdings.all():
        damage = _damage(files, held)
        # What went meanwhile, to make room or because another took its place, is not missing.
        if damage is not None and holdings.still(held):
            damaged.append(_told(damage, held))
        count, size = count + 1, size + held.size_bytes
        tell("files", count, max(total, count))
    for path in holdings.strays(time.time() - _STRAY_SECONDS):
        remedy = "no row names it: a crash left it, or another program put it there; it can be deleted"
        study = path.split("/")[1] if path.count("/") == 2 else ""
        damaged.append(Damaged(damage=Damage.STRAY, path=path, study_instance_uid=study, remedy=remedy))
    return Verified(files=count, size_bytes=size, damaged=tuple(damaged))


def _damage(files: Files, held: Held) -> Damage | None:
    try:
        found = digest_of(files.path(held.path), held)
    except FileNotFoundError:
        return Damage.MISSING
    except OSError:
        return Damage.UNREADABLE
    return None if found == held.digest else Damage.CHANGED


def _told(damage: Damage, held: Held) -> Damaged:
    uid = held.study_instance_uid
    remedy = {
        Holding.INPUT: f'`dicomnode store purge {uid} --even-if-owed "a file is damaged"`, then send the study again',
        Holding.RESULT: f"what was sent is as it was made; `dicomnode rerun {uid}` makes a new result under new UIDs",
        Holding.PRIOR: "it goes after keep_hours of [priors] and is fetched again when it is needed",
    }[held.holding]
    return Damaged(damage=damage, path=held.path, study_instance_uid=uid, remedy=remedy)
