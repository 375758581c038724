"""HTTP connections whose answers have to have come in time as a whole, however often a byte of them comes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from dicomnode.deliver.limited import TooSlow, limited


class _Plain(HTTPConnection):
    """Without TLS."""

    answering: socket.socket | None = None

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 itself
        return _head(self, super().getresponse)


class _Secure(HTTPSConnection):
    """With TLS."""

    answering: socket.socket | None = None

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 itself
        return _head(self, super().getresponse)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class Punctual(HTTPAdapter):
    """Waits for the head of an answer no longer than the time-out for reading, all in all."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


def answering(response: Any) -> socket.socket | None:
    """The socket that the rest of an answer comes by; None where nothing is to come any more."""
    connection = getattr(response.raw, "connection", None)
    return connection.answering if isinstance(connection, _Plain | _Secure) else None


def _head(connection: _Plain | _Secure, answer: Callable[[], HTTPResponse]) -> HTTPResponse:
    # It is no longer the connection's when the answer says that it closes.
    connection.answering = connection.sock
    seconds = connection.timeout
    assert isinstance(seconds, int | float)
    found: HTTPResponse | None = None
    try:
        with limited(seconds, lambda: connection.answering):
            found = answer()
    except TooSlow:
        # Half a head that ends with the connection reads as a whole one.
        if found is not None:
            found.close()
        raise
    return found
