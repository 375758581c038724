"""The line between a supervisor and whoever wants something of it: a Unix socket in the store, one JSON per line."""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from dicomnode.domain.errors import DicomNodeError

#: A configuration is some kilobytes; nothing of this line is larger.
_MOST_BYTES = 4 << 20

#: struct ucred of SO_PEERCRED (unix(7)): process, user, group.
_CREDENTIALS = struct.Struct("3i")


class Line:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = connection.makefile("rb")

    def say(self, what: dict[str, Any]) -> None:
        """Send one message.

        Raises
        ------
        DicomNodeError
            The other side is gone.
        """
        try:
            self._connection.sendall(json.dumps(what, default=str).encode() + b"\n")
        except OSError as error:
            raise DicomNodeError(f"the other process is gone: {error.strerror}") from error

    def hear(self) -> dict[str, Any]:
        """The next message.

        Raises
        ------
        DicomNodeError
            The other side is gone or says nothing that can be understood.
        """
        try:
            line = self._reader.readline(_MOST_BYTES)
        except OSError as error:
            raise DicomNodeError(f"the other process says nothing: {error.strerror or 'timed out'}") from error
        if not line.endswith(b"\n"):
            raise DicomNodeError("the other process has ended meanwhile")
        try:
            heard = json.loads(line)
        except ValueError as error:
            raise DicomNodeError("the other process is of another version") from error
        if not isinstance(heard, dict):
            raise DicomNodeError("the other process is of another version")
        return heard

    @property
    def who(self) -> str:
        """The login of whoever is at the other end, as the system knows it."""
        raw = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        number = _CREDENTIALS.unpack(raw)[1]
        with suppress(KeyError):
            return pwd.getpwuid(number).pw_name
        return f"uid {number}"

    def close(self) -> None:
        """End the connection."""
        self._reader.close()
        self._connection.close()


@contextmanager
def _address(folder: Path, role: str) -> Iterator[str]:
    """Where the supervisor of a role listens; by its folder's descriptor, since a path may be too long (unix(7))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{role}.sock"
    finally:
        os.close(descriptor)


def opened(folder: Path, role: str) -> socket.socket:
    """A socket that listens for a role, whose lock is held: what lies there is of one that was killed."""
    (folder / f"{role}.sock").unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # What is bound gets the mode of the socket (Linux), never more than this; the umask is that of all threads.
    os.fchmod(listening.fileno(), 0o600)
    with _address(folder, role) as address:
        listening.bind(address)
    listening.listen()
    return listening


def called(folder: Path, role: str, seconds: float) -> Line | None:
    """A connection to the supervisor that listens for a role; None where there is none.

    Raises
    ------
    DicomNodeError
        It belongs to another account.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        with _address(folder, role) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        text = f"node on the store {folder}: cannot be asked ({error.strerror}); run this as the account of the node"
        raise DicomNodeError(text) from error
    return Line(connection)


@contextmanager
def heard(connection: socket.socket, seconds: float) -> Iterator[Line]:
    """A connection that came, for as long as it is served."""
    connection.settimeout(seconds)
    with closing(Line(connection)) as line:
        yield line
