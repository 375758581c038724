"""Computes again the digest under which a file was kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dicomnode.store.holdings import Held, Holding

#: Preamble, prefix, and the element that tells how long the file meta information is (PS3.10 7.1).
_PREAMBLE_BYTES = 128
_LENGTH_AT, _LENGTH_END = _PREAMBLE_BYTES + 12, _PREAMBLE_BYTES + 16


def digest_of(path: Path, held: Held) -> str:
    """SHA-256 of the data set of what has come, and of the whole of what this node made; "" where none can be found.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with path.open("rb") as file:
        if held.holding is not Holding.RESULT:
            head = file.read(_LENGTH_END)
            if len(head) < _LENGTH_END or head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] != b"DICM":
                return ""
            file.seek(_LENGTH_END + int.from_bytes(head[_LENGTH_AT:_LENGTH_END], "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()
