"""A TLS connection that can be asked whether data has arrived without waiting for it."""

from __future__ import annotations

import ssl
from typing import Any

#: One record holds at most 2^14 bytes (RFC 8446 5.1).
_RECORD_BYTES = 1 << 14


def reason_of(error: OSError) -> str:
    """Why there is no TLS connection, in the words of OpenSSL or of the system."""
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else error.strerror or str(error)


class SecureSocket(ssl.SSLSocket):
    """A connection made by a context of `credentials`; one thread reads it.

    What the operating system calls readable may be no data of the application at all: half a record, or a message of
    TLS itself, such as the session tickets which a server sends after the handshake (RFC 8446 4.6.1). Whoever reads
    then waits, and the network thread of an association that waits there does not send what the peer waits for.
    """

    _ahead: bytes = b""
    _failure: OSError | None = None

    def arrived(self) -> bool:
        """Whether `recv` and `recv_into` return at once; True at the end of the data and after an error, too."""
        if self._ahead or self._failure is not None:
            return True
        waits = self.gettimeout()
        try:
            self.settimeout(0)
            self._ahead = self.recv(_RECORD_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            return False
        except OSError as error:
            # For whoever reads next, where it is expected.
            self._failure = error
        finally:
            if self.fileno() >= 0:
                self.settimeout(waits)
        return True

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Data of the application, at most `buflen` bytes."""
        if self._ahead:
            taken, self._ahead = self._ahead[:buflen], self._ahead[buflen:]
            return taken
        self._fail()
        return super().recv(buflen, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Data of the application into `buffer`, as many bytes as it or `nbytes` takes; the number of bytes."""
        if self._ahead:
            taken = self.recv(nbytes or len(buffer))
            buffer[: len(taken)] = taken
            return len(taken)
        self._fail()
        return super().recv_into(buffer, nbytes, flags)

    def _fail(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
