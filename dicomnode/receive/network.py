"""The network thread of an association: pynetdicom's, with bounds on what a peer may announce or break."""

from __future__ import annotations

from struct import Struct

import structlog
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError

from dicomnode.domain.decoding import DECODING_FAULTS
from dicomnode.receive.command import fragments
from dicomnode.receive.limits import Limits
from dicomnode.receive.pace import Pace
from dicomnode.receive.proposal import MOST_REQUEST_BYTES, fault_of
from dicomnode.receive.spool import SpoolingProvider
from dicomnode.receive.waiting import UNASKED, WaitingSocket

log = structlog.get_logger(__name__)

#: What the thread may meet besides: a queue that is empty in spite of an event, an event that no state expects.
_THREAD_FAULTS = (*DECODING_FAULTS, InvalidEventError, RuntimeError, OSError)

_HEAD = Struct(">BxL")
_TRANSFER = "Sta6"  # association established and ready for data transfer (PS3.8 9.2.1)
_CLOSED, _INVALID = "Evt17", "Evt19"  # PS3.8 Table 9-7
_ASSOCIATE_RQ, _ASSOCIATE_AC, _P_DATA = 0x01, 0x02, 0x04

#: A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP and A-ABORT have a fixed length (PS3.8 9.3.4, 9.3.6 to 9.3.8).
_SHORT_PDUS = frozenset({0x03, 0x05, 0x06, 0x07})
_SHORT_BYTES = 4

#: What a peer may send although a shorter length was negotiated: some count the headers in, and memory is not at risk.
_LENIENT_BYTES = 1 << 20

#: Longest P-DATA-TF where no limit is negotiated.
_UNNEGOTIATED_BYTES = 64 << 20


class GuardedProvider(DULServiceProvider):
    """pynetdicom's network thread, for which no peer can allocate memory by a length, or wait without end."""

    socket: WaitingSocket
    _taking = False

    def guard(self, connection: WaitingSocket, messages: SpoolingProvider, limits: Limits) -> None:
        """Read from `connection` within these limits, and hand on to `messages`."""
        self.socket, self._messages = connection, messages
        most = limits.maximum_pdu_bytes
        self._room, self._most_room = memoryview(b""), most
        self._longest = max(most, _LENIENT_BYTES) if most else _UNNEGOTIATED_BYTES
        self._patience = (limits.network_timeout_seconds, limits.slowest_bytes_per_second)
        self._run_loop_delay = 0.0

    def run_reactor(self) -> None:
        """Serve the connection; when a fault ends this thread, the association's own thread hears of it."""
        try:
            super().run_reactor()
        except _THREAD_FAULTS:
            log.exception("network_thread_failed")
            self.socket._shutdown_socket()
        finally:
            # By this thread, which alone reads: its objects refer to each other, and until they are looked for,
            # hundreds of ended associations may lie about.
            self._room = memoryview(b"")
            self.socket.forget_ahead()

    def _read_pdu_data(self) -> None:
        # A connection that has yet to ask for an association has one pace from its beginning.
        if self.state_machine.current_state not in UNASKED and not self._messages.under_way:
            self.socket.pace = Pace(*self._patience)
        event = self._next_event()
        # What follows belongs to the same object; there is nothing else to look at before, but for an abort of ours.
        while not event and self._messages.under_way and not self.to_provider_queue.queue and self.socket.ready:
            self._idle_timer.restart()
            event = self._next_event()
        if event:
            self.event_queue.put(event)

    def _next_event(self) -> str:
        """Read a PDU, queue it, and tell which event it is (PS3.8 Table 9-7); "" if nothing is left to do about it."""
        try:
            head = self.socket.recv(_HEAD.size)
            if len(head) < _HEAD.size:
                return _CLOSED
            kind, length = _HEAD.unpack(head)
            fault = self._fault(kind, length)
            if fault:
                log.warning("pdu_refused", reason=fault)
                return _INVALID
            body = self._room_of(length)
            read = self.socket.recv_into(body)
        except OSError as error:
            log.warning("connection_lost", reason=error.strerror or str(error) or type(error).__name__)
            return _CLOSED
        if read < length:
            return _CLOSED
        if kind == _P_DATA and self.state_machine.current_state == _TRANSFER and self.event_queue.empty():
            # The state machine would hand it on without a change of state (PS3.8 9.2.2.3, DT-2).
            return self._taken(body)
        fault = fault_of(bytes(body)) if kind == _ASSOCIATE_RQ else ""
        if fault:
            log.warning("pdu_refused", reason=fault)
            return _INVALID
        try:
            pdu, event = self._decode_pdu(head + bytes(body))
            if kind != _P_DATA:
                # The state machine does the same where a fault would end the thread.
                pdu.to_primitive()
        except DECODING_FAULTS as error:
            log.warning("pdu_refused", reason=f"PDU of type {kind}: {type(error).__name__}, needed one as of PS3.8 9.3")
            return _INVALID
        self._recv_pdu.put(pdu)
        return str(event)

    def _room_of(self, length: int) -> memoryview:
        """Where a PDU is put, until the next comes: fresh memory costs more than what is written there."""
        if length > self._most_room:
            return memoryview(bytearray(length))
        if length > len(self._room):
            self._room = memoryview(bytearray(length))
        return self._room[:length]

    def idle_timer_expired(self) -> bool:
        """Whether nothing has come for too long; what this node itself takes over an object is not held against it."""
        return not self._taking and super().idle_timer_expired()

    def _taken(self, body: memoryview) -> str:
        self._taking = True
        try:
            # All of them before the first is taken: what is no P-DATA-TF is refused whole. They are looked at twice
            # instead of kept: a PDU of a MiB may hold 170 000.
            for _ in fragments(body):
                pass
            return "" if self._messages.take(fragments(body)) else _INVALID
        except DECODING_FAULTS as error:
            log.warning("pdu_refused", reason=f"P-DATA-TF: {type(error).__name__}, needed one as of PS3.8 9.3.5")
            return _INVALID
        finally:
            self._idle_timer.restart()
            self._taking = False

    def _fault(self, kind: int, length: int) -> str:
        """What is wrong with the head of a PDU; "" if nothing is."""
        if kind in _SHORT_PDUS:
            most = _SHORT_BYTES
        elif kind in (_ASSOCIATE_RQ, _ASSOCIATE_AC):
            most = MOST_REQUEST_BYTES
        elif kind == _P_DATA:
            most = self._longest
        else:
            return f"PDU of type {kind}, needed one of PS3.8 Table 9-10"
        return f"PDU of type {kind}: {length} bytes announced, at most {most} are taken" if length > most else ""
