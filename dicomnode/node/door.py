"""Lets callers in from the first moment, and asks them to try later until the store can take what they bring."""

from __future__ import annotations

from threading import Lock

from dicomnode.domain.commitment import Report, Request
from dicomnode.domain.errors import OutOfResources
from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.receive.commitment import Desk
from dicomnode.receive.storing import Intake

_LATER = "the store is being made ready; try again later"


class Door:
    """An intake before which callers wait. Thread-safe: every association calls from its own thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._intake: Intake | None = None
        self._waiting: dict[str, Association] = {}

    def open(self, intake: Intake) -> None:
        """From now on everything goes to `intake`, which is told of the associations that are open already."""
        with self._lock:
            for association in self._waiting.values():
                intake.opened(association)
            self._waiting.clear()
            self._intake = intake

    def opened(self, association: Association) -> None:
        """A peer has an association open."""
        with self._lock:
            if self._intake is None:
                self._waiting[association.association_id] = association
                return
        self._intake.opened(association)

    def closed(self, association: Association) -> None:
        """The association is gone."""
        with self._lock:
            if self._intake is None:
                self._waiting.pop(association.association_id, None)
                return
        self._intake.closed(association)

    def accept(self, arrival: Arrival) -> None:
        """Keep an object durably.

        Raises
        ------
        OutOfResources
            There is nothing to keep it in yet, or the intake says so.
        """
        if self._intake is None:
            raise OutOfResources(_LATER)
        self._intake.accept(arrival)


class LateDesk:
    """A desk for storage commitment at which nobody is served until there is one: no context is accepted for it."""

    def __init__(self) -> None:
        self.desk: Desk | None = None

    def roles(self, peer: str) -> tuple[bool, bool]:
        """As `Desk.roles`; neither until there is one."""
        return self.desk.roles(peer) if self.desk else (False, False)

    def asked(self, association: Association, request: Request) -> int:
        """As `Desk.asked`."""
        return self._served().asked(association, request)

    def answer(self, pledge_id: int) -> Report | None:
        """As `Desk.answer`."""
        return self._served().answer(pledge_id)

    def told(self, pledge_id: int, status: int | None) -> None:
        """As `Desk.told`."""
        self._served().told(pledge_id, status)

    def reported(self, association: Association, report: Report) -> bool:
        """As `Desk.reported`."""
        return self._served().reported(association, report)

    def _served(self) -> Desk:
        if self.desk is None:
            raise OutOfResources(_LATER)
        return self.desk
