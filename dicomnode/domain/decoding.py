"""What reading bytes of a peer may raise."""

from __future__ import annotations

import struct

from pydicom.errors import BytesLengthException, InvalidDicomError

#: What the decoders of pynetdicom and pydicom raise on bytes that are no PDU, no command set or no data set.
DECODING_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

#: The same of a data set that is in memory: OSError is pydicom's word for a sequence cut short, and no fault of a disk.
DATA_SET_FAULTS = (*DECODING_FAULTS, OSError)
