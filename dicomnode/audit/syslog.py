"""Sends the trail to a collector by syslog over TLS (RFC 5424, RFC 5425), each message until it has arrived."""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from threading import Event as Flag

import structlog

from dicomnode.audit.chain import Link
from dicomnode.audit.genuine import Genuine
from dicomnode.audit.head import hand_over
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.network import Tls
from dicomnode.tls.connection import SecureSocket, reason_of
from dicomnode.tls.credentials import Credentials

log = structlog.get_logger(__name__)

#: Facility 10 (security) with severity 5 (notice), and 4 (warning) for what has not succeeded (PS3.15 A.6).
_NOTICE, _WARNING = 10 * 8 + 5, 10 * 8 + 4
_FAILED = re.compile(rb'EventOutcomeIndicator="(?!0")')

#: PS3.15 A.6 names it for messages of its schema.
_MESSAGE_ID = "DICOM+RFC3881"

#: The number of a line as `sequenceId` goes up to here, and then begins with 1 again (RFC 5424 7.3.1).
_LARGEST_SEQUENCE_ID = 2147483647

#: Sent before it is asked whether they have arrived; so many may come twice after a crash.
BATCH = 16

_CONNECT_SECONDS = 10.0
#: A receiver that takes no bytes for so long is gone.
_ARRIVAL_SECONDS = 30.0
#: Within this a receiver that does not believe our certificate says so; in TLS 1.3 that comes after the handshake
#: (RFC 8446 4.4.3), when bytes may have been taken already.
_OBJECTION_SECONDS = 0.5

#: Waiting times between attempts, doubling.
_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 300.0

#: How often the files are looked at for new lines.
_IDLE_SECONDS = 0.5

_POSITION = "sent"
_POSITION_BYTES = 24


def framed(line: Link, host: str) -> bytes:
    """A line of the trail as one frame of RFC 5425: its length, a blank, and a message of RFC 5424."""
    priority = _WARNING if _FAILED.search(line.message, 0, 600) else _NOTICE
    number = (line.sequence - 1) % _LARGEST_SEQUENCE_ID + 1
    header = f'<{priority}>1 {line.at} {host} dicomnode - {_MESSAGE_ID} [meta sequenceId="{number}"] '
    # The byte order mark says that what follows is UTF-8 (RFC 5424 6.4).
    message = header.encode("ascii") + b"\xef\xbb\xbf" + line.message
    return b"%d %s" % (len(message), message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Where the trail goes; over TLS with a certificate that names this host (RFC 5425 5.2)."""

    host: str
    port: int
    tls: Tls

    def connect(self) -> Connection:
        """A connection to it.

        Raises
        ------
        OSError, ConfigError
            There is none; one of our files cannot be used.
        """
        context = Credentials(self.tls, server=False).context()
        plain = socket.create_connection((self.host, self.port), timeout=_CONNECT_SECONDS)
        try:
            secured = context.wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise
        assert isinstance(secured, SecureSocket)
        return Connection(secured)


class Connection:
    """A connection on which frames are sent; syslog has no answers, so the ones of TCP count."""

    def __init__(self, secured: SecureSocket) -> None:
        self._socket = secured
        self._socket.settimeout(_ARRIVAL_SECONDS)
        self._is_new = True

    def send(self, frames: Sequence[bytes]) -> int:
        """Send frames; how many have arrived. The first on a connection goes alone, in case it is objected to.

        Raises
        ------
        OSError
            The connection is lost, and which of them have arrived is not known.
        """
        count = 1 if self._is_new else len(frames)
        self._socket.sendall(b"".join(frames[:count]))
        until = time.monotonic() + _ARRIVAL_SECONDS
        while self._unacknowledged():
            if time.monotonic() > until:
                raise TimeoutError(f"nothing was taken within {_ARRIVAL_SECONDS:g} s")
            self.objection(0.005)
        self.objection(_OBJECTION_SECONDS if self._is_new else 0.0)
        self._is_new = False
        return count

    def objection(self, seconds: float) -> None:
        """Wait for the end of the connection; a receiver never sends anything else.

        Raises
        ------
        OSError
            The connection is over.
        """
        waiting = select.poll()  # select(2) fails for descriptors from 1024 on
        waiting.register(self._socket.fileno(), select.POLLIN)
        readable = waiting.poll(seconds * 1000)
        if readable and self._socket.arrived() and not self._socket.recv():
            raise ConnectionResetError(104, "the collector closed the connection")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _unacknowledged(self) -> int:
        """Bytes that the other system has not acknowledged yet (SIOCOUTQ, tcp(7))."""
        left: tuple[int] = struct.unpack("i", ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        return left[0]


class Forwarder:
    """Sends every line of the trail once, in order, from where the last process has come.

    Parameters
    ----------
    folder
        Of the trail; what was sent is noted there.
    connect
        A new connection to the collector.
    """

    def __init__(self, folder: Path, connect: Callable[[], Connection], host: str = "") -> None:
        self._folder, self._connect = folder, connect
        self._host = re.sub(r"[^\x21-\x7e]", "", host or socket.getfqdn())[:255] or "-"
        self._failures = 0

    def run(self, stop: Flag) -> None:
        """Forward until stopped; a collector that is away is tried again for as long as it takes."""
        while not stop.is_set():
            try:
                cursor = Genuine(self._folder, read_position(self._folder))
                # Nobody is connected to before there is something to send.
                while (first := cursor.next()) is None and not stop.wait(_IDLE_SECONDS):
                    pass
                if first is not None:
                    self._forward(first, cursor, stop)
            except (OSError, ConfigError) as error:
                self._failures += 1
                wait_seconds = min(_FIRST_SECONDS * 2 ** min(self._failures - 1, 20), _LONGEST_SECONDS)
                reason = reason_of(error) if isinstance(error, OSError) else str(error)
                log.warning("audit_trail_not_forwarded", reason=reason, again_in_seconds=wait_seconds)
                stop.wait(wait_seconds)

    def _forward(self, first: Link, cursor: Genuine, stop: Flag) -> None:
        waiting = [first]
        with closing(self._connect()) as connection, _Position(self._folder) as position:
            while not stop.is_set():
                while len(waiting) < BATCH and (line := cursor.next()) is not None:
                    waiting.append(line)
                if not waiting:
                    connection.objection(0.0)
                    position.settle()
                    stop.wait(_IDLE_SECONDS)
                    continue
                count = connection.send([framed(line, self._host) for line in waiting])
                position.write(waiting[count - 1].sequence)
                if self._failures:
                    log.info("audit_trail_forwarded_again", attempts=self._failures)
                    self._failures = 0
                del waiting[:count]


class _Position:
    """The number of the last line that has arrived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settled = True

    def __enter__(self) -> _Position:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._folder / _POSITION, flags, 0o600)
        hand_over(self._descriptor, self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.settle()
        os.close(self._descriptor)

    def write(self, sequence: int) -> None:
        """Note it; safe from a kill, and from a power failure once settled."""
        # Of one length, so that a write is whole or not there.
        os.pwrite(self._descriptor, str(sequence).ljust(_POSITION_BYTES - 1).encode() + b"\n", 0)
        self._settled = False

    def settle(self) -> None:
        """Have what was noted on the disk."""
        if not self._settled:
            os.fsync(self._descriptor)
            self._settled = True


def read_position(folder: Path) -> int:
    """The number of the last line that the collector has; 0 for none."""
    try:
        return _number((folder / _POSITION).read_bytes())
    except FileNotFoundError:
        return 0


def _number(content: bytes) -> int:
    text = content.strip()
    return int(text) if text.isdigit() and len(text) < _POSITION_BYTES else 0
