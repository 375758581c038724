"""Takes a multipart/related body apart as it comes, without ever holding more of it than one block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message

from dicomnode.domain.errors import DicomNodeError

#: Of what stands before the first or after the last boundary, which is to be ignored (RFC 2046 5.1.1).
_MOST_IGNORED_BYTES = 65536

#: Of the header fields of one part; a media type and an address take a few hundred.
_MOST_HEAD_BYTES = 8192

#: RFC 2046 5.1.1: these characters, not a space at the end; it allows 70 of them, and Orthanc's has 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]")


class Malformed(DicomNodeError):
    """The body is not what its header says, so that no more of it can be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A part begins.

    Attributes
    ----------
    media_type
        Lower case, without parameters; "" where it names none.
    """

    media_type: str


@dataclass(frozen=True, slots=True)
class End:
    """The part that was under way is complete."""


#: What happens in a body: the beginning of a part, bytes of it, and its end.
Event = Head | bytes | End


def media_type(field: str) -> tuple[str, str, str]:
    """Media type, `type` and `boundary` of a Content-Type header field (RFC 2045 5.1), "" for what it lacks."""
    message = Message()
    message["Content-Type"] = field
    kind, *others = message.get_params([("", "")])
    # One in the form of RFC 2231 is a tuple, whatever is declared.
    named: dict[str, object] = {name.lower(): value for name, value in others}
    of, boundary = (one if isinstance(one, str) else "" for one in (named.get("type"), named.get("boundary")))
    return kind[0].strip().lower(), of.strip().lower(), boundary


class Multipart:
    """A body that comes block by block.

    Raises
    ------
    Malformed
        The boundary is none.
    """

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise Malformed("Content-Type: multipart/related needs a boundary of 1 to 200 characters (RFC 2046 5.1.1)")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first boundary may stand at the very beginning, where no line has ended before it.
        self._buffer = bytearray(b"\r\n")
        self._step: Callable[[], tuple[Event, ...] | None] = self._preamble
        self._skipped = 0
        self._ended = False

    def feed(self, block: bytes) -> Iterator[Event]:
        """What `block` brings; has to be used up.

        Raises
        ------
        Malformed
            What follows cannot be understood.
        """
        if self._ended:
            self._ignore(len(block))  # the epilogue (RFC 2046 5.1.1)
            return
        self._buffer += block
        while (found := self._step()) is not None:
            yield from found

    def finish(self) -> None:
        """Make sure that the body is complete.

        Raises
        ------
        Malformed
            It ends before its last boundary.
        """
        if not self._ended:
            raise Malformed("body: ends before the last boundary, and may have been cut off")

    def _preamble(self) -> tuple[Event, ...] | None:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            left = max(0, len(self._buffer) - len(self._delimiter) + 1)
            del self._buffer[:left]
            self._ignore(left)
            return None
        del self._buffer[: at + len(self._delimiter)]
        self._step = self._boundary
        return ()

    def _boundary(self) -> tuple[Event, ...] | None:
        """What follows a boundary: two hyphens after the last one, else blanks and the end of the line."""
        if self._buffer.startswith(b"--"):
            self._ended = True
            self._skipped = len(self._buffer)
            self._buffer.clear()
            self._step = self._nothing
            return ()
        at = self._buffer.find(b"\r\n")
        line = self._buffer[: at if at >= 0 else len(self._buffer)]
        if line.strip(b" \t") if at >= 0 else len(line) > _MOST_HEAD_BYTES:
            raise Malformed("body: a boundary is followed by something else than the end of its line")
        if at < 0:
            return None
        # The line's end may be the one of the empty line after no header field at all.
        del self._buffer[:at]
        self._step = self._head
        return ()

    def _head(self) -> tuple[Event, ...] | None:
        at = self._buffer.find(b"\r\n\r\n")
        if at > _MOST_HEAD_BYTES or (at < 0 and len(self._buffer) > _MOST_HEAD_BYTES):
            raise Malformed(f"part: header fields of more than {_MOST_HEAD_BYTES} bytes")
        if at < 0:
            return None
        fields = bytes(self._buffer[2:at]).decode("latin-1")
        # Its line's end stays: a part without a single byte is followed by its boundary at once.
        del self._buffer[: at + 2]
        self._step = self._first
        return (Head(media_type=_type_of(fields)),)

    def _first(self) -> tuple[Event, ...] | None:
        if len(self._buffer) < len(self._delimiter):
            return None
        if self._buffer.startswith(self._delimiter):
            del self._buffer[: len(self._delimiter)]
            self._step = self._boundary
            return (End(),)
        del self._buffer[:2]
        self._step = self._body
        return ()

    def _body(self) -> tuple[Event, ...] | None:
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            content = bytes(self._buffer[:at])
            del self._buffer[: at + len(self._delimiter)]
            self._step = self._boundary
            return (content, End()) if content else (End(),)
        # The rest may be the beginning of a boundary.
        sure = len(self._buffer) - len(self._delimiter) + 1
        if sure <= 0:
            return None
        content = bytes(self._buffer[:sure])
        del self._buffer[:sure]
        return (content,)

    def _nothing(self) -> tuple[Event, ...] | None:
        return None

    def _ignore(self, count: int) -> None:
        self._skipped += count
        if self._skipped > _MOST_IGNORED_BYTES:
            raise Malformed(f"body: {_MOST_IGNORED_BYTES} bytes before the first or after the last boundary announced")


def _type_of(fields: str) -> str:
    for line in fields.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() == "content-type":
            return media_type(value.strip())[0]
    return ""
