"""What is wrong with the node as a whole at this moment, of which no event tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.domain.notice import Topic
from dicomnode.flow.drift import drifts
from dicomnode.flow.preflight.tls import certificates
from dicomnode.flow.retention.disk import Disk, disk_of
from dicomnode.flow.verdict import Verdict
from dicomnode.store.database import Database
from dicomnode.store.notices import Circumstances

#: A peer is silent after so many failures in a row: with the usual pauses from 5 s to 15 min, twenty minutes.
_SILENT_FAILURES = 8

#: Where no mark of retention says otherwise, a disk is watched from here on.
_HIGH_PERCENT = 85.0


def conditions(
    db: Database, settings: Settings, topics: tuple[Topic, ...], disk: Callable[[Path], Disk] = disk_of
) -> Iterator[tuple[str, Topic, str]]:
    """What of these topics is wrong: what tells it from others, its topic, and what is said of it."""
    if Topic.DISK in topics:
        try:
            yield from _disk(settings, disk(settings.store.folder))
        except OSError as error:
            words = error.strerror or type(error).__name__
            yield "disk unknown", Topic.DISK, f"the disk of the store cannot be asked how full it is: {words}"
    if Topic.CERTIFICATE in topics:
        for one in certificates(settings, db.clock()):
            if one.verdict is not Verdict.OK:
                # One that has ended is another condition than one that is about to end.
                yield f"{one.verdict} {one.subject}", Topic.CERTIFICATE, f"{one.subject}: {one.found}; {one.remedy}"
    if Topic.PEER in topics:
        for peer, next_try_at in Circumstances(db).silent(_SILENT_FAILURES):
            text = f"{peer} does not answer and is tried again at {next_try_at[:19]}Z; what it is owed waits"
            yield f"peer {peer}", Topic.PEER, text
    if Topic.DRIFT in topics:
        for found in drifts(db, settings.drift):
            where = f"model {found.origin.model} on {found.origin.scanner}"
            for change in found.changes:
                yield f"{where}: {change.figure}", Topic.DRIFT, f"{where}: {change.text}"


def _disk(settings: Settings, disk: Disk) -> Iterator[tuple[str, Topic, str]]:
    """The disk that is full, or fills although files are removed."""
    full = 100.0 - settings.retention.reserve_percent
    # Half way between the mark from which on files go and the end: they do not go fast enough, or are all owed.
    late = ((settings.retention.high_percent or _HIGH_PERCENT) + full) / 2
    used = disk.used_percent
    if used >= full:
        text = f"the disk of the store is {used:.1f} % full, and nothing is taken in any more (A700)"
        yield "disk full", Topic.DISK, text
    elif used >= late:
        text = f"the disk of the store is {used:.1f} % full; from {full:g} % on nothing is taken in"
        yield "disk filling", Topic.DISK, text
