"""Storage commitment on the listener: requests of modalities, and the reports of archives (PS3.4 Annex J)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import structlog
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.presentation import PresentationContext

from dicomnode.domain.commitment import (
    ALL_KEPT,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    SOME_FAILED,
    Malformed,
    Report,
    Request,
    read_report,
    read_request,
)
from dicomnode.domain.decoding import DATA_SET_FAULTS
from dicomnode.domain.errors import NotAuthorised, OutOfResources, Refused
from dicomnode.domain.network import Association
from dicomnode.receive.acceptor import NodeAssociation
from dicomnode.receive.commitment_report import report_while_open

log = structlog.get_logger(__name__)

Read = TypeVar("Read")

_SUCCESS = 0x0000

#: Status codes of N-ACTION and N-EVENT-REPORT (PS3.7 10.1.1.1.8 and 10.1.4.1.10).
_NO_SUCH_INSTANCE, _NO_SUCH_EVENT, _INVALID_VALUE, _NO_SUCH_CLASS, _NO_SUCH_ACTION, _NO_RESOURCES = (
    0x0112, 0x0113, 0x0115, 0x0118, 0x0123, 0x0213,
)  # fmt: skip


class InvalidValue(Refused):
    """A value of the request or report that this node knows nothing of (PS3.7 C.5.4)."""

    status = _INVALID_VALUE


class Desk(Protocol):
    """What the listener hands requests and reports to; called from one thread per association."""

    def roles(self, peer: str) -> tuple[bool, bool]:
        """Whether a peer may ask this node to commit, and whether it is asked by this node and so may report."""

    def asked(self, association: Association, request: Request) -> int:
        """Keep a request durably before returning, or raise `Refused`; a name for it."""

    def answer(self, pledge_id: int) -> Report | None:
        """The report on a request, once it is known; nobody else tells the peer for a while then."""

    def told(self, pledge_id: int, status: int | None) -> None:
        """What the peer answered to the report; None: it was not reported here, and is to be reported elsewhere."""

    def reported(self, association: Association, report: Report) -> bool:
        """Keep a report durably before returning; False for one that this peer was never asked for."""


#: Runs what may fail; what went wrong as the refusal to answer with.
Attempt = Callable[[Callable[[], None]], Refused | None]


def context_for(desk: Desk, peer: str) -> PresentationContext | None:
    """The presentation context to accept from a peer, with the roles that it may have; None for none."""
    may_ask, may_report = desk.roles(peer) if peer else (False, False)
    if not may_ask and not may_report:
        return None
    context = PresentationContext()
    context.abstract_syntax = PUSH_MODEL
    context.transfer_syntax = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    context.scu_role, context.scp_role = may_ask, may_report
    return context


def handlers(desk: Desk, attempt: Attempt) -> list[evt.EventHandlerType]:
    """What answers N-ACTION and N-EVENT-REPORT."""

    def on_action(event: evt.Event) -> tuple[int, Dataset | None]:
        request, assoc = event.request, event.assoc
        assert isinstance(request, N_ACTION) and isinstance(assoc, NodeAssociation)
        association = assoc.opened
        assert association is not None
        fault = _misaddressed(request.RequestedSOPClassUID, request.RequestedSOPInstanceUID)
        if not fault and request.ActionTypeID != REQUEST:
            fault = _NO_SUCH_ACTION
        if fault:
            log.warning("commitment_refused", status=f"{fault:04X}", action_type=request.ActionTypeID)
            return fault, None

        def act() -> None:
            if not desk.roles(association.peer)[0]:
                raise NotAuthorised(f"{association.peer or association.calling_aet} may not ask for storage commitment")
            pledge_id = desk.asked(association, _decoded(lambda: read_request(event.action_information)))
            context_id = event.context.context_id
            assoc.afterwards = lambda: report_while_open(
                assoc, context_id, lambda: desk.answer(pledge_id), lambda status: desk.told(pledge_id, status)
            )

        return _status(attempt(act), "commitment_refused"), None

    def on_report(event: evt.Event) -> tuple[int, Dataset | None]:
        request, assoc = event.request, event.assoc
        assert isinstance(request, N_EVENT_REPORT) and isinstance(assoc, NodeAssociation)
        association = assoc.opened
        assert association is not None
        fault = _misaddressed(request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        if not fault and request.EventTypeID not in (ALL_KEPT, SOME_FAILED):
            fault = _NO_SUCH_EVENT
        if fault:
            log.warning("commitment_report_refused", status=f"{fault:04X}", event_type=request.EventTypeID)
            return fault, None

        def act() -> None:
            report = _decoded(lambda: read_report(event.event_information))
            if not desk.reported(association, report):
                raise InvalidValue(f"transaction {report.transaction_uid}: {association.peer} was never asked that")

        return _status(attempt(act), "commitment_report_refused"), None

    return [(evt.EVT_N_ACTION, on_action), (evt.EVT_N_EVENT_REPORT, on_report)]


def _misaddressed(sop_class_uid: object, sop_instance_uid: object) -> int:
    if sop_class_uid != PUSH_MODEL:
        return _NO_SUCH_CLASS
    return 0 if sop_instance_uid == PUSH_MODEL_INSTANCE else _NO_SUCH_INSTANCE


def _decoded(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except Malformed as error:
        raise InvalidValue(str(error)) from error
    except DATA_SET_FAULTS as error:
        raise InvalidValue(f"data set: {type(error).__name__}, needed one as of PS3.4 J.3") from error


def _status(refusal: Refused | None, what: str) -> int:
    if refusal is None:
        return _SUCCESS
    # Statuses of C-STORE mean nothing here (PS3.7 C.5.16).
    status = _NO_RESOURCES if isinstance(refusal, OutOfResources) else refusal.status
    log.warning(what, status=f"{status:04X}", reason=str(refusal))
    return status
