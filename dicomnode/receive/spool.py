"""Writes a C-STORE's data set to disk as it arrives, and survives a disk that will not take it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from queue import Empty
from struct import Struct
from typing import Any

import structlog
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import N_ACTION_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA

from dicomnode.domain.commitment import PUSH_MODEL
from dicomnode.domain.decoding import DECODING_FAULTS
from dicomnode.domain.errors import OutOfResources
from dicomnode.receive.command import StoreRequest, command_pdus, store_request
from dicomnode.receive.waiting import TICK_SECONDS
from dicomnode.receive.writeback import begin_writing

log = structlog.get_logger(__name__)

#: What may come of a message outside a file: a command set has a few hundred bytes (PS3.7 Annex E), and no service of
#: this node but Storage takes a data set.
_MOST_COMMAND_BYTES = 65536

#: Of one for storage commitment: 30 000 objects, of which each takes 140 bytes (PS3.4 Table J.3-1).
_MOST_COMMITMENT_BYTES = 4 << 20

#: Messages that may wait for their answer: without the negotiation of asynchronous operations, which this node does not
#: take part in, a peer waits for one answer before it asks again (PS3.7 D.3.3.3); the rest is for abandoned requests.
_MOST_WAITING = 16

#: So many times the largest object is received (and forgotten) for the sake of an answer, then the peer is hung up on.
_FORGOTTEN_TIMES = 2

#: Control header of the last fragment of a command (PS3.8 E.2).
_LAST_OF_COMMAND = b"\3"

#: Names of files under way: a process that takes over has a number of its own, and one that gets the number of a former
#: process, as in a container, another word.
_WORD = secrets.token_hex(4)
_NUMBERS = count()

_INVALID = "Evt19"  # unrecognised or invalid PDU (PS3.8 Table 9-7)

_SHORT = Struct("<HH2sH")
_OTHER_BYTE = Struct("<HH2sHL")


def part_10_preface(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information of a Part 10 file (PS3.10 7.1)."""
    version = _OTHER_BYTE.pack(0x0002, 0x0001, b"OB", 0, 2) + b"\0\1"
    values = (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", PYNETDICOM_IMPLEMENTATION_UID),
        (0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION),
    )
    group = version
    for element, vr, text in values:
        value = text.encode("ascii", errors="replace")
        value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
        group += _SHORT.pack(0x0002, element, vr, len(value)) + value
    length = _SHORT.pack(0x0002, 0x0000, b"UL", 4) + len(group).to_bytes(4, "little")
    return b"\0" * 128 + b"DICM" + length + group


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


