"""Turns what pydicom and its decoders raise on a bad object into a refusal in words."""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.datadict import dictionary_description, dictionary_has_tag, tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag

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


#: Module of the panics of decoders that are written in Rust (pyo3).
_RUST = "pyo3_runtime"

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_UID = re.compile(r"[0-9.]{1,64}")

#: What a value that breaks its representation raises when it is read, in words of Python that tell a reader nothing.
_VALUE_FAULTS = (
    BytesLengthException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    struct.error,
)


@contextmanager
def reading(subject: str, needed: str, dataset: Dataset | None = None) -> Iterator[None]:
    """Turn what pydicom raises on a bad object into Unsuitable.

    Parameters
    ----------
    dataset
        Where attributes are read: those that cannot be read are named instead of the exception's words.
    """
    try:
        yield
    except READ_FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if dataset is not None and isinstance(error, _VALUE_FAULTS):
            found = _fault_of(dataset, error)
        else:
            found = " ".join(str(error).split()) or type(error).__name__
        raise Unsuitable(f"{subject}: {found[:300]}, {needed}") from error
    except BaseException as error:
        # Decoders written in Rust raise what is no Exception and cannot be imported.
        if type(error).__module__ != _RUST:
            raise
        raise Unsuitable(f"{subject}: pixel data on which the decoder stumbled, {needed}") from error


def is_uid(text: str) -> bool:
    """Whether `text` may stand for an object in messages and names (PS3.5 9.1, leading zeros forgiven)."""
    return _UID.fullmatch(text) is not None


def word(value: object, otherwise: str) -> str:
    """A code string (PS3.5 6.2, CS) for a message, `otherwise` for what is none: it may hold anything, names too."""
    text = str(value or "")
    return text if _CODE.fullmatch(text) else otherwise


def _fault_of(dataset: Dataset, error: Exception) -> str:
    names = [
        dictionary_description(tag) if dictionary_has_tag(tag) else str(tag)
        for tag in dataset.keys()  # noqa: SIM118, iterating the data set itself raises at the first such element
        if not _is_readable(dataset, tag)
    ]
    if names:
        return f"{', '.join(names)} that cannot be read"
    missing = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(missing, str) and tag_for_keyword(missing) is not None:
        return f"no {dictionary_description(missing)}"
    return "attributes that are missing or have too many or too few values"


def _is_readable(dataset: Dataset, tag: BaseTag) -> bool:
    try:
        element = dataset[tag]
        if element.VR in {"IS", "DS"} and element.value:
            # What is no number stays text with pydicom.
            values = element.value if element.VM > 1 else (element.value,)
            return all(math.isfinite(float(value)) for value in values if value != "")
    except READ_FAULTS:
        return False
    return True
