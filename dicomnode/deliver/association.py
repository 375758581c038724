"""Opens an association with a peer, and says precisely why when that fails."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicomnode.deliver.dial import Dialled, Dialler, Secure
from dicomnode.deliver.outcome import abort_text, rejection_text
from dicomnode.domain.errors import ConfigError, DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.tls.connection import reason_of

#: No limit to the length of a P-DATA-TF that the peer may send us (PS3.8 D.1); answers are short anyway.
_UNLIMITED = 0

#: Of a message: a report on 30 000 objects, of which each takes 140 bytes (PS3.4 Table J.3-2). No answer to a query is
#: so long.
LONGEST_ANSWER_BYTES = 4 << 20

#: Bit of the message control header that stands for the last fragment of a command or data set (PS3.8 E.2).
_LAST_FRAGMENT = 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a peer.

    Attributes
    ----------
    connect_seconds
        For the TCP connection.
    acse_seconds
        For the answer to the request for an association, and to its release.
    dimse_seconds
        For the answer to one C-STORE or C-ECHO. An archive may index before it answers.
    """

    connect_seconds: float = 10.0
    acse_seconds: float = 30.0
    dimse_seconds: float = 60.0


class Conversation:
    """An association that we requested, with what the peer did to it."""

    def __init__(self, peer: Peer, timeouts: Timeouts, longest_bytes: int = _UNLIMITED) -> None:
        self.peer = peer
        self.timeouts = timeouts
        self._longest_bytes = longest_bytes
        self._message_bytes = 0
        self._association: Association | None = None
        self._abort = ""
        self._rejection = ""

    @property
    def association(self) -> Association:
        """The association, once it was requested."""
        assert self._association is not None
        return self._association

    def request(
        self,
        ae: Dialler,
        contexts: Sequence[PresentationContext],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
        handlers: Sequence[evt.EventHandlerType] = (),
    ) -> None:
        """Request the association.

        Raises
        ------
        NoAssociation
            There is none, and why. An association in which no context was accepted is none of these.
        DeliveryError
            The configured AE title or host cannot be used at all.
        """
        began = monotonic()
        try:
            self._association = ae.associate(
                self.peer.host,
                self.peer.port,
                contexts=list(contexts),
                ae_title=self.peer.aet,
                max_pdu=_UNLIMITED,
                ext_neg=list(roles),
                evt_handlers=[(evt.EVT_PDU_RECV, self._on_pdu), *handlers],
            )
        except OSError as error:
            raise NoAssociation(f"{self.name}: {error.strerror or error}") from error
        except ValueError as error:
            raise DeliveryError(f"{self.name}: {error}") from error
        if self.association.is_established:
            return
        answer = self.association.acceptor.primitive
        if isinstance(answer, A_ASSOCIATE) and answer.result == 0 and not self._abort:
            return
        raise NoAssociation(f"{self.name}: {self._no_association(monotonic() - began)}")

    def lost(self, seconds: float) -> PeerUnreachable:
        """Why no answer came to a request made `seconds` ago."""
        if self._abort:
            reason = self._abort
        elif seconds >= self.timeouts.dimse_seconds:
            reason = f"no answer within {self.timeouts.dimse_seconds:g} s"
        else:
            reason = "the peer closed the connection or gave no valid answer"
        return PeerUnreachable(f"{self.name}: {reason}")

    @property
    def name(self) -> str:
        """The peer as messages name it."""
        return f"{self.peer.name} ({self.peer.aet} at {self.peer.host}:{self.peer.port})"

    def _no_association(self, seconds: float) -> str:
        if self._rejection:
            return self._rejection
        if self._abort:
            return self._abort
        connection = self.association.dul.socket
        if isinstance(connection, Dialled) and connection.error is not None:
            what = "TLS" if isinstance(connection.error, ssl.SSLError) else "TCP"
            return f"no {what} connection: {_words(connection.error, self.timeouts.connect_seconds)}"
        if seconds >= self.timeouts.acse_seconds:
            return f"no answer to the association request within {self.timeouts.acse_seconds:g} s"
        return "the peer closed the connection without answering the association request"

    def _on_pdu(self, event: evt.Event) -> None:
        # pynetdicom takes a connection that the answer has ended already, before its association's thread has looked
        # whether there is one, for a connection that never was, and drops the answer.
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self._rejection = rejection_text(event.pdu.to_primitive())
        if isinstance(event.pdu, A_ABORT_RQ):
            self._abort = abort_text(event.pdu.source or 0, event.pdu.reason_diagnostic or 0)
        if isinstance(event.pdu, P_DATA_TF) and self._longest_bytes:
            self._measure(event.pdu)

    def _measure(self, pdu: P_DATA_TF) -> None:
        """Hang up where a message becomes longer than it may; pynetdicom keeps all of it in memory."""
        for item in pdu.presentation_data_value_items:
            value = item.presentation_data_value or b""
            self._message_bytes += len(value)
            if self._message_bytes > self._longest_bytes:
                self._abort = f"it sent a message of more than {self._longest_bytes} bytes, and was hung up on"
                connection = self.association.dul.socket
                assert isinstance(connection, Dialled)
                connection.hang_up()
                return
            if value[:1] and value[0] & _LAST_FRAGMENT:
                self._message_bytes = 0


