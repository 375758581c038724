"""How much memory an image may ask for before a byte of it is decoded: codecs take the word of whoever wrote it."""

from __future__ import annotations

import zlib
from pathlib import Path
from struct import unpack_from

from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.domain.errors import Unsuitable

#: Largest frame: mammograms, the largest greyscale planes in use, have 60 MB; this is some twenty of them.
MOST_FRAME_BYTES = 1 << 30

#: Largest deflated data set, inflated; pydicom inflates in memory, and deflate expands up to 1032 times.
MOST_INFLATED_BYTES = 2 << 30

_AT_ONCE_BYTES = 1 << 20
_PREFIX_BYTES = 132

#: The transfer syntax stands within the first bytes of a Part 10 file (PS3.10 7.1).
_META_BYTES = 1024

_SOI, _SOC = b"\xff\xd8", b"\xff\x4f\xff\x51"
#: Start of frame markers of JPEG (ISO 10918-1 Table B.1) and JPEG-LS (ISO 14495-1 C.1.1).
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
#: Markers without a segment, and the fill byte.
_ALONE = frozenset({0x01, 0xFF, *range(0xD0, 0xD9)})


def dimensions(codestream: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 codestream says it has; None if it is none of these."""
    if codestream.startswith(_SOC) and len(codestream) >= 24:
        # SIZ (ISO 15444-1 A.5.1): extent and offset of the image on the reference grid.
        right, bottom, left, top = unpack_from(">4L", codestream, 8)
        return bottom - top, right - left
    at = _start_of_frame(codestream)
    if at is None:
        return None
    rows, columns = unpack_from(">HH", codestream, at + 5)
    return rows, columns


def precision(codestream: bytes) -> int | None:
    """Bits of a sample that a JPEG or JPEG-LS codestream says it has; None if it is neither."""
    at = _start_of_frame(codestream)
    return None if at is None else codestream[at + 4]


def _start_of_frame(codestream: bytes) -> int | None:
    at = 2 if codestream.startswith(_SOI) else len(codestream)
    while at + 9 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker in _FRAMES:
            return at
        at += 1 if marker == 0xFF else 2 if marker in _ALONE else 2 + unpack_from(">H", codestream, at + 2)[0]
    return None


def require_frame(subject: str, rows: int, columns: int, bits_allocated: int) -> None:
    """Refuse a frame that is larger than any image.

    Raises
    ------
    Unsuitable
        With what it says of itself.
    """
    size_bytes = rows * columns * bits_allocated // 8
    if size_bytes > MOST_FRAME_BYTES:
        raise Unsuitable(
            f"{subject}: frames of {rows} × {columns} pixels, {size_bytes >> 20} MiB each, "
            f"needed at most {MOST_FRAME_BYTES >> 20} MiB"
        )


def require_codestream(subject: str, codestream: bytes, rows: int, columns: int) -> None:
    """Refuse a codestream that would decode to another size than the header says.

    Raises
    ------
    Unsuitable
        With both sizes.
    """
    found = dimensions(codestream)
    if found is not None and found != (rows, columns):
        raise Unsuitable(
            f"{subject}: encoded pixels of {found[0]} × {found[1]}, needed {rows} × {columns} as the header says"
        )


def require_inflatable(path: Path) -> None:
    """Refuse a deflated file that would fill the memory.

    Raises
    ------
    Unsuitable
        With the limit.
    """
    with path.open("rb") as file:
        head = file.read(_META_BYTES)
        # What is no Part 10 file, or says otherwise, is read as it stands.
        start = 144 + int.from_bytes(head[140:144], "little")
        if str(DeflatedExplicitVRLittleEndian).encode() not in head[_PREFIX_BYTES:start]:
            return
        file.seek(start)
        inflate, size_bytes = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while (deflated := file.read(_AT_ONCE_BYTES)) and not inflate.eof:
            while deflated and not inflate.eof:
                try:
                    size_bytes += len(inflate.decompress(deflated, _AT_ONCE_BYTES))
                except zlib.error:
                    return  # told by who reads it
                deflated = inflate.unconsumed_tail
                if size_bytes > MOST_INFLATED_BYTES:
                    raise Unsuitable(
                        f"file {path.name}: deflated data set of more than {MOST_INFLATED_BYTES >> 20} MiB, needed less"
                    )
