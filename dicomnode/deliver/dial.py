"""Connects to a peer and remembers why it could not, which pynetdicom only logs."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket


class Dialled(AssociationSocket):
    """The TCP connection of an association that we requested.

    Attributes
    ----------
    error
        Why there is no connection; None when there is or was one.
    """

    error: OSError | None = None

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect and report the result to the state machine (PS3.8 9.2, AE-1 to Evt2 or Evt17)."""
        assert self.socket is not None
        try:
            self.socket.settimeout(self.assoc.connection_timeout)
            self.socket.connect(primitive.address_info.as_tuple)
            # A peer that stalls in the middle of a PDU would otherwise hold the thread for ever.
            self.socket.settimeout(self.assoc.network_timeout)
            # Command and data are separate PDUs: the second must not wait for the first to be acknowledged.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.error = error
            self.socket.close()
            self.socket = None
            primitive.result = "Evt17"
        else:
            self.assoc.requestor.address_info = AddressInformation.from_tuple(self.socket.getsockname())
            self._is_connected = True
            primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def _shutdown_socket(self) -> None:
        # pynetdicom forgets to close a socket that the peer has closed first.
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class Dialler(AE):
    """An application entity whose associations use `Dialled` connections."""

    def _create_socket(self, assoc: Association, address: AddressInformation, tls_args: Any) -> Dialled:
        return Dialled(assoc, address=address)
