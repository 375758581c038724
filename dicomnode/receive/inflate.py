"""Inflates a deflated data set into a file, so that a few bytes from a stranger fill no memory (PS3.5 A.5)."""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from dicomnode.domain.errors import CannotUnderstand

#: How much is in memory at a time. Deflate expands up to 1032 times.
_AT_ONCE_BYTES = 1 << 20


@contextmanager
def inflated(content: mmap.mmap, start: int, folder: Path, most_bytes: int) -> Iterator[mmap.mmap]:
    """The data set that is deflated from `start` on, in an unnamed file in `folder`.

    Raises
    ------
    CannotUnderstand
        It cannot be inflated, is cut short, or becomes larger than `most_bytes`.
    OSError
        There is no room for it.
    """
    with TemporaryFile(dir=folder) as plain:
        size_bytes = 0
        for piece in _pieces(content, start):
            size_bytes += len(piece)
            if size_bytes > most_bytes:
                raise CannotUnderstand(f"data set: inflates beyond {most_bytes >> 20} MiB, the limit here")
            plain.write(piece)
        plain.flush()
        if not size_bytes:
            raise CannotUnderstand("data set: the deflated stream holds nothing")
        with mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            yield whole


def _pieces(content: mmap.mmap, start: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(start, len(content), _AT_ONCE_BYTES):
            deflated = content[at : at + _AT_ONCE_BYTES]
            while deflated and not inflate.eof:
                yield inflate.decompress(deflated, _AT_ONCE_BYTES)
                deflated = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as error:
        raise CannotUnderstand(f"data set: cannot be inflated, {error}") from error
    if not inflate.eof:
        raise CannotUnderstand("data set: deflated stream ends too early (PS3.5 A.5)")
