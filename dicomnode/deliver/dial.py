"""Connects to a peer and remembers why it could not, which pynetdicom only logs."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from errno import ECONNABORTED, EMSGSIZE
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from dicomnode.domain.certificate import Certificate
from dicomnode.domain.network import Peer, Tls
from dicomnode.tls.connection import SecureSocket
from dicomnode.tls.credentials import Credentials

#: Heads of fragments in one P-DATA-TF (PS3.8 9.3.5.1), of which each takes 6 bytes: more than anybody needs.
_HEADS_BYTES = 4096


class NotThePeer(ssl.SSLError):
    """The certificate is a trusted one, but not that of this peer."""


class Secure:
    """A peer that is called over TLS, with the certificates of both as their files are now.

    Raises
    ------
    ConfigError
        A file of ours cannot be used.
    """

    def __init__(self, peer: Peer, tls: Tls) -> None:
        self._peer = peer
        self._context = Credentials(tls, server=False, hostname=not peer.certificate_subject).context()

    def wrap(self, connection: socket.socket) -> SecureSocket:
        """The same connection over TLS, with a peer that has proved who it is.

        Raises
        ------
        OSError
            There is no agreement, or the certificate is not believed or another's; the connection is closed.
        """
        expected = self._peer.certificate_subject
        secured = self._context.wrap_socket(connection, server_hostname=self._peer.host, do_handshake_on_connect=False)
        assert isinstance(secured, SecureSocket)
        try:
            secured.do_handshake()
            certificate = Certificate.of(secured.getpeercert() or {})
            if expected and not certificate.bears(expected):
                raise NotThePeer(f"its certificate is of {certificate.subject!r}, expected {expected!r}")
        except OSError:
            secured.close()
            raise
        return secured


class Dialled(AssociationSocket):
    """The TCP connection of an association that we requested.

    Attributes
    ----------
    error
        Why there is no connection; None when there is or was one.
    secure
        How to go on over TLS; None for plain TCP.
    longest_bytes
        Of a message of the peer, and so of a PDU, whose length it announces; 0: no limit.
    """

    error: OSError | None = None
    secure: Secure | None = None
    longest_bytes = 0
    _hung_up = False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect and report the result to the state machine (PS3.8 9.2, AE-1 to Evt2 or Evt17)."""
        assert self.socket is not None
        try:
            self.socket.settimeout(self.assoc.connection_timeout)
            self.socket.connect(primitive.address_info.as_tuple)
            if self.secure is not None:
                self.socket = self.secure.wrap(self.socket)
            # A peer that stalls in the middle of a PDU would otherwise hold the thread for ever.
            self.socket.settimeout(self.assoc.network_timeout)
            # Command and data are separate PDUs: the second must not wait for the first to be acknowledged.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.error = error
            if self.socket is not None:
                self.socket.close()
            self.socket = None
            primitive.result = "Evt17"
        else:
            self.assoc.requestor.address_info = AddressInformation.from_tuple(self.socket.getsockname())
            self._is_connected = True
            primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    @property
    def ready(self) -> bool:
        """Whether data of the peer can be read without waiting; never what TLS sends for itself."""
        if isinstance(self.socket, SecureSocket) and self._is_connected:
            return self.socket.arrived()
        return bool(super().ready)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`; a TLS 1.3 peer that does not believe our certificate says so only here (RFC 8446 4.4.3)."""
        if self._hung_up:
            raise ConnectionAbortedError(ECONNABORTED, "hung up on")
        if self.longest_bytes and nr_bytes > self.longest_bytes + _HEADS_BYTES:
            raise OSError(EMSGSIZE, f"PDU of {nr_bytes} bytes announced, at most {self.longest_bytes} are taken")
        try:
            return super().recv(nr_bytes)
        except ssl.SSLError as error:
            self.error = error
            raise

    def hang_up(self) -> None:
        """Read nothing more, not even what has arrived."""
        self._hung_up = True
        self._close_both_ways()

    def _close_both_ways(self) -> None:
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def _shutdown_socket(self) -> None:
        # pynetdicom forgets to close a socket that the peer has closed first.
        self._close_both_ways()
        if self.socket is not None:
            self.socket.close()


class Dialler(AE):
    """An application entity whose associations use `Dialled` connections."""

    secure: Secure | None = None
    longest_bytes = 0

    def _create_socket(self, assoc: Association, address: AddressInformation, tls_args: Any) -> Dialled:
        dialled = Dialled(assoc, address=address)
        dialled.secure = self.secure
        dialled.longest_bytes = self.longest_bytes
        return dialled
