"""A TCP proxy that resets every connection in the middle of what is sent."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

#: No linger: closing sends RST and throws away what is buffered (socket(7)).
_RESET = struct.pack("ii", 1, 0)

_BUFFER_BYTES = 4096


class Proxy:
    """Forwards connections to a port of this machine.

    Parameters
    ----------
    target
        Port to forward to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._left: int | None = None
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.cuts = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()

    def cut_after(self, octets: int) -> None:
        """Reset all connections once the callers together have sent this many bytes more."""
        with self._lock:
            self._left = octets

    def close(self) -> None:
        """End everything."""
        self._server.close()
        self._cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                try:
                    called = socket.create_connection(("127.0.0.1", self._target), timeout=10)
                except OSError:
                    caller.close()
                    continue
                called.settimeout(None)
                with self._lock:
                    self._pairs.append((caller, called))
                for ends in ((caller, called, True), (called, caller, False)):
                    threading.Thread(target=self._relay, args=ends, daemon=True, name="relay").start()

    def _relay(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_BUFFER_BYTES):
                data, reached = self._count(data) if counted else (data, False)
                sink.sendall(data)
                if reached:
                    self._cut()
        # Not closed: the other thread may still read from it.
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, data: bytes) -> tuple[bytes, bool]:
        """What may still be forwarded, and whether it is the last."""
        with self._lock:
            if self._left is None:
                return data, False
            if len(data) < self._left:
                self._left -= len(data)
                return data, False
            data, self._left = data[: self._left], None
            self.cuts += 1
            return data, True

    def _cut(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RD)
                end.close()
