"""The one place where exceptions of highdicom and pydicom become errors of this node."""

from __future__ import annotations

import re
import struct
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.datadict import dictionary_description, dictionary_has_tag
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

#: What reading one attribute raises that breaks its representation; OSError is pydicom's word for a sequence cut short.
UNREADABLE = (*FOREIGN, OSError)

#: How pydicom names an attribute in its messages.
_TAG = re.compile(r"\(([0-9a-f]{4}), ?([0-9a-f]{4})\)", re.IGNORECASE)


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
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk has failed, not the object
        raise EncodingError(f"{subject}: found {told(error)}, needed an encodable object") from error


def told(error: Exception) -> str:
    """The kind of an exception and where it arose: the attributes that it names, else a line of code.

    Its own words stay out, since they may quote a value, and a value may be a patient's.
    """
    tags = [int(group + element, 16) for group, element in dict.fromkeys(_TAG.findall(str(error)))]
    names = dict.fromkeys(dictionary_description(tag) for tag in tags if dictionary_has_tag(tag))
    if names:
        return f"{type(error).__name__} at {', '.join(names)}"
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return type(error).__name__
    frame, line = frames[-1]
    return f"{type(error).__name__} in {frame.f_globals.get('__name__', 'unnamed code')}, line {line}"
