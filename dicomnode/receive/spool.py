"""Writes a C-STORE's data set to disk as it arrives, and survives a disk that will not take it."""

from __future__ import annotations

from pathlib import Path
from queue import Empty
from struct import Struct
from tempfile import NamedTemporaryFile
from typing import Any

import structlog
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.pdu_primitives import P_DATA

from dicomnode.domain.commitment import PUSH_MODEL
from dicomnode.domain.decoding import DECODING_FAULTS
from dicomnode.domain.errors import OutOfResources
from dicomnode.receive.waiting import TICK_SECONDS

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


class Spooled:
    """A Part 10 file that grows with every fragment received.

    The network thread may not raise: pynetdicom answers that by dropping the connection without a word. So an error of
    the disk is kept until `finish`, where the peer can be told.

    Attributes
    ----------
    name
        Path of the file, "" when it could not be created; pynetdicom removes it after the C-STORE is answered.
    size_bytes
        Of the data set so far, written or not.
    """

    def __init__(self, folder: Path, preface: bytes, maximum_bytes: int) -> None:
        self.name = ""
        self.size_bytes = 0
        self._maximum_bytes = maximum_bytes
        self._error: OSError | OutOfResources | None = None
        self._file: Any = None
        try:
            self._file = NamedTemporaryFile(dir=folder, prefix="arriving-", suffix=".part", delete=False)  # noqa: SIM115
            self.name = self._file.name
            self._file.write(preface)
        except OSError as error:
            self._error = error

    @property
    def file(self) -> Spooled:
        """What pynetdicom flushes after every fragment: nothing needs to be on the disk before `finish`."""
        return self

    def flush(self) -> None:
        """Leave the bytes in the buffer."""

    def write(self, fragment: bytes) -> None:
        """Append `fragment`; after a failure the rest of the data set is received and forgotten."""
        self.size_bytes += len(fragment)
        if self._error is not None:
            return
        try:
            if self.size_bytes > self._maximum_bytes:
                self._error = OutOfResources(f"object: longer than {self._maximum_bytes >> 20} MiB, the limit here")
                self._file.truncate(0)
                return
            self._file.write(fragment)
        except OSError as error:
            self._error = error

    def finish(self) -> Path:
        """Path of the complete file.

        Raises
        ------
        OSError
            The first error met while the data set was written.
        OutOfResources
            It is longer than the node takes.
        """
        if self._error is None:
            self._file.flush()
            return Path(self.name)
        raise self._error

    def close(self) -> None:
        """Close the file; whatever could not be written has been told by `finish`."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError:
            self._file = None

    def discard(self) -> None:
        """Close and remove the file if it is still there."""
        self.close()
        if self.name:
            Path(self.name).unlink(missing_ok=True)


class SpoolingProvider(DIMSEServiceProvider):
    """A DIMSE provider that gives every incoming C-STORE a `Spooled` file in `folder`.

    pynetdicom's own chunked reception is a switch for the whole process, writes to the directory that tempfile happens
    to use, leaves its file behind when the association ends early, and ends the connection when the disk is full.
    """

    def __init__(self, association: Association, folder: Path, maximum_object_bytes: int) -> None:
        super().__init__(association)
        self._folder = folder
        self._maximum_object_bytes = maximum_object_bytes
        self._command_bytes = 0

    def get_msg(self, block: bool = False) -> Any:
        """The next message; (None, None) after a while without one, or as soon as the peer releases or aborts."""
        try:
            return self.msg_queue.get(timeout=self.dimse_timeout if block else TICK_SECONDS)
        except Empty:
            return None, None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one P-DATA, fragment by fragment, since a command and its data may share one (PS3.8 9.3.5.1)."""
        for context_id, content in primitive.presentation_data_value_list:
            try:
                fault = self._take(context_id, content)
            except DECODING_FAULTS as error:
                fault = f"command set: {type(error).__name__}, needed one as of PS3.7 6.3"
            if fault:
                log.warning("message_refused", reason=fault)
                self.dul.event_queue.put(_INVALID)
                return

    def _take(self, context_id: int, content: bytes) -> str:
        """Take one fragment; what is wrong with it, or ""."""
        fault = self._fault(content)
        if fault:
            return fault
        message = self.message = self.message or DIMSEMessage()
        single = P_DATA()
        single.presentation_data_value_list.append((context_id, content))
        if message.decode_msg(single, self.assoc):
            # Requests for reports of events would each start a thread in pynetdicom's own provider.
            request: Any = message.message_to_primitive()
            self.msg_queue.put((context_id if message.context_id is None else message.context_id, request))
            self.message = None
        elif isinstance(message, C_STORE_RQ) and message._data_set_file is None:
            spooled = Spooled(self._folder, self._preface(message), self._maximum_object_bytes)
            message._data_set_file = spooled  # type: ignore[assignment]
        return ""

    def _fault(self, content: bytes) -> str:
        """Why a fragment cannot be what follows; "" if it can."""
        if not content:
            return "fragment without a message control header (PS3.8 E.2)"
        spooled = getattr(self.message, "_data_set_file", None)
        complete = self.message is not None and type(self.message) is not DIMSEMessage
        is_command = content[0] & 1
        if is_command and complete:
            return "command where its data set was to follow (PS3.7 6.3.1)"
        if not is_command and not complete:
            return "data set without a command (PS3.7 6.3.1)"
        if self.message is None and self.msg_queue.qsize() > _MOST_WAITING:
            return f"more than {_MOST_WAITING} requests at a time, which was not negotiated (PS3.7 D.3.3.3)"
        if isinstance(spooled, Spooled):
            if spooled.size_bytes > _FORGOTTEN_TIMES * self._maximum_object_bytes:
                return f"object of more than {_FORGOTTEN_TIMES} times the limit of {self._maximum_object_bytes} bytes"
            return ""
        self._command_bytes = len(content) + (self._command_bytes if self.message is not None else 0)
        most = _MOST_COMMITMENT_BYTES if self._is_commitment() else _MOST_COMMAND_BYTES
        if self._command_bytes > most:
            return f"message of more than {most} bytes that is no object to store"
        return ""

    def _is_commitment(self) -> bool:
        """Whether what is being received is a request or report of storage commitment that was negotiated."""
        message = self.message
        if not isinstance(message, N_ACTION_RQ | N_EVENT_REPORT_RQ):
            return False
        context = self.assoc._accepted_cx.get(message.context_id or 0)
        return context is not None and context.abstract_syntax == PUSH_MODEL

    def _preface(self, message: DIMSEMessage) -> bytes:
        context = self.assoc._accepted_cx.get(message.context_id or 0)
        if context is None:
            return b""  # the association is about to be aborted for it
        command = message.command_set
        return part_10_preface(
            str(command.get("AffectedSOPClassUID", "")),
            str(command.get("AffectedSOPInstanceUID", "")),
            str(context.transfer_syntax[0]),
        )

    def discard(self) -> None:
        """Remove the files of data sets that were never answered: half received, or queued behind an abort."""
        # The network thread has ended, so nobody else touches these.
        spooled = [getattr(self.message, "_data_set_file", None)]
        spooled += [getattr(request, "_dataset_file", None) for _, request in self.msg_queue.queue]
        for each in spooled:
            if isinstance(each, Spooled):
                each.discard()