def _words(error: OSError, connect_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"none within {connect_seconds:g} s"
    return reason_of(error)


@contextmanager
def conversation(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    calling_aet: str,
    timeouts: Timeouts,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
    longest_bytes: int = _UNLIMITED,
) -> Iterator[Conversation]:
    """An association with `peer`, released at the end.

    Parameters
    ----------
    roles, handlers
        For a retrieval by C-GET, in which the peer stores to us (PS3.7 D.3.3.4).
    longest_bytes
        Of a message of the peer: of one that sends more, the association is ended; 0: no limit.

    Raises
    ------
    NoAssociation
        There is none; says why.
    """
    configure_pynetdicom()
    try:
        ae = Dialler(ae_title=calling_aet)
    except ValueError as error:
        raise DeliveryError(f"calling AE title {calling_aet!r}: {error}") from error
    try:
        ae.secure = Secure(peer, peer.tls) if peer.tls is not None else None
    except ConfigError as error:
        raise NoAssociation(f"{peer.name}: no TLS connection: {error}") from error
    ae.connection_timeout = timeouts.connect_seconds
    ae.acse_timeout = timeouts.acse_seconds
    ae.dimse_timeout = timeouts.dimse_seconds
    # An association that we hold open is never idle for long; a stalled peer meets the DIMSE time-out first.
    ae.network_timeout = timeouts.dimse_seconds + timeouts.acse_seconds
    ae.longest_bytes = longest_bytes
    talk = Conversation(peer, timeouts, longest_bytes)
    talk.request(ae, contexts, roles, handlers)
    leave_answers(talk.association)
    try:
        yield talk
    except PeerUnreachable:
        # What was lost would not answer a request for release either, and waiting for that takes its whole time-out.
        talk.association.abort()
        raise
    finally:
        if talk.association.is_established:
            talk.association.release()


def leave_answers(association: Association) -> None:
    """Leave every message of the peer to the call that waits for it.

    pynetdicom's own thread looks for requests of the peer, and pauses while a call waits for an answer. It may look
    once more after it was asked to pause, and throws away what it finds (pynetdicom 3.0, `Association._run_reactor`).
    As requestor we get no requests but the C-STORE ones of a C-GET, for which a call waits, too.
    """
    wait_for = association.dimse.get_msg

    def only_for_calls(block: bool = False) -> Any:
        return wait_for(block) if block else (None, None)

    association.dimse.get_msg = only_for_calls  # type: ignore[method-assign]


def configure_pynetdicom() -> None:
    """Set what pynetdicom keeps per process: files are sent as their bytes, and data sets are never logged."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
