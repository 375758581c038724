"""Copies database and files of a running node, so that the copy is a store as it was at one moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.retention.removal import held_in_place
from dicomnode.flow.storing.target import claimed
from dicomnode.flow.storing.trail import copy_trail
from dicomnode.store.database import Database, remove_log
from dicomnode.store.files import Files, is_kept, mapped_errors, sync
from dicomnode.store.holdings import Held, Holdings


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What a backup did: files that were new to it, that it had, that it no longer needs, and that nobody can find."""

    copied: int = 0
    had: int = 0
    dropped: int = 0
    missing: int = 0


def backup(
    db: Database, files: Files, target: Path, tell: Callable[[str, int, int], None], trail: Path | None = None
) -> BackedUp:
    """Bring the backup in `target` up to date; a killed one leaves the last whole one usable.

    Most files are copied first, while the node goes on. Then every file is held in its place, the database is copied,
    and so is what its rows name and is not there yet. The new database takes the place of the old one last.

    Parameters
    ----------
    trail
        Folder of the audit trail, of which a copy goes with it.

    Raises
    ------
    DicomNodeError
        If `target` lies in the store or is no backup of it, or another backup writes there.
    OutOfResources
        If the disk of either is full or fails.
    """
    if target.resolve().is_relative_to(files.folder.resolve()):
        raise DicomNodeError(f"backup {target}: lies in the store {files.folder}; name a folder outside")
    with mapped_errors(), claimed(target, Holdings(db, files).store()):
        first, part, final = _copied(db, files, target, tell, "files"), target / "node.db.part", target / "node.db"
        with held_in_place(files):
            db.copy_to(part)
            with closing(Database(part)) as copy:
                done = _copied(copy, files, target, tell, "files since")
        if trail is not None and trail.is_dir():
            copy_trail(trail, target / "audit")
        # From here on the new database counts; before, the old one did with all of its files.
        remove_log(final)
        sync(target)
        part.rename(final)
        sync(target)
        with closing(Database(final)) as copy:
            strays = Holdings(copy, Files(target)).strays(float("inf"))
            dropped = [name for name in strays if is_kept(name)]
        Files(target).remove(dropped)
    copied = first.copied + done.copied
    return BackedUp(copied=copied, had=max(0, done.had - first.copied), dropped=len(dropped), missing=done.missing)


def _copied(db: Database, files: Files, target: Path, tell: Callable[[str, int, int], None], stage: str) -> BackedUp:
    """Put every file that rows name into `target`; a hard link where that is on the same disk, since none changes."""
    copied = had = missing = 0
    folders: set[Path] = set()
    holdings = Holdings(db, files)
    total = holdings.count()
    for number, held in enumerate(holdings.all(), start=1):
        tell(stage, number, max(total, number))
        final = target / held.path
        if _has(final, held):
            had += 1
        elif _put(files.path(held.path), final):
            copied += 1
            folders.add(final.parent)
        else:
            missing += 1
    for folder in folders:
        sync(folder)
        sync(folder.parent)
    return BackedUp(copied=copied, had=had, missing=missing)


def _has(final: Path, held: Held) -> bool:
    # The name holds the digest, and a file gets its name when it is whole; a size costs nothing to ask.
    try:
        return final.stat().st_size == held.size_bytes
    except FileNotFoundError:
        return False


def _put(source: Path, final: Path) -> bool:
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = final.with_name(f".{final.name[:200]}.part")
    part.unlink(missing_ok=True)
    try:
        if source.stat().st_dev == final.parent.stat().st_dev:
            os.link(source, part)
        else:
            shutil.copyfile(source, part)
            sync(part)
    except FileNotFoundError:
        return False
    part.replace(final)
    return True
