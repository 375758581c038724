"""Frames decoded in processes of their own, so that a damaged one costs no more than such a process."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import socket
import subprocess
import sys
from threading import BoundedSemaphore

from pydicom.uid import UID

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.encoded import READY, Encoded, received

_MODULE = "dicomnode.infer.read.codec"

#: One for each core; what waits for them scales no better with more.
_MOST = min(4, os.cpu_count() or 1)

#: It takes 0.1 s to start one; a machine that swaps takes its time.
_START_SECONDS = 60

#: To notice that its socket is closed; only one that hangs does not.
_END_SECONDS = 10

#: The process limits its own processor time; this is for one that does not get any. Below the share of a core that
#: this leaves nothing else would get done either.
_WALL_SECONDS = 60
_WALL_SECONDS_PER_MIB = 20


class _Codec:
    """One decoding process.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_START_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=theirs.fileno(),
                # What codecs print tells nobody anything, and may be copied from the frame.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            ready = received(self._socket, len(READY)) is not None
        except (ConnectionError, TimeoutError):
            ready = False
        if not ready:
            self.end()
            raise OSError(errno.ECHILD, "the process that decodes compressed pixels does not start")

    def decoded(self, encoded: Encoded) -> bytearray | None:
        """The values, little endian; None if the process ended at it.

        Raises
        ------
        TimeoutError
            If it neither answers nor ends.
        """
        self._socket.settimeout(_WALL_SECONDS + _WALL_SECONDS_PER_MIB * (encoded.decoded_bytes >> 20))
        try:
            encoded.send(self._socket)
            return received(self._socket, encoded.decoded_bytes)
        except ConnectionError:
            return None
        except TimeoutError as error:
            raise TimeoutError(errno.ETIMEDOUT, "the process that decodes compressed pixels does not answer") from error

    def end(self) -> int:
        """Its exit status, negative for the signal that ended it."""
        self._socket.close()
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def disown(self) -> None:
        """Let go of one that belongs to the process from which this one was forked."""
        self._socket.close()


class _Codecs:
    """The decoding processes of this one, started when first needed and used again."""

    def __init__(self) -> None:
        self._slots, self._idle = BoundedSemaphore(_MOST), list[_Codec]()

    def decoded(self, encoded: Encoded) -> tuple[bytearray | None, int]:
        """What one of them makes of a frame, and how it ended if it did."""
        with self._slots:
            # Of one call: another thread may take the last one in between.
            try:
                codec = self._idle.pop()
            except IndexError:
                codec = _Codec()
            values = None
            try:
                values = codec.decoded(encoded)
            finally:
                status = 0 if values is not None else codec.end()
            if values is not None:
                self._idle.append(codec)
            return values, status

    def end(self) -> None:
        """End those that have nothing to do."""
        while self._idle:
            self._idle.pop().end()

    def forked(self) -> None:
        """Begin anew in a process that has been forked from that of these."""
        for codec in self._idle:
            codec.disown()
        self._slots, self._idle = BoundedSemaphore(_MOST), []


_CODECS = _Codecs()
atexit.register(_CODECS.end)
os.register_at_fork(after_in_child=_CODECS.forked)


def decoded(subject: str, encoded: Encoded) -> bytearray:
    """The values of a frame, little endian, by row.

    Raises
    ------
    Unsuitable
        If the decoder refuses the frame, ends at it, or takes too long for it.
    OSError
        If the decoder cannot be started, or is being killed.
    """
    values, status = _CODECS.decoded(encoded)
    if status == -signal.SIGKILL:
        # By the system that is out of memory, or by somebody; the frame has nothing to do with it.
        values, status = _CODECS.decoded(encoded)
    if values is not None:
        return values
    if status == -signal.SIGKILL:
        raise OSError(errno.ENOMEM, "the process that decodes compressed pixels was killed twice")
    if status == -signal.SIGXCPU:
        found = "encoded pixels that take the decoder too long"
    else:
        found = "encoded pixels that are damaged, or of a kind that the decoder does not know"
    name = UID(encoded.syntax).name
    raise Unsuitable(f"{subject}: {found}, needed pixels that can be decoded (transfer syntax {name})")