class Spooled:
    """A Part 10 file that grows with every fragment received.

    The network thread may not raise: pynetdicom answers that by dropping the connection without a word. So an error of
    the disk is kept until `finish`, where the peer can be told.

    Attributes
    ----------
    path
        Of the file, "" when it could not be created.
    data_set_start
        Where in it the data set begins.
    size_bytes
        Of the data set so far, written or not.
    """

    def __init__(self, folder: Path, preface: bytes, maximum_bytes: int) -> None:
        self.path = ""
        self.data_set_start = len(preface)
        self.size_bytes = 0
        self._maximum_bytes = maximum_bytes
        self._digest = sha256()
        self._error: OSError | OutOfResources | None = None
        self._descriptor = -1
        try:
            path = f"{folder}/arriving-{os.getpid()}-{_WORD}-{next(_NUMBERS)}.part"
            self._descriptor = _create(path)
            self.path = path
            self._write(preface)
        except OSError as error:
            self._error = error

    def write(self, fragment: bytes | memoryview) -> None:
        """Append `fragment`; after a failure the rest of the data set is received and forgotten."""
        self.size_bytes += len(fragment)
        if self._error is not None:
            return
        try:
            if self.size_bytes > self._maximum_bytes:
                self._error = OutOfResources(f"object: longer than {self._maximum_bytes >> 20} MiB, the limit here")
                os.ftruncate(self._descriptor, 0)
                return
            self._write(fragment)
            self._digest.update(fragment)
        except OSError as error:
            self._error = error

    def finish(self) -> tuple[str, str]:
        """Path of the complete file, and the SHA-256 of its data set.

        Raises
        ------
        OSError
            The first error met while the data set was written.
        OutOfResources
            It is longer than the node takes.
        """
        if self._error is not None:
            raise self._error
        # The disk works while the header is read.
        begin_writing(self._descriptor)
        return self.path, self._digest.hexdigest()

    def discard(self) -> None:
        """Close and remove the file if it is still there; whatever could not be written has been told by `finish`.

        One that a failing disk does not let go is left to the next sweep: whoever has to end may not fail here.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
        if self.path:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            except OSError as error:
                log.error("received_file_not_removed", reason=error.strerror)

    def _write(self, content: bytes | memoryview) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self._descriptor, left) :]


@dataclass(frozen=True, slots=True)
class _Arriving:
    """An object of which the command set has come, and the data set is coming."""

    context_id: int
    request: StoreRequest
    spooled: Spooled


class SpoolingProvider(DIMSEServiceProvider):
    """A DIMSE provider that serves every C-STORE in the network thread, out of a `Spooled` file in `folder`.

    Storing is what a listener does all day: it is done where the bytes arrive, without two threads handing each other a
    message and its answer. Everything else goes the way of pynetdicom. Its own chunked reception is a switch for the
    whole process, writes to the directory that tempfile happens to use, leaves its file behind when the association
    ends early, and ends the connection when the disk is full.

    Parameters
    ----------
    store
        Keeps an object that has come whole; the command set of the answer, empty for none.
    send
        Sends PDUs to the peer.
    """

    def __init__(
        self,
        association: Association,
        folder: Path,
        maximum_object_bytes: int,
        store: Callable[[int, StoreRequest, Spooled], bytes],
        send: Callable[[bytes], None],
    ) -> None:
        super().__init__(association)
        self._folder = folder
        self._maximum_object_bytes = maximum_object_bytes
        self._store, self._send = store, send
        self._command = bytearray()
        self._message_bytes = 0
        self._arriving: _Arriving | None = None

    @property
    def under_way(self) -> bool:
        """Whether the peer has begun a message that it has to finish."""
        return self.message is not None or self._arriving is not None or bool(self._command)

    def get_msg(self, block: bool = False) -> Any:
        """The next message; (None, None) after a while without one, or as soon as the peer releases or aborts."""
        try:
            return self.msg_queue.get(timeout=self.dimse_timeout if block else TICK_SECONDS)
        except Empty:
            return None, None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one P-DATA as pynetdicom hands it on; see `take`."""
        if not self.take(primitive.presentation_data_value_list):
            self.dul.event_queue.put(_INVALID)

    def take(self, values: Iterable[tuple[int, bytes | memoryview]]) -> bool:
        """Take what one P-DATA holds, one by one, since a command and its data may share one (PS3.8 9.3.5.1).

        Returns
        -------
        bool
            Whether it was what could follow; the log says why not.
        """
        try:
            fault = next((fault for context_id, content in values if (fault := self._take(context_id, content))), "")
        except DECODING_FAULTS as error:
            fault = f"command set: {type(error).__name__}, needed one as of PS3.7 6.3"
        if fault:
            log.warning("message_refused", reason=fault)
        return not fault

    def _take(self, context_id: int, content: bytes | memoryview) -> str:
        """Take one fragment; what is wrong with it, or ""."""
        if not len(content):
            return "fragment without a message control header (PS3.8 E.2)"
        is_command, is_last = content[0] & 1, content[0] & 2
        if is_command:
            if self._arriving is not None or self.message is not None:
                return "command where its data set was to follow (PS3.7 6.3.1)"
            return self._take_command(context_id, content[1:], bool(is_last))
        if self._arriving is not None:
            return self._take_object(self._arriving, context_id, content[1:], bool(is_last))
        if self.message is None:
            return "data set without a command (PS3.7 6.3.1)"
        return self._hand_on(context_id, bytes(content))

    def _take_command(self, context_id: int, part: bytes | memoryview, is_last: bool) -> str:
        if not self._command and self.msg_queue.qsize() > _MOST_WAITING:
            return f"more than {_MOST_WAITING} requests at a time, which was not negotiated (PS3.7 D.3.3.3)"
        if len(self._command) + len(part) > _MOST_COMMAND_BYTES:
            return _too_long(_MOST_COMMAND_BYTES)
        self._command += part
        if not is_last:
            return ""
        command = bytes(self._command)
        self._command.clear()
        request = store_request(command)
        if request is None:
            self._message_bytes = 0
            return self._hand_on(context_id, _LAST_OF_COMMAND + command)
        context = self.assoc._accepted_cx.get(context_id)
        if context is None:
            return f"C-STORE-RQ in presentation context {context_id}, which was not accepted (PS3.8 9.3.5.1)"
        preface = part_10_preface(request.sop_class_uid, request.sop_instance_uid, str(context.transfer_syntax[0]))
        self._arriving = _Arriving(context_id, request, Spooled(self._folder, preface, self._maximum_object_bytes))
        return "" if request.has_data_set else self._finish(self._arriving)

    def _take_object(self, arriving: _Arriving, context_id: int, part: bytes | memoryview, is_last: bool) -> str:
        if context_id != arriving.context_id:
            return f"data set in presentation context {context_id}, its command in {arriving.context_id}"
        arriving.spooled.write(part)
        if arriving.spooled.size_bytes > _FORGOTTEN_TIMES * self._maximum_object_bytes:
            return f"object of more than {_FORGOTTEN_TIMES} times the limit of {self._maximum_object_bytes} bytes"
        return self._finish(arriving) if is_last else ""

    def _finish(self, arriving: _Arriving) -> str:
        try:
            try:
                answer = self._store(arriving.context_id, arriving.request, arriving.spooled)
            finally:
                self._arriving = None
            if answer:
                longest = self.assoc.requestor.maximum_length or 0
                self._send(command_pdus(arriving.context_id, answer, longest))
        finally:
            # Nobody has to wait for this.
            arriving.spooled.discard()
        return ""

    def _hand_on(self, context_id: int, content: bytes) -> str:
        """Let pynetdicom take a fragment of a message that is no C-STORE; what is wrong with it, or ""."""
        self._message_bytes += len(content)
        most = _MOST_COMMITMENT_BYTES if self._is_commitment() else _MOST_COMMAND_BYTES
        if self._message_bytes > most:
            return _too_long(most)
        message = self.message = self.message or DIMSEMessage()
        single = P_DATA()
        single.presentation_data_value_list.append((context_id, content))
        if message.decode_msg(single, self.assoc):
            # Requests for reports of events would each start a thread in pynetdicom's own provider.
            request: Any = message.message_to_primitive()
            self.msg_queue.put((context_id if message.context_id is None else message.context_id, request))
            self.message = None
        return ""

    def _is_commitment(self) -> bool:
        """Whether what is being received is a request or report of storage commitment that was negotiated."""
        message = self.message
        if not isinstance(message, N_ACTION_RQ | N_EVENT_REPORT_RQ):
            return False
        context = self.assoc._accepted_cx.get(message.context_id or 0)
        return context is not None and context.abstract_syntax == PUSH_MODEL

    def discard(self) -> None:
        """Remove the file of a data set that has not come whole."""
        # The network thread has ended, so nobody else touches it.
        if self._arriving is not None:
            self._arriving.spooled.discard()


def _too_long(most: int) -> str:
    return f"message of more than {most} bytes that is no object to store"
