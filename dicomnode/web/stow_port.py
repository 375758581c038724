"""The port for STOW-RS, which takes no more connections than there is room for."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import structlog

from dicomnode.domain.errors import ConfigError, Fault
from dicomnode.receive.census import Caller, Census
from dicomnode.receive.tally import Tally

log = structlog.get_logger(__name__)

_BACKLOG = 128


class StowPort(socket.socket):
    """A socket that listens, and closes at once what is too much, before TLS and before anything was said.

    Attributes
    ----------
    census, tally
        Who is connected, and who counts those that could not be.
    """

    census: Census
    tally: Tally | None = None
    _full = False

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, which is counted until it is closed.

        Raises
        ------
        ConnectionAbortedError
            There was no room for it: what an event loop passes over, as a caller that has gone (accept(2)).
        """
        connection, address = super().accept()
        caller = (str(address[0]), int(address[1]))
        reason = self.census.connect(caller)
        if reason:
            connection.close()
            self._turned_away(caller, reason)
            raise ConnectionAbortedError(reason)
        self._full = False
        # Answers are small and awaited: they must not wait for an acknowledgement. asyncio leaves it as it is here.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Connection(connection, lambda: self.census.leave(caller)), address

    def _turned_away(self, caller: Caller, reason: str) -> None:
        if self.tally is not None:
            self.tally.association(full=True)
        if not self._full:
            # A flood of connections must not become a flood of lines.
            log.warning("connection_refused", address=caller[0], reason=reason)
        self._full = True


class _Connection(socket.socket):
    """A connection that tells when it is closed, whoever closes it and however far it came."""

    def __init__(self, taken: socket.socket, on_close: Callable[[], None]) -> None:
        super().__init__(taken.family, taken.type, taken.proto, fileno=taken.detach())
        self._on_close = on_close

    def close(self) -> None:
        super().close()
        self._on_close()


def listening(host: str, port: int, inherited: int | None, census: Census, tally: Tally | None) -> StowPort:
    """A port of our own, or the one that was inherited.

    Raises
    ------
    ConfigError
        The port is taken, or the host is no address of this machine.
    """
    found = StowPort(fileno=_bound(host, port).detach() if inherited is None else inherited)
    found.census, found.tally = census, tally
    return found


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        remedy = f"cannot listen there: {error.strerror or error}; choose a free port and an own address"
        raise ConfigError([Fault(key="stow.port", value=f"{host}:{port}", remedy=remedy)]) from error
    return found
