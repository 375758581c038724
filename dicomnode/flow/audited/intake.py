"""The intake as the audit trail sees it: a message for each study of an association, and for who was not let in."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Protocol

from dicomnode.audit.event import Outcome, Participant
from dicomnode.audit.file import Trail
from dicomnode.audit.message import NODE_AUTHENTICATION, RESTRICTED_FUNCTION, alert, other_node
from dicomnode.domain.errors import OutOfResources, Refused
from dicomnode.domain.network import Association, TurnedAway
from dicomnode.domain.study import Arrival
from dicomnode.flow.audited.transfer import Brought, brought_by, caller_of, told_of

#: An association that goes on for longer is told of meanwhile; some scanners keep theirs for days.
_TELL_SECONDS = 600.0

#: Studies of one association that are told of together at the latest; the memory they take is bounded.
_MOST_STUDIES = 1000


class Intake(Protocol):
    """What `receive.storing.Intake` asks for."""

    def opened(self, association: Association) -> None:
        """An association was established."""

    def accept(self, arrival: Arrival) -> None:
        """Keep the object, or raise `Refused`."""

    def closed(self, association: Association) -> None:
        """The association has ended."""


@dataclass(slots=True)
class _Pending:
    since: float = field(default_factory=monotonic)
    counts: dict[Brought, Counter[str]] = field(default_factory=dict)


class AuditedIntake:
    """`intake`, recorded in `trail`. Thread-safe as it is.

    Parameters
    ----------
    here
        This node.
    associations
        Whether those that are accepted are recorded too; they always are where the trail is `required`, so that none
        is accepted that could not be told of.
    """

    def __init__(self, intake: Intake, trail: Trail, here: Participant, *, associations: bool = False) -> None:
        self._intake, self._trail, self._here = intake, trail, here
        self._associations = associations
        self._lock = Lock()
        self._pending: dict[str, _Pending] = {}

    def opened(self, association: Association) -> None:
        """An association was established; `OutOfResources` where that has to be recorded and cannot be."""
        if self._associations:
            text = f"association for {association.called_aet} accepted"
            caller = caller_of(association)
            self._trail.record(alert(NODE_AUTHENTICATION, self._here, caller, text, Outcome.SUCCESS))
        self._intake.opened(association)

    def accept(self, arrival: Arrival) -> None:
        """Keep the object, and count it; what is refused is counted as that."""
        try:
            self._intake.accept(arrival)
        except Refused as refusal:
            self._count(arrival, f"refused with {refusal.status:04X}: {refusal}")
            raise
        self._count(arrival, "")

    def closed(self, association: Association) -> None:
        """The association has ended: what it brought is told, and only then is it struck off the books.

        A kill in between has the next start tell of it once more; the other way round nobody would.
        """
        with self._lock:
            pending = self._pending.pop(association.association_id, None)
        if pending is not None:
            self._tell(association, pending)
        self._intake.closed(association)

    def turned_away(self, caller: TurnedAway) -> None:
        """Somebody was not let in: it proved no certificate, or is nobody that this node knows."""
        far = other_node(caller.calling_aet, caller.address, requestor=True)
        kind = RESTRICTED_FUNCTION if caller.calling_aet else NODE_AUTHENTICATION
        again = f" ({caller.times} times since the last message)" if caller.times > 1 else ""
        with suppress(OutOfResources):
            self._trail.record(alert(kind, self._here, far, f"{caller.reason}{again}", Outcome.SERIOUS))

    def _count(self, arrival: Arrival, failure: str) -> None:
        key = brought_by(arrival, failure)
        association, due = arrival.association, None
        with self._lock:
            pending = self._pending.setdefault(association.association_id, _Pending())
            pending.counts.setdefault(key, Counter())[arrival.sop_class_uid] += 1
            if monotonic() - pending.since > _TELL_SECONDS or len(pending.counts) >= _MOST_STUDIES:
                due = self._pending.pop(association.association_id)
        if due is not None:
            self._tell(association, due)

    def _tell(self, association: Association, pending: _Pending) -> None:
        caller = caller_of(association)
        events = [told_of(caller, self._here, key, counts) for key, counts in pending.counts.items()]
        # It has happened, and its sender was told so; the trail complains by itself.
        with suppress(OutOfResources):
            self._trail.record(*events)
