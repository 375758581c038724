"""The scratch area of fetched priors: what may come in, within which limits, and what goes again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Lock

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import NotAuthorised, OutOfResources
from dicomnode.domain.study import Arrival
from dicomnode.flow.failpoint import failpoint
from dicomnode.flow.retention.removal import unheld
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.scratch import Scratch
from dicomnode.store.studies import Studies

_log = structlog.get_logger(__name__)

_GIB = 1 << 30

#: A file without a row is what a crash left, not what is being written: keeping one object never takes that long.
_ORPHAN_SECONDS = 3600.0


class ScratchArea:
    """Keeps what a peer sends because this node asked for it. Thread-safe, on a connection of its own."""

    def __init__(self, db: Database, files: Files, settings: Settings) -> None:
        self._db = db
        self._files = files
        self._limits = settings.priors
        self._aet = settings.node.aet
        self._scratch = Scratch(db, files)
        self._studies = Studies(db, files)
        self._lock = Lock()

    def takes(self, arrival: Arrival) -> bool:
        """Whether an arrival is the answer to a C-MOVE of ours: our AE title, and a series that we asked for.

        A peer that leaves out the Move Originator (it is optional, PS3.7 9.1.1.1) is believed for a series that it is
        being asked for just now.
        """
        study, series = arrival.study_instance_uid, arrival.series_instance_uid
        if arrival.move_originator not in {"", self._aet}:
            return False
        with self._lock:
            if arrival.move_originator:
                return self._scratch.asked(study, series)
            return self._scratch.expected(study, series, arrival.association.peer)

    def keep(self, arrival: Arrival) -> None:
        """Keep an object durably; returning means that Success may be answered.

        Raises
        ------
        OutOfResources
            The area is full of what is still needed, or the disk is about to be.
        NotAuthorised
            Nobody asked for this series.
        """
        with self._lock:
            if self._scratch.has(arrival):
                return
            if not self._scratch.asked(arrival.study_instance_uid, arrival.series_instance_uid):
                raise NotAuthorised(f"series {arrival.series_instance_uid}: came as a prior, but was not asked for")
            self._require_room(arrival.size_bytes)
        uid, sop, digest = arrival.study_instance_uid, arrival.sop_instance_uid, arrival.digest
        path = self._files.keep_prior(uid, sop, digest, arrival.path)
        failpoint("scratch.before_commit")
        with self._lock, self._db.transaction():
            # The series may have been cleaned up meanwhile; its file is then an orphan.
            if not self._scratch.asked(arrival.study_instance_uid, arrival.series_instance_uid):
                raise OutOfResources(f"series {arrival.series_instance_uid}: no longer kept as a prior")
            self._studies.note_carrier(arrival)
            self._scratch.add(arrival, path)
        failpoint("scratch.after_commit")

    def clean(self) -> None:
        """Remove what nothing needs any more and what a crash left; not while a backup holds it in its place."""
        with self._lock, unheld(self._files) as free:
            if not free:
                return
            before = self._db.clock() - timedelta(hours=self._limits.keep_hours)
            removed = [path for uid in self._scratch.unneeded(before) for path in self._remove(uid)]
            for folder in (self._files.folder / "priors").iterdir():
                rows = self._scratch.files(folder.name) if folder.is_dir() else set()
                for path in folder.iterdir() if folder.is_dir() else [folder]:
                    name = str(path.relative_to(self._files.folder))
                    with suppress(FileNotFoundError):
                        if name not in rows and path.stat().st_mtime < time.time() - _ORPHAN_SECONDS:
                            path.unlink()
                            removed.append(name)
        if removed:
            _log.info("priors cleaned up", files=len(removed))

    def _require_room(self, size_bytes: int) -> None:
        most, spare = self._limits.maximum_gib * _GIB, self._limits.leave_free_gib * _GIB
        idle = iter(self._scratch.unneeded())
        while True:
            over = self._scratch.size_bytes() + size_bytes > most
            if not over and shutil.disk_usage(self._files.folder).free - size_bytes >= spare:
                return
            uid = next(idle, None)
            if uid is None:
                limit = f"maximum_gib = {most / _GIB:g}" if over else f"leave_free_gib = {spare / _GIB:g}"
                raise OutOfResources(f"priors: no room within {limit}")
            self._remove(uid)

    def _remove(self, study_instance_uid: str) -> Sequence[str]:
        """Rows first: a file without a row is cleaned up later, a row without a file would be believed."""
        with self._db.transaction():
            paths = self._scratch.remove(study_instance_uid)
        for path in paths:
            self._files.path(path).unlink(missing_ok=True)
        with suppress(OSError):
            (self._files.folder / "priors" / study_instance_uid).rmdir()
        return paths
