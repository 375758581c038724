"""Serves the application on its port in a thread, and drains when told."""

from __future__ import annotations

import logging
import socket
import ssl
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dicomnode.config.tables import Web
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import Tls
from dicomnode.flow import pulse
from dicomnode.receive.ports import listening
from dicomnode.tls.credentials import Credentials
from dicomnode.web.patience import PatientProtocol

_log = structlog.get_logger(__name__)

#: Connections at once; a browser opens six, and every one beyond is told to come later (503).
_MOST_CONNECTIONS = 200

#: Whoever looks after the node is told of its state also when everybody else has to come later.
_ALWAYS = ("/healthz", "/readyz")

#: Pages that are looked at ask every few seconds over the same connection.
_IDLE_SECONDS = 30

#: A stream that does not end by itself is cut after this much of the drain.
_LEAST_GRACE_SECONDS = 1


class _Pulsing(uvicorn.Server):
    """Gives a sign of life with every round of its loop."""

    async def on_tick(self, counter: int) -> bool:
        pulse.again()
        return await super().on_tick(counter)


class Server:
    """Answers requests on one port.

    Parameters
    ----------
    table
        `[web]` of the configuration.

    Raises
    ------
    ConfigError
        The port is taken, the host is no address of this machine, or certificate and key cannot be used.
    """

    def __init__(self, app: FastAPI, table: Web) -> None:
        self._secure = _context(table)
        self._socket = listening("web.port", table.host, table.port)
        # asyncio does so only for sockets that name their protocol; head and body of an answer are two writes, of which
        # the second would wait 40 ms for an acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = int(self._socket.getsockname()[1])
        # What it has to say of strangers is no news, and an address may name a study.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        self._config = uvicorn.Config(
            self._crowded(app),
            http=_protocol(table),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=table.behind_proxy,
            forwarded_allow_ips=list(table.proxy_addresses),
            timeout_keep_alive=_IDLE_SECONDS,
        )
        self._config.load()
        self._config.ssl = self._secure
        self._server = _Pulsing(self._config)
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="web", daemon=True)
        self._thread.start()
        _log.info("answering", port=self.port, tls=self._secure is not None)

    def _crowded(self, app: ASGIApp) -> ASGIApp:
        """The application, which asks to come later while there are too many connections."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and self.connections > _MOST_CONNECTIONS and scope["path"] not in _ALWAYS:
                later = PlainTextResponse("too many connections", 503, {"Retry-After": "10", "Connection": "close"})
                await later(scope, receive, send)
            else:
                await app(scope, receive, send)

        return answer

    @property
    def alive(self) -> bool:
        """Whether the thread that answers lives."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._server.server_state.connections)

    def stop(self, grace_seconds: float) -> None:
        """Take no further request, and let those under way finish within `grace_seconds`."""
        self._config.timeout_graceful_shutdown = max(_LEAST_GRACE_SECONDS, int(grace_seconds))
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()


def _protocol(table: Web) -> type[PatientProtocol]:
    """The protocol, which knows the addresses of the proxy."""
    proxies = [ip_network(one, strict=False) for one in table.proxy_addresses] if table.behind_proxy else []

    class OfTable(PatientProtocol):
        @staticmethod
        def is_proxy(address: str, /) -> bool:
            try:
                place = ip_network(address)
            except ValueError:
                return False
            return any(place.overlaps(one) for one in proxies)

    return OfTable


def _context(table: Web) -> ssl.SSLContext | None:
    """What is shown to browsers, which show nothing themselves: a context that follows its files."""
    if not table.certificate:
        return None
    try:
        shown = Tls(certificate=Path(table.certificate), key=Path(table.key))
        credentials = Credentials(shown, server=True, required=False)
    except ConfigError as error:
        faults = [replace(one, key=one.key.replace("tls.", "web.", 1)) for one in error.faults]
        raise ConfigError(faults) from error

    def now(connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = credentials.context()

    first = credentials.context()
    first.sni_callback = now
    return first
