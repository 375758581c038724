"""Says no while there is still room: how many objects a study may have, and how much may wait for its analysis."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic

from dicomnode.domain.errors import OutOfResources
from dicomnode.store.database import Database

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
    """

    instances_per_study: int = 0
    waiting_jobs: int = 0


class Pressure:
    """Counts what is held against `Room`; its caller lets one thread in at a time."""

    def __init__(self, db: Database, room: Room) -> None:
        self._db = db
        self._room = room
        self._instances: OrderedDict[str, int] = OrderedDict()
        self._waiting = 0
        self._counted_at = float("-inf")

    def require_room(self, study_instance_uid: str) -> None:
        """Refuse one more object of a study where there is no room for it.

        Raises
        ------
        OutOfResources
            The study has too many objects, or too many jobs wait; the sender may try again.
        """
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
            row = self._db.row("SELECT COUNT(*) AS n FROM instance WHERE study_instance_uid = ?", study_instance_uid)
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
