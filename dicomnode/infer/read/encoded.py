"""One encoded frame, as it goes to the process that decodes it."""

from __future__ import annotations

from dataclasses import dataclass
from socket import socket
from struct import Struct

#: What the decoding process sends when it can be given frames.
READY = b"+"

_HEAD = Struct(">64sIIHH?Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A codestream, and what its decoder has to be told.

    Attributes
    ----------
    bits_allocated, bits_stored, signed
        Of the decoded values, which JPEG-LS does not leave to the header (PS3.5 8.1.1).
    """

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    codestream: bytes

    @property
    def decoded_bytes(self) -> int:
        """How long the decoded values are."""
        return self.rows * self.columns * self.bits_allocated // 8

    def send(self, to: socket) -> None:
        """Write it; what it describes fits into the header, or it would be no DICOM image."""
        layout = (self.rows, self.columns, self.bits_allocated, self.bits_stored, self.signed)
        to.sendall(_HEAD.pack(self.syntax.encode("ascii"), *layout, len(self.codestream)))
        to.sendall(self.codestream)

    @classmethod
    def receive(cls, sender: socket) -> Encoded | None:
        """The next one; None when the sender is gone."""
        head = received(sender, _HEAD.size)
        if head is None:
            return None
        syntax, rows, columns, allocated, stored, signed, length = _HEAD.unpack(head)
        codestream = received(sender, length)
        if codestream is None:
            return None
        return cls(
            syntax=syntax.rstrip(b"\0").decode("ascii"),
            rows=rows,
            columns=columns,
            bits_allocated=allocated,
            bits_stored=stored,
            signed=signed,
            codestream=bytes(codestream),
        )


def received(sender: socket, length: int) -> bytearray | None:
    """So many bytes; None when the sender ends before."""
    content = bytearray(length)
    view, done = memoryview(content), 0
    while done < length:
        got = sender.recv_into(view[done:])
        if not got:
            return None
        done += got
    return content
