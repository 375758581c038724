"""Reports on a request for storage commitment over the association that it came on, where the peer stays that long."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import structlog
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicomnode.domain.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Report, report_dataset
from dicomnode.receive.acceptor import NodeAssociation

log = structlog.get_logger(__name__)

#: How long an answer of archives is worth waiting for: a C-FIND or a quick commitment takes less, a peer with more to
#: send is served at once, and what takes longer goes over an association of our own.
WAIT_SECONDS = 5.0

#: How often the books are looked at meanwhile.
_POLL_SECONDS = 0.05

#: PS3.7 E.1: Message ID of the only request that this node makes on an association that it was called on.
_MESSAGE_ID = 1


def report_while_open(
    assoc: NodeAssociation,
    context_id: int,
    answer: Callable[[], Report | None],
    told: Callable[[int | None], None],
) -> None:
    """Wait for the answer and report it; runs in the association's own thread, after the response to the request.

    PS3.4 J.3.3 leaves the SCP the choice of association. A peer that releases this one, or asks for something else,
    is not kept waiting.

    Parameters
    ----------
    answer
        The report, once it is known.
    told
        Takes the status of the peer's answer, or None where none came.
    """
    status = None
    until = time.monotonic() + WAIT_SECONDS
    try:
        while _listens(assoc) and time.monotonic() < until:
            report = answer()
            if report is not None:
                status = _tell(assoc, context_id, report)
                return
            time.sleep(_POLL_SECONDS)
    finally:
        told(status)


def _listens(assoc: NodeAssociation) -> bool:
    """Whether the peer is there and has nothing else to say; a release leaves an empty message, too."""
    return bool(assoc.is_established) and assoc.dimse.msg_queue.empty()


def _tell(assoc: NodeAssociation, context_id: int, report: Report) -> int | None:
    context = assoc._accepted_cx[context_id]
    syntax = context.transfer_syntax[0]
    # pynetdicom's own call waits for this thread to pause, which is the one that would call it.
    request = N_EVENT_REPORT()
    request.MessageID = _MESSAGE_ID
    request.AffectedSOPClassUID = PUSH_MODEL
    request.AffectedSOPInstanceUID = PUSH_MODEL_INSTANCE
    request.EventTypeID = report.event_type
    content = encode(report_dataset(report), syntax.is_implicit_VR, syntax.is_little_endian)
    assert content is not None
    request.EventInformation = BytesIO(content)
    assoc.dimse.send_msg(request, context_id)
    put_aside: list[Any] = []
    try:
        return _response(assoc, put_aside)
    finally:
        for message in put_aside:
            assoc.dimse.msg_queue.put(message)


def _response(assoc: NodeAssociation, put_aside: list[Any]) -> int | None:
    """The peer's answer; requests that come before it are put aside."""
    until = time.monotonic() + (assoc.dimse_timeout or WAIT_SECONDS)
    while assoc.is_established and time.monotonic() < until:
        context_id, message = assoc.dimse.get_msg(block=True)
        if message is None:
            # The time is up, or a release or abort has come, which is for the association's own loop to see.
            return None
        if isinstance(message, N_EVENT_REPORT) and message.is_valid_response:
            return message.Status
        put_aside.append((context_id, message))
    return None
