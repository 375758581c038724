"""Lets the two threads of an association wait for news where pynetdicom looks every millisecond."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from queue import Queue
from time import monotonic
from typing import Any

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicomnode.receive.pace import Pace
from dicomnode.tls.connection import SecureSocket

log = structlog.get_logger(__name__)

#: How often timers (ARTIM, network time-out) are looked at when nothing happens.
TICK_SECONDS = 0.2

#: States in which no association has been asked for (PS3.8 9.2.1); the first lasts until the network thread begins.
UNASKED = frozenset({"Sta1", "Sta2"})

#: How long a peer may take to close the connection after the last PDU to it; an RST needs one round trip to do harm,
#: and the longest, by geostationary satellite, takes 0.52 s (ITU-T G.114 Table A.1). ARTIM would hold a slot longer.
LINGER_SECONDS = 1.0

#: What is read beyond what was asked for, at most; every connection keeps so much.
_AHEAD_BYTES = 1 << 16

#: Most bytes taken from the kernel at once.
_READ_BYTES = 1 << 20


class WaitingSocket(AssociationSocket):
    """A connection whose `ready` waits until the peer has sent something or `wake` is called.

    pynetdicom's network thread polls the socket and sleeps 1 ms in between, which costs up to a millisecond per PDU in
    both directions and a core for a few dozen idle associations.

    Parameters
    ----------
    under_way
        Whether the peer has begun a message that it has to finish.

    Attributes
    ----------
    pace
        Of what the peer is sending: its request for an association, a PDU, or an object of many.
    """

    def __init__(
        self, association: Association, connection: socket.socket, pace: Pace, under_way: Callable[[], bool]
    ) -> None:
        super().__init__(association, client_socket=connection)
        self.pace = pace
        self._under_way = under_way
        self._ahead = memoryview(bytearray(_AHEAD_BYTES))
        self._ahead_start = self._ahead_end = 0
        self._send_seconds = connection.gettimeout()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)

    @property
    def ready(self) -> bool:
        """Whether the peer has sent something, at the latest after `TICK_SECONDS`; False when woken."""
        if self.socket is None or not self._is_connected:
            return False
        if self._ahead_start < self._ahead_end:
            return True
        if self.assoc.dul.state_machine.current_state == "Sta13":
            return bool(self._arrived(0.0))  # only drained before the connection is closed
        if isinstance(self.socket, SecureSocket) and self.socket.arrived():
            return True  # decrypted already, so that the system has nothing more to tell
        # The network thread handles one event per turn: it may have more of them already.
        wait_seconds = TICK_SECONDS if self.event_queue.empty() else 0.0
        started = monotonic()
        readable = self._arrived(wait_seconds, self._woken)
        if readable is None:
            return False
        if self._is_awaited:
            self.pace.waited(monotonic() - started)
            if self.pace.left_seconds <= 0:
                log.warning("connection_lost", reason="the peer is too slow")
                self._shutdown_socket()
                self.event_queue.put("Evt17")
                return False
        if self._woken in readable:
            self._woken.recv(_READ_BYTES)
        if isinstance(self.socket, SecureSocket):
            return self.socket in readable and self.socket.arrived()
        return self.socket in readable

    def _arrived(self, seconds: float, *others: socket.socket) -> list[socket.socket] | None:
        """Which of the connection and the others have something to read; None when the connection is gone."""
        try:
            if self.socket is not None:
                return readable_of(seconds, self.socket, *others)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed (PS3.8 Table 9-7)
        return None

    @property
    def _is_awaited(self) -> bool:
        """Whether the peer has begun something that it has to finish; an idle association is nobody's fault."""
        return self._under_way() or self.assoc.dul.state_machine.current_state in UNASKED

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, or fewer if the peer closes the connection before; errors as `recv_into`."""
        content = bytearray(nr_bytes)
        with memoryview(content) as view:
            read = self.recv_into(view)
        del content[read:]
        return content

    def recv_into(self, view: memoryview) -> int:
        """Fill `view`; with how many bytes, which are fewer if the peer closes the connection before.

        Raises
        ------
        TimeoutError
            The peer is too slow.
        OSError
            The connection is lost.
        """
        connection = self.socket
        if connection is None:
            raise OSError(errno.ENOTCONN, "the connection is closed")
        wanted = len(view)
        read = self._from_ahead(view)
        if read == wanted:
            return read
        try:
            while read < wanted:
                left_seconds = self.pace.left_seconds
                if left_seconds <= 0:
                    raise TimeoutError("the peer is too slow")
                connection.settimeout(left_seconds)
                started = monotonic()
                # A head of six bytes does not come alone: what is there is taken with one call.
                into = self._ahead if wanted - read < len(self._ahead) else view[read:]
                count = connection.recv_into(into, min(len(into), _READ_BYTES))
                self.pace.waited(monotonic() - started)
                self.pace.received(count)
                if not count:
                    break
                if into is self._ahead:
                    self._ahead_start, self._ahead_end = 0, count
                    count = self._from_ahead(view[read:])
                read += count
        finally:
            with suppress(OSError):
                connection.settimeout(self._send_seconds)
        return read

    def _from_ahead(self, view: memoryview) -> int:
        """Take what was read ahead, as much as there is room for; how much."""
        count = min(len(view), self._ahead_end - self._ahead_start)
        view[:count] = self._ahead[self._ahead_start : self._ahead_start + count]
        self._ahead_start += count
        return count

    def close(self) -> None:
        """Close the connection; the last PDU is delivered before, if one was sent (PS3.8 9.2.1, Sta13)."""
        if self.socket is not None and self.assoc.dul.state_machine.current_state == "Sta13":
            _let_go(self.socket)
        super().close()

    def _shutdown_socket(self) -> None:
        # pynetdicom forgets to close a socket that the peer has closed first. Its network thread may forget the socket
        # at any time, also while another thread hangs up.
        connection = self.socket
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        if self.assoc.requestor.primitive is None:
            # Nobody has asked for an association, so nothing else would end the wait for one.
            self.assoc.dul.to_user_queue.put(None)  # as pynetdicom reads it

    def wake(self) -> None:
        """End the present wait, from any thread."""
        try:
            self._waker.send(b"\0")
        except OSError:
            return  # enough wake-ups are pending, or the association is over

    def release(self) -> None:
        """Give the two descriptors back; the association is over."""
        self._waker.close()
        self._woken.close()

    def forget_ahead(self) -> None:
        """Give back the memory of what was read ahead; only the thread that reads may do so, and reads no more."""
        self._ahead = memoryview(b"")
        self._ahead_start = self._ahead_end = 0


def readable_of(seconds: float, *connections: socket.socket) -> list[socket.socket]:
    """Those that have something to read, or have ended, at the latest after `seconds`.

    select(2) would do this too, but for no descriptor from 1024 on.

    Raises
    ------
    OSError, ValueError
        One of them is closed.
    """
    poll = select.poll()
    for each in connections:
        poll.register(each, select.POLLIN)
    found = {descriptor for descriptor, _ in poll.poll(ceil(seconds * 1000))}
    return [each for each in connections if each.fileno() in found]


def _let_go(connection: socket.socket) -> None:
    """Send no more and discard what still comes until the peer closes, at most for `LINGER_SECONDS`.

    A socket that is closed with bytes unread, or gets some afterwards, resets the connection (RFC 2525 2.17), and a
    reset may cost the peer the rejection or abort that it has not read yet. The methods of the plain socket leave a
    TLS connection as it is.
    """
    until = monotonic() + LINGER_SECONDS
    with suppress(OSError, ValueError):
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while (left_seconds := until - monotonic()) > 0 and readable_of(left_seconds, connection):
            if not socket.socket.recv(connection, _READ_BYTES):
                return


class OutgoingQueue(Queue[Any]):
    """What the node wants to send; wakes the network thread."""

    def __init__(self, connection: WaitingSocket) -> None:
        super().__init__()
        self._connection = connection

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Queue a primitive for the peer."""
        super().put(item, block, timeout)
        self._connection.wake()


class IndicationQueue(Queue[Any]):
    """Releases and aborts of the peer; wakes the association's thread, which waits for messages."""

    def __init__(self, messages: Queue[Any]) -> None:
        super().__init__()
        self._messages = messages

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Queue an indication, and an empty message as pynetdicom does itself after an abort."""
        super().put(item, block, timeout)
        self._messages.put((None, None))
