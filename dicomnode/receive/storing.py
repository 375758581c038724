"""What becomes of one object that has come whole: it is described, handed to the intake, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog
from pynetdicom.presentation import PresentationContextTuple

from dicomnode.domain import network
from dicomnode.domain.errors import Refused
from dicomnode.domain.study import Arrival
from dicomnode.receive.acceptor import NodeAssociation
from dicomnode.receive.answer import refusal_of_os
from dicomnode.receive.command import StoreRequest
from dicomnode.receive.contexts import storage_classes
from dicomnode.receive.header import SOP_CLASS_UID, read_arrival
from dicomnode.receive.refusal import Contradiction, Mistyped, ProcessingFailure, SOPClassNotSupported
from dicomnode.receive.spool import Spooled
from dicomnode.receive.tally import Tally

log = structlog.get_logger(__name__)


class Intake(Protocol):
    """What the listener hands its news to; called from the threads of many associations."""

    def opened(self, association: network.Association) -> None:
        """An association was established; an exception aborts it."""

    def accept(self, arrival: Arrival) -> None:
        """Keep the object before returning, or raise `Refused`: Success is sent right after."""

    def closed(self, association: network.Association) -> None:
        """The association has ended and no `accept` of it is under way."""


class Storing:
    """Hands objects to `intake`.

    Parameters
    ----------
    on_demand
        AE titles by which a sender forces a run.
    most_inflated_bytes
        How large a deflated data set may become.
    tally
        Told of everything that was not taken.
    """

    def __init__(
        self, intake: Intake, *, on_demand: frozenset[str], most_inflated_bytes: int, tally: Tally | None
    ) -> None:
        self._intake = intake
        self._on_demand = on_demand
        self._most_inflated_bytes = most_inflated_bytes
        self._tally = tally

    def store(
        self, assoc: NodeAssociation, context: PresentationContextTuple, request: StoreRequest, spooled: Spooled
    ) -> Refused | None:
        """Keep an object that `assoc` has brought; why not, if it is not kept."""
        association = assoc.opened
        assert association is not None
        refusal = attempt(lambda: self._keep(association, context, request, spooled))
        if refusal is not None:
            if self._tally is not None:
                self._tally.refused(refusal)
            uid = request.sop_instance_uid
            log.warning("store_refused", sop_instance_uid=uid, status=f"{refusal.status:04X}", reason=str(refusal))
        return refusal

    def _keep(
        self,
        association: network.Association,
        context: PresentationContextTuple,
        request: StoreRequest,
        spooled: Spooled,
    ) -> None:
        if not request.complete:
            raise Mistyped("C-STORE-RQ lacks SOP class, instance, priority or data")
        path, digest = spooled.finish()
        if request.sop_class_uid != context.abstract_syntax:
            message = f"SOPClassUID: {request.sop_class_uid} in a context for {context.abstract_syntax}"
            raise Contradiction(message, offending=SOP_CLASS_UID)
        if request.sop_class_uid not in storage_classes():
            raise SOPClassNotSupported(f"SOP class {request.sop_class_uid} is none of those that are stored")
        self._intake.accept(
            read_arrival(
                path,
                association,
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=request.sop_instance_uid,
                transfer_syntax_uid=str(context.transfer_syntax),
                on_demand=association.called_aet in self._on_demand,
                data_set_start=spooled.data_set_start,
                digest=digest,
                most_inflated_bytes=self._most_inflated_bytes,
                move_originator=request.move_originator,
            )
        )


def attempt(act: Callable[[], None]) -> Refused | None:
    """Run `act`; what went wrong as the refusal to answer with, since the peer must get an answer to everything."""
    try:
        act()
    except Refused as refusal:
        return refusal
    except OSError as error:
        log.exception("storage_failed")
        return refusal_of_os(error)
    except Exception:  # one of the three places where that is allowed (DESIGN section 2, rule 7)
        log.exception("intake_failed")
        return ProcessingFailure("internal error; the node's log has the details")
    return None
