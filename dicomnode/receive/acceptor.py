"""The association acceptor: pynetdicom's server with our spooling, socket options and end-of-association hook."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseServer
from threading import Event
from typing import Any

import structlog
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.presentation import PresentationContextTuple
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer
from structlog.contextvars import bind_contextvars

from dicomnode.domain import network
from dicomnode.domain.certificate import Certificate
from dicomnode.domain.errors import Refused
from dicomnode.receive.answer import answer
from dicomnode.receive.census import Census
from dicomnode.receive.command import StoreRequest, store_response
from dicomnode.receive.limits import Limits
from dicomnode.receive.network import GuardedProvider
from dicomnode.receive.pace import Pace
from dicomnode.receive.spool import Spooled, SpoolingProvider
from dicomnode.receive.throttle import Throttle
from dicomnode.receive.waiting import IndicationQueue, OutgoingQueue, WaitingSocket
from dicomnode.tls.connection import SecureSocket, reason_of
from dicomnode.tls.credentials import Credentials

log = structlog.get_logger(__name__)


#: So many connections that have ended are worth a search for what they leave, which takes a few milliseconds: 65 KiB
#: each, in objects that refer to each other.
_MANY_LEFT = 16


class NodeAssociation(Association):
    """One association of which the node is the acceptor.

    Attributes
    ----------
    admitted
        What the rest of the node knows it as; None for one that was rejected.
    opened
        The same once the intake has been told, and only then to be told of the end.
    told
        Set once the intake has been told, or will not be.
    names
        What the lines of the log carry.
    afterwards
        What to do in the association's own thread once the request that is being served has been answered.
    """

    def __init__(
        self, ae: ApplicationEntity, folder: Path, limits: Limits, on_store: OnStore,
        on_end: Callable[[NodeAssociation], None],
    ) -> None:  # fmt: skip
        super().__init__(ae, "acceptor")
        self.dul: GuardedProvider = GuardedProvider(self)
        # The setters hand these to the timers of the network thread, which is another one now.
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout
        most_bytes = limits.maximum_object_bytes
        self.dimse: SpoolingProvider = SpoolingProvider(self, folder, most_bytes, self._store, self._answer)
        self.admitted: network.Association | None = None
        self.opened: network.Association | None = None
        self.afterwards: Callable[[], None] | None = None
        self.told = Event()
        self.names: dict[str, str] = {}
        self._bound = False
        self._keep, self._on_end = on_store, on_end

    def attach(self, connection: WaitingSocket, limits: Limits) -> None:
        """Use `connection`, and let both threads wait on what it and the queues bring."""
        self.dul.guard(connection, self.dimse, limits)
        self._connection = connection
        self.dul.to_provider_queue = OutgoingQueue(connection)
        self.dul.to_user_queue = IndicationQueue(self.dimse.msg_queue)

    def begun(self) -> bool:
        """Whether the peer has begun a message that it has to finish."""
        return self.dimse.under_way

    @property
    def shown(self) -> network.Shown:
        """What the peer has shown of itself on this connection."""
        connection = self._connection.socket
        if not isinstance(connection, SecureSocket):
            return network.Shown()
        decoded = connection.getpeercert()
        return network.Shown(secure=True, certificate=Certificate.of(decoded) if decoded else None)

    def hang_up(self) -> None:
        """Cut the connection under a network thread that waits inside a PDU, where no abort can reach it."""
        self._connection._shutdown_socket()

    def run_reactor(self) -> None:
        """Serve until release, abort or loss of the connection, then clean up: the one exit that every path takes."""
        try:
            super().run_reactor()
        finally:
            self.told.set()
            try:
                self.dimse.discard()
                self._connection.release()
            finally:
                self._on_end(self)

    @property
    def caller(self) -> tuple[str, int]:
        """Address and port of the peer."""
        return str(self.requestor.address), int(self.requestor.port or 0)

    @property
    def aets(self) -> tuple[str, str]:
        """Calling and called AE title as the peer gave them, without padding."""
        request = self.requestor.primitive
        assert request is not None
        return (request.calling_ae_title or "").strip(), (request.called_ae_title or "").strip()

    def _serve_request(self, msg: Any, context_id: int) -> None:
        if isinstance(msg, C_CANCEL):
            return  # nothing here can be cancelled, and it has no answer (PS3.7 9.3.2.3)
        super()._serve_request(msg, context_id)
        afterwards, self.afterwards = self.afterwards, None
        if afterwards is not None:
            afterwards()

    def _answer(self, pdus: bytes) -> None:
        self._connection.send(pdus)

    def _store(self, context_id: int, request: StoreRequest, spooled: Spooled) -> bytes:
        """Let the node keep an object; the command set of the answer, empty if the association is over."""
        # A quick peer sends before the thread that accepted it has told the intake.
        self.told.wait()
        if self.opened is None:
            return b""
        if not self._bound:
            # This is the network thread: its log lines carry the same names.
            bind_contextvars(**self.names)
            self._bound = True
        refusal = self._keep(self, self._accepted_cx[context_id].as_tuple, request, spooled)
        return store_response(request, answer(refusal))


#: Keeps an object, unless it returns why not.
OnStore = Callable[[NodeAssociation, PresentationContextTuple, StoreRequest, Spooled], Refused | None]


class Acceptor(RequestHandler):
    """Sets up the association for one connection."""

    server: Server

    def handle(self) -> None:
        """Agree on TLS where this port asks for it, then start the association.

        This runs in a thread of its own: a peer that takes its time for the handshake holds up nobody else.
        """
        if self.server.credentials is not None:
            try:
                self.request = self._secured(self.server.credentials)
            except OSError as error:
                self.server.tls_refused(str(self.client_address[0]), reason_of(error))
                self.server.shutdown_request(self.request)
                self.server.census.leave(self.client_address[:2])
                return
        super().handle()

    def _secured(self, credentials: Credentials) -> socket.socket:
        # The whole handshake has to be done in this time (ARTIM, PS3.8 9.1.5), however it is dribbled.
        self.request.settimeout(self.ae.acse_timeout)
        secured = credentials.context().wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        try:
            with self.server.interruptible(secured):
                secured.do_handshake()
        except OSError:
            secured.close()
            raise
        return secured

    def _create_association(self) -> NodeAssociation:
        server, ae = self.server, self.ae
        assoc = NodeAssociation(ae, server.folder, server.limits, server.on_store, server.on_end)
        assoc._server = server
        # pynetdicom finds its acceptors by the name of their thread.
        assoc.name = f"AcceptorThread@{self.client_address[0]}:{self.client_address[1]}"
        # A peer that takes no answers would otherwise hold the thread for ever.
        self.request.settimeout(ae.network_timeout)
        # Responses are small and awaited: they must not wait for an acknowledgement.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = WaitingSocket(assoc, self.request, Pace(server.limits.acse_timeout_seconds), assoc.begun)
        assoc.attach(connection, server.limits)

        assoc.acceptor.maximum_length = ae.maximum_pdu_size
        assoc.acceptor.ae_title = server.ae_title
        assoc.acceptor.address_info = self.local
        assoc.acceptor.implementation_class_uid = ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = ae.implementation_version_name
        # Negotiation only reads these, so all associations share them; pynetdicom copies 171 contexts each time.
        assoc.acceptor.supported_contexts = server.contexts
        assoc.requestor.address_info = self.remote
        for event, handlers in server._handlers.items():
            for handler, arguments in handlers if isinstance(handlers, list) else [handlers]:
                assoc.bind(event, handler, arguments)
        return assoc


class Server(ThreadedAssociationServer):
    """Listens on one port.

    Attributes
    ----------
    folder
        Where data sets are written while they arrive.
    limits, census
        What it puts up with, and who is connected.
    on_store
        Keeps an object, unless it returns why not; called by the network thread of the association.
    on_end
        Called once when an association has ended, however it did.
    credentials
        What is shown and trusted on this port; None for plain TCP.
    on_turned_away, throttle
        Called for callers that were not let in, and how often.

    Parameters
    ----------
    inherited
        Descriptor of a socket that listens already, and that others may have, too: it is this server's to close, and
        goes on elsewhere. None: an own one.
    """

    request_queue_size = 128
    folder: Path
    limits: Limits
    census: Census
    on_store: OnStore
    on_end: Callable[[NodeAssociation], None]
    credentials: Credentials | None = None
    on_turned_away: Callable[[network.TurnedAway], None]
    throttle: Throttle
    _turned_away = False
    _closing = False
    _left_before = 0

    def __init__(self, *arguments: Any, inherited: int | None = None, **more: Any) -> None:
        self._shaking: set[socket.socket] = set()
        self._beginning: set[socket.socket] = set()
        self._inherited = inherited
        super().__init__(*arguments, **more)

    def server_bind(self) -> None:
        """Bind an own socket, or take the one that was inherited."""
        if self._inherited is None:
            super().server_bind()
            return
        assert self.socket is not None
        self.socket.close()
        self.socket = socket.socket(fileno=self._inherited)
        # Whoever else has it may be quicker; this thread must not wait for the next caller then.
        self.socket.setblocking(False)
        self.server_address = self.socket.getsockname()

    def hand_on(self) -> None:
        """Take no further connection, leave the port to who else has it, and go on with what has come."""
        BaseServer.shutdown(self)
        assert self.socket is not None
        self.socket.close()

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.server_address[1])

    @property
    def busy(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._beginning) or bool(self.active_associations)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Set up the association in a thread of its own."""
        self._beginning.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What that thread does; afterwards the association has one itself."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._beginning.discard(request)

    @contextmanager
    def interruptible(self, connection: socket.socket) -> Iterator[None]:
        """Let the end of the server end what is done with `connection`, which has no association yet to be aborted."""
        self._shaking.add(connection)
        try:
            if self._closing:
                _cut(connection)
            yield
        finally:
            self._shaking.discard(connection)

    def server_close(self) -> None:
        """Close the port, and wait for the threads that set up an association: none for a peer any more."""
        self._closing = True
        for connection in self._shaking.copy():
            _cut(connection)
        if self._inherited is not None and self.socket is not None:
            # A shutdown would close the port for who else has it.
            self.socket.close()
        super().server_close()

    def service_actions(self) -> None:
        """Let the memory of those who have left be found before as many others need it.

        pynetdicom searches with every 60th turn, when dozens of associations may have come and gone.
        """
        left = self.census.left
        if left - self._left_before < _MANY_LEFT:
            super().service_actions()
            return
        self._left_before = left
        gc.collect()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection; each takes two threads even before it asks for anything."""
        reason = self.census.connect(client_address[:2])
        if reason and not self._turned_away:
            # A flood of connections must not become a flood of lines.
            log.warning("connection_refused", address=str(client_address[0]), reason=reason)
        self._turned_away = bool(reason)
        return not reason

    def tls_refused(self, address: str, reason: str) -> None:
        """Tell that there was no agreement on TLS; whoever tries again and again is told of once in a while."""
        times = self.throttle.times(address)
        if times:
            log.warning("tls_refused", address=address, reason=reason, times=times)
            self.on_turned_away(network.TurnedAway(address=address, reason=reason, times=times))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what socketserver would print."""
        self.census.leave(client_address[:2])
        log.exception("association_not_started", address=str(client_address[0]))


def _cut(connection: socket.socket) -> None:
    """Wake whoever waits for the peer; the plain method leaves the TLS object to the thread that uses it."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
