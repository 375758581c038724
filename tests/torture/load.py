"""Sends studies as fast as they are taken, over as many associations as wanted, from one thread.

What is sent is made of one study by exchanging UIDs of the same length, so that sending costs next to nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.fuzz import wire

#: Status of a C-STORE-RSP: (0000,0900), two bytes (PS3.7 9.3.1.2).
_STATUS = b"\x00\x00\x00\x09\x02\x00\x00\x00"
_ASSOCIATE_AC, _P_DATA, _RELEASE_RP = 2, 4, 6

#: A peer that waits for longer has been forgotten.
_PATIENCE_SECONDS = 60.0

#: Longest P-DATA-TF that is sent; the node takes 128 KiB.
_MOST_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The data sets of one study in Explicit VR Little Endian, and the UIDs in them that are to be exchanged."""

    contents: tuple[bytes, ...]
    study: bytes
    series: bytes
    frame_of_reference: bytes
    instances: tuple[bytes, ...]

    @classmethod
    def of(cls, files: Sequence[Path]) -> Template:
        """Take a study apart."""
        contents, instances = [], []
        for path in files:
            ds = dcmread(path)
            buffer = DicomBytesIO()
            buffer.is_implicit_VR, buffer.is_little_endian = False, True
            write_dataset(buffer, ds)
            contents.append(buffer.getvalue())
            instances.append(str(ds.SOPInstanceUID).encode())
        first = dcmread(files[0], stop_before_pixels=True)
        return cls(
            contents=tuple(contents), study=str(first.StudyInstanceUID).encode(),
            series=str(first.SeriesInstanceUID).encode(), frame_of_reference=str(first.FrameOfReferenceUID).encode(),
            instances=tuple(instances),
        )  # fmt: skip

    def study_number(self, number: int) -> bytes:
        """The Study Instance UID of that number."""
        return _numbered(self.study, number)

    def instance(self, number: int, position: int) -> tuple[bytes, bytes]:
        """SOP Instance UID and data set of one image of that study; beyond the first of them they are repeated."""
        which, again = position % len(self.contents), position // len(self.contents)
        uid = _numbered(self.instances[which], number, again)
        content = self.contents[which].replace(self.instances[which], uid)
        for old in (self.study, self.series, self.frame_of_reference):
            content = content.replace(old, _numbered(old, number))
        return uid, content


def _numbered(uid: bytes, *numbers: int) -> bytes:
    """A UID of the same length that depends on the numbers alone."""
    digits = str(int.from_bytes(hashlib.sha256(repr((uid, numbers)).encode()).digest(), "big"))
    return b"2.25." + f"1{digits}"[: len(uid) - 5].encode()


@dataclass(slots=True)
class Load:
    """What was sent to one port, and what was acknowledged.

    Attributes
    ----------
    acknowledged
        SHA-256 of each data set that was answered with Success, by SOP Instance UID.
    refused
        Answers other than Success, and associations that were not accepted.
    seconds
        How long each answer took, in order.
    """

    port: int
    template: Template
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    seconds: list[float] = field(default_factory=list)

    async def send(self, number: int, images: int) -> None:
        """Send one study of so many images over an association of its own.

        Raises
        ------
        TimeoutError
            The node has not answered for a minute.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(wire.associate_rq(b"ORTHANC", b"DICOMNODE"))
            if await _pdu(reader) != (_ASSOCIATE_AC, b""):
                self.refused += 1
                return
            for position in range(images):
                await self._store(reader, writer, *self.template.instance(number, position))
            writer.write(wire.RELEASE_RQ)
            await _pdu(reader)
        finally:
            writer.close()

    async def _store(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: bytes, content: bytes
    ) -> None:
        command = wire.command(wire.C_STORE, wire.CT, data=True, instance=uid)
        writer.write(wire.pdata((1, 3, command)))
        for at in range(0, len(content), _MOST_BYTES):
            last = at + _MOST_BYTES >= len(content)
            writer.write(wire.pdata((1, 2 if last else 0, content[at : at + _MOST_BYTES])))
        begun = asyncio.get_running_loop().time()
        kind, body = await _pdu(reader)
        self.seconds.append(asyncio.get_running_loop().time() - begun)
        at = body.find(_STATUS)
        if kind == _P_DATA and body[at + 8 : at + 10] == b"\0\0":
            self.acknowledged[uid.decode()] = hashlib.sha256(content).hexdigest()
        else:
            self.refused += 1

    def keep_busy(self, associations: int, images: int, until: Callable[[], bool], first: int = 0) -> int:
        """Keep so many associations sending one study after another until told; how many studies were begun."""
        numbers = iter(range(first, 1 << 30))
        begun = 0

        async def one() -> None:
            nonlocal begun
            while not until():
                begun += 1
                await self.send(next(numbers), images)

        async def all_of_them() -> None:
            await asyncio.gather(*(one() for _ in range(associations)))

        asyncio.run(all_of_them())
        return begun


async def _pdu(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Type of the next PDU, and what is in a P-DATA-TF."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        head = await reader.readexactly(6)
        body = await reader.readexactly(int.from_bytes(head[2:], "big"))
    return head[0], body if head[0] == _P_DATA else b""
