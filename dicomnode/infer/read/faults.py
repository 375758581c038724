"""Turns what pydicom and its decoders raise on a bad object into a refusal in words."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.errors import BytesLengthException, InvalidDicomError

from dicomnode.domain.errors import Unsuitable

#: What pydicom and its decoders raise on data that breaks the standard; OSError counts only without an errno,
#: with one it is the disk that failed and not the object.
READ_FAULTS = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@contextmanager
def reading(subject: str, needed: str) -> Iterator[None]:
    """Turn what pydicom raises on a bad object into Unsuitable."""
    try:
        yield
    except READ_FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        found = " ".join(str(error).split()) or type(error).__name__
        raise Unsuitable(f"{subject}: {found[:300]}, {needed}") from error
