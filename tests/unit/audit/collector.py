"""A collector for syslog over TLS that counts what it gets, and goes away when a test says so."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from tests.certificates import Authority


class CollectorStandIn:
    """Listens on a free port of the loopback interface; `stop` keeps the port for the next `start`."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.ca = authority.certificate
        own = authority.issue("collector")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own.certificate, own.key)
        self.port = 0
        self.frames: list[bytes] = []
        self.news = Event()
        self._connection: ssl.SSLSocket | None = None

    def start(self) -> CollectorStandIn:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and the connection, as a service that is restarted does."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def sequences(self) -> list[int]:
        """`sequenceId` of what has come."""
        return [int(re.findall(rb'\[meta sequenceId="(\d+)"\]', frame)[0]) for frame in self.frames]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
                    self._connection = connection
                    self._read(connection)

    def _read(self, connection: ssl.SSLSocket) -> None:
        stream = connection.makefile("rb")
        while True:
            length = b""
            while (one := stream.read(1)) not in (b" ", b""):
                length += one
            if not one:
                return
            self.frames.append(stream.read(int(length)))
            self.news.set()
