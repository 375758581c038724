"""Tests the store: its folder, its disk and its database."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from statistics import median

from dicomnode.config import Settings
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.retention.disk import disk_of
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import NETWORK_FILE_SYSTEMS, file_system
from dicomnode.store.inspection import Inspection, inspect

_GIB = 1024**3
_WANTED_FREE_BYTES = 10 * _GIB

#: Every object takes a file, and 300 slices are one series.
_WANTED_INODES = 100_000

#: What each object costs its sender, who waits for it: 300 slices at this speed take 15 s, as long as on a slow line.
_SLOW_SYNC_SECONDS = 0.05
_SYNCS, _SYNCED_BYTES = 5, 512 * 1024

#: The account of the units in systemd/.
_ACCOUNT = "dicomnode"

#: Clocks that are kept by NTP differ by milliseconds; what is further ahead was written under another time.
_AHEAD = timedelta(seconds=5)


def store_folder(settings: Settings) -> Iterator[Check]:
    """Whether the store can be written by this account alone, on a disk that suits it and has room."""
    folder = settings.store.folder
    subject = f"store {folder}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seconds = _sync_seconds(folder)
    except OSError as error:
        remedy = "make the folder, and give it to the user that runs the node"
        yield Check(subject=subject, verdict=Verdict.FAIL, found=str(error.strerror), remedy=remedy)
        return
    kind = file_system(folder)
    if kind in NETWORK_FILE_SYSTEMS:
        remedy = "put the store on a local disk: SQLite's locks do not hold on network file systems"
        yield Check(subject=subject, verdict=Verdict.FAIL, found=f"file system {kind}", remedy=remedy)
        return
    yield _permissions(folder, subject)
    yield from _room(settings, kind)
    verdict = Verdict.WARN if seconds > _SLOW_SYNC_SECONDS else Verdict.OK
    remedy = (
        "every object waits for it: use a faster disk, or one with a protected write cache" if verdict != "ok" else ""
    )
    found = f"{_SYNCED_BYTES >> 10} KiB are written and synced in {seconds * 1000:.1f} ms"
    yield Check(subject="store disk speed", verdict=verdict, found=found, remedy=remedy, seconds=seconds)


def _sync_seconds(folder: Path) -> float:
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(os.urandom(_SYNCED_BYTES))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken)


def _permissions(folder: Path, subject: str) -> Check:
    found = folder.stat()
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        remedy = f"studies are patient data: chmod 700 {folder}"
        return Check(subject=subject, verdict=Verdict.WARN, found="open to other accounts", remedy=remedy)
    if owner == "root" and _ACCOUNT in {one.pw_name for one in pwd.getpwall()}:
        remedy = f"the units run as {_ACCOUNT}: chown -R {_ACCOUNT}: {folder}"
        return Check(subject=subject, verdict=Verdict.WARN, found="belongs to root", remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found=f"belongs to {owner} alone")


def _room(settings: Settings, kind: str) -> Iterator[Check]:
    folder, table = settings.store.folder, settings.retention
    disk, inodes = disk_of(folder), os.statvfs(folder)
    free = shutil.disk_usage(folder).free
    found = f"{kind or 'unknown file system'}, {free / _GIB:.0f} GiB free of {disk.size_bytes / _GIB:.0f}"
    verdict, remedy = Verdict.OK, ""
    if 100 - disk.used_percent < table.reserve_percent:
        verdict, remedy = Verdict.FAIL, "senders hear A700: make room, or lower [retention] reserve_percent"
    elif free < _WANTED_FREE_BYTES:
        verdict, remedy = Verdict.WARN, "300 CT slices take 150 MB; leave room for the studies of a few days"
        found = found.replace(f"{free / _GIB:.0f} GiB free", f"{free / _GIB:.1f} GiB free")
    elif table.high_percent and disk.used_percent > table.high_percent:
        found += f", {disk.used_percent:.0f} % in use, above [retention] high_percent = {table.high_percent:g}"
        verdict, remedy = Verdict.WARN, "finished studies go now, the oldest first; give the store a larger disk"
    yield Check(subject="store disk", verdict=verdict, found=found, remedy=remedy)
    # Some file systems, as btrfs, make them as they are needed and tell 0.
    if inodes.f_files and inodes.f_favail < _WANTED_INODES:
        remedy = "every object is a file: make the file system anew with more inodes, or move the store"
        found = f"{inodes.f_favail} inodes free"
        yield Check(subject="store inodes", verdict=Verdict.WARN, found=found, remedy=remedy)


def database(settings: Settings, *, quick: bool) -> tuple[Inspection | None, list[Check]]:
    """What the database is, if it can be read, and whether it is sound, of this version and of the present."""
    subject, path = "store database", settings.store.folder / "node.db"
    try:
        found = inspect(path, thoroughly=not quick)
    except (DicomNodeError, OSError) as error:
        remedy = "stop the node; `dicomnode store verify` tells what is lost, docs/retention.md how a backup comes back"
        return None, [Check(subject=subject, verdict=Verdict.FAIL, found=str(error), remedy=remedy)]
    if found is None:
        return None, [Check(subject=subject, verdict=Verdict.OK, found="none yet; made at the first start")]
    told = f"schema {found.schema}, {found.size_bytes / (1 << 20):.1f} MiB"
    if found.faults:
        remedy = "stop the node and restore a backup (docs/retention.md)"
        return found, [Check(subject=subject, verdict=Verdict.FAIL, found="; ".join(found.faults), remedy=remedy)]
    if found.schema > found.known:
        remedy = "install the newer version again, or go back to a backup"
        text = f"{told}, written by a newer version; this one knows {found.known}"
        return found, [Check(subject=subject, verdict=Verdict.FAIL, found=text, remedy=remedy)]
    if not found.usable:
        remedy = "the next start brings it up to date and keeps a copy; until then what it says is not looked at"
        text = f"{told}, this version has {found.known}"
        return found, [Check(subject=subject, verdict=Verdict.WARN, found=text, remedy=remedy)]
    sound = "" if quick else ", sound"
    return found, [Check(subject=subject, verdict=Verdict.OK, found=f"{told}{sound}"), *_jump(found)]


def _jump(found: Inspection) -> Iterator[Check]:
    ahead = (found.last_event_at - utc_now()) if found.last_event_at else timedelta()
    if ahead > _AHEAD:
        text = f"the last event of the store is {ahead.total_seconds():.0f} s ahead of this clock"
        remedy = "set the clock by NTP; waiting times run anew from the present"
        yield Check(subject="clock and store", verdict=Verdict.WARN, found=text, remedy=remedy)
