"""Answers STOW-RS on a port of its own in a thread of the process that listens."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from threading import Event, Thread
from time import monotonic
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from dicomnode.domain.certificate import Certificate
from dicomnode.domain.network import Shown
from dicomnode.tls.credentials import Credentials
from dicomnode.web.stow import Reception, router
from dicomnode.web.stow_port import listening

log = structlog.get_logger(__name__)

PREFIX = "/dicomweb"

#: The server looks every 0.1 s whether it shall end (uvicorn's `main_loop`).
_LEAVE_SECONDS = 2.0

#: Nothing that is posted here has more header fields.
_MOST_HEAD_BYTES = 65536


class _Protocol(H11Protocol):
    """HTTP of one connection, on which a request has to come in time; tells what certificate the caller shows."""

    patience_seconds = 30.0
    _until: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        secured = transport.get_extra_info("ssl_object")
        decoded = secured.getpeercert() if secured is not None else None
        certificate = Certificate.of(decoded) if decoded else None
        self.app_state = {**self.app_state, "shown": Shown(secure=secured is not None, certificate=certificate)}
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Give the caller time for the head of its request, however it is dribbled."""
        if not self._is_idle():
            self._forget()
        elif self._until is None:
            self._until = self.loop.call_later(self.patience_seconds, self.transport.close)

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _forget(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None


class _Server(uvicorn.Server):
    """Tells when it has given its port back, which is long before the last request has been answered."""

    def __init__(self, config: uvicorn.Config, patience_seconds: float) -> None:
        super().__init__(config)
        self.left = Event()
        self._patience_seconds = patience_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As that of uvicorn, which leaves a minute for TLS and prints what the event loop has to say."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_told)
        await self.lifespan.startup()
        patience = self._patience_seconds if self.config.ssl is not None else None
        self.servers = [
            await loop.create_server(self._protocol, sock=one, ssl=self.config.ssl, ssl_handshake_timeout=patience)
            for one in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in (*self.servers, *(sockets or ())):
            one.close()
        self.left.set()
        await super().shutdown(sockets)


class StowListener:
    """Takes requests on one port.

    Parameters
    ----------
    host, port
        Where to listen; port 0 lets the system choose.
    credentials
        What is shown and trusted there; None for plain HTTP.
    inherited
        Descriptor of a socket that listens there already; closed with this listener, whoever else has it goes on.
        None: an own one.

    Raises
    ------
    ConfigError
        The port is taken, or the host is no address of this machine.
    """

    def __init__(
        self,
        reception: Reception,
        *,
        host: str,
        port: int,
        credentials: Credentials | None = None,
        inherited: int | None = None,
    ) -> None:
        self._socket = listening(host, port, inherited, reception.census, reception.tally)
        self.port = int(self._socket.getsockname()[1])
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.state.stow = reception
        app.include_router(router, prefix=PREFIX)
        # What uvicorn has to say of strangers is no news, and a path names a study.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        patience = reception.limits.acse_timeout_seconds
        self._config = uvicorn.Config(
            app,
            # Others take connections without asking the port.
            loop="asyncio",
            http=type("_Patient", (_Protocol,), {"patience_seconds": patience}),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=max(1, round(patience)),
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        )
        self._config.load()
        self._config.ssl = _replaced(credentials) if credentials is not None else None
        self._server = _Server(self._config, patience)
        self._thread: Thread | None = None
        self._until: float | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="stow-listener", daemon=True)
        self._thread.start()
        log.info("listening", port=self.port, tls=self._config.ssl is not None, address=PREFIX)

    def leave(self, grace_seconds: float | None) -> None:
        """Give the port back, and let requests under way finish, within `grace_seconds` or however long that takes."""
        self._until = None if grace_seconds is None else monotonic() + grace_seconds
        self._server.should_exit = True
        if self._thread is not None:
            # Another process may want the port at once.
            self._server.left.wait(_LEAVE_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether it listens, or anything is under way yet."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Wait until nothing is under way any more, and cut what is when the time of `leave` is over."""
        if self._thread is not None:
            self._thread.join(None if self._until is None else max(0.0, self._until - monotonic()))
            self._server.force_exit = True
            self._thread.join()
            self._thread = None
            log.info("stopped_listening", ports=[self.port])
        self._socket.close()


def _told(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log in one line what the event loop would print."""
    error = context.get("exception")
    log.error("listener_fault", what=context.get("message", ""), reason=f"{type(error).__name__}" if error else "")


def _replaced(credentials: Credentials) -> ssl.SSLContext:
    """A context that gives way to that of the files as they are when somebody calls."""

    def now(connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = credentials.context()

    first = credentials.context()
    first.sni_callback = now
    return first
