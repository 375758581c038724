"""The stored values of JPEG and JPEG-LS frames, whose decoder ends the process on damage, out of another process."""

from __future__ import annotations

import numpy as np
from pydicom.uid import (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read import guard
from dicomnode.infer.read.bounds import precision
from dicomnode.infer.read.encoded import Encoded
from dicomnode.infer.read.image import Image
from dicomnode.infer.read.padding import Values

_JPEG_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})

#: Where the codestream says what comes out of GDCM, whatever the header says.
_AS_ENCODED = _JPEG_LS | {JPEGExtended12Bit}

#: What is left to GDCM, which alone of the decoders with a free licence reads JPEG Lossless. Of 3000 damaged frames of
#: it GDCM 3.2.6 ended the process at 26 and held it at one; of JPEG-LS it ended it at 2, where pyjpegls 1.5.1 took 26 s
#: for 1024 pixels.
_GUARDED = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}) | _JPEG_LS


def is_guarded(image: Image) -> bool:
    """Whether frames are decoded here."""
    return image.dataset.file_meta.TransferSyntaxUID in _GUARDED


def values_of(image: Image, codestream: bytes) -> Values:
    """Stored values of a frame, (row, column), unused bits cleared.

    Raises
    ------
    Unsuitable
        If the frame cannot be decoded.
    """
    syntax, signed = image.dataset.file_meta.TransferSyntaxUID, image.kind == "i"
    if syntax == JPEGLSNearLossless and signed and image.bits_stored < 8:
        raise Unsuitable(f"{image.subject}: lossy JPEG-LS of {image.bits_stored} bits with a sign, needed 8 or more")
    allocated, stored = image.bits_allocated, image.bits_stored
    known = precision(codestream) or stored
    if syntax in _JPEG_LS:
        stored = known
    elif known > allocated:
        raise Unsuitable(f"{image.subject}: encoded pixels of {known} bits, needed at most {allocated} as allocated")
    if syntax in _AS_ENCODED:
        allocated = 8 if known <= 8 else 16
    encoded = Encoded(
        syntax=str(syntax),
        rows=image.rows,
        columns=image.columns,
        bits_allocated=allocated,
        # GDCM ends at 8 bits of which fewer are stored; the codestream of JPEG has all 8 in any case.
        bits_stored=8 if allocated == 8 and syntax not in _JPEG_LS else stored,
        signed=signed,
        codestream=codestream,
    )
    content = guard.decoded(image.subject, encoded)
    values = np.frombuffer(content, f"<{image.kind}{allocated // 8}").reshape(image.rows, image.columns)
    # JPEG-LS knows no signs (ISO 14495-1); other processes leave what they like above the bits stored (PS3.5 8.1.1).
    if stored < allocated and (signed or syntax not in _JPEG_LS):
        np.left_shift(values, allocated - stored, out=values)
        np.right_shift(values, allocated - stored, out=values)
    return values
