"""The one place where exceptions of highdicom and pydicom become errors of this node."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.errors import BytesLengthException, InvalidDicomError

from dicomnode.domain.errors import EncodingError

#: What highdicom 0.28 and pydicom 3.0 raise for content they cannot encode or read: built-in types and pydicom's own.
FOREIGN = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    EOFError,
    struct.error,
    BytesLengthException,
    InvalidDicomError,
)


@contextmanager
def encoding(subject: str) -> Iterator[None]:
    """Raise `EncodingError` naming `subject` for anything that the encoding libraries refuse.

    Parameters
    ----------
    subject
        The object being written and what it comes from, without patient data.
    """
    try:
        yield
    except FOREIGN as error:
        raise EncodingError(f"{subject}: found {type(error).__name__} ({error}), needed an encodable object") from error
