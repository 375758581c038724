"""Says no while there is still room: how many objects a study may have, and how much may wait for its analysis."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.retention.disk import Disk, disk_of
from dicomnode.store.database import Database
from dicomnode.store.files import Files

#: The counts of so many studies are remembered: more than are being received at a time.
_REMEMBERED_STUDIES = 256

#: Jobs are counted this often: they come and go by the minute, objects by the millisecond.
_COUNTED_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much is taken in.

    Attributes
    ----------
    instances_per_study
        Objects of one study, whatever they count for; 0 for no limit.
    waiting_jobs
        Jobs that wait for their turn; 0 for no limit.
    reserve_percent
        Of the disk that is left for the database and the results of what is here; 0 for none.
    """

    instances_per_study: int = 0
    waiting_jobs: int = 0
    reserve_percent: float = 0.0


def require_file(files: Files, path: str) -> None:
    """Refuse an object whose file went while it was being taken in; asked in the transaction that counts it.

    Raises
    ------
    OutOfResources
        It was known when it came and was removed since to make room, or was removed under the same name.
    """
    if not path or not files.has(path):
        raise OutOfResources("the object was being removed when it came again; it is taken the next time")


class Pressure:
    """Counts what is held against `Room`; its caller lets one thread in at a time."""

    def __init__(self, db: Database, room: Room, disk: Callable[[Path], Disk] = disk_of) -> None:
        self._db = db
        self._room = room
        self._folder = db.path.parent
        self._disk = disk
        self._instances: OrderedDict[str, int] = OrderedDict()
        self._waiting = 0
        self._counted_at = float("-inf")

    def require_room(self, study_instance_uid: str) -> None:
        """Refuse one more object of a study where there is no room for it.

        Raises
        ------
        OutOfResources
            The study has too many objects, too many jobs wait, or the disk is nearly full; the sender may try again.
        """
        reserve = self._room.reserve_percent
        if reserve and (left := 100 - self._disk(self._folder).used_percent) < reserve:
            raise OutOfResources(f"{left:.1f} % of the disk is left, reserve_percent = {reserve:g} is kept back")
        most = self._room.waiting_jobs
        if most and self._jobs_waiting() >= most:
            raise OutOfResources(f"{self._waiting} jobs are waiting, the limit is {most}")
        most = self._room.instances_per_study
        if most and self._instances_of(study_instance_uid) >= most:
            # Counted anew before the next refusal, since objects may be deleted.
            del self._instances[study_instance_uid]
            raise OutOfResources(f"the study has {most} objects, the limit")

    def added(self, study_instance_uid: str) -> None:
        """Note that a study has one object more."""
        if study_instance_uid in self._instances:
            self._instances[study_instance_uid] += 1

    def _instances_of(self, study_instance_uid: str) -> int:
        # Counting takes as long as the study is large, so it is not done with every object.
        if study_instance_uid not in self._instances:
            row = self._db.row(
                "SELECT COUNT(*) AS n FROM instance WHERE study_instance_uid = ? AND purged_at = ''", study_instance_uid
            )
            self._instances[study_instance_uid] = int(row["n"]) if row else 0
            if len(self._instances) > _REMEMBERED_STUDIES:
                self._instances.popitem(last=False)
        self._instances.move_to_end(study_instance_uid)
        return self._instances[study_instance_uid]

    def _jobs_waiting(self) -> int:
        if monotonic() - self._counted_at > _COUNTED_SECONDS:
            row = self._db.row("SELECT COUNT(*) AS n FROM job WHERE state = 'waiting'")
            self._waiting, self._counted_at = int(row["n"]) if row else 0, monotonic()
        return self._waiting
