"""Reads written pictures and pages back from their bytes and holds them against what was drawn, and of whom."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.report.boundary import encoding
from dicomnode.report.canvas import BODY, BOTTOM
from dicomnode.report.identity import fit
from dicomnode.report.picture import Picture

#: By these a reader and an archive tell whose result it is; the values stay out of messages, which may be logged.
_IDENTITY = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID")

#: The least part of a band that its letters cover. Where the source tells next to nothing of patient and study, the
#: upper band was measured to be covered by 0.06 and the lower one by 0.11.
_LEAST_INK = 0.01
#: Where the upper band ends and the page begins, in rows above its middle part.
_EDGE = 8

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
#: Operators that show a string of at least one character (PDF 32000, 9.4.3).
_SHOWN = re.compile(rb"(?:\([^)]+\)|<[0-9A-Fa-f]+>|\])\s*T[jJ]")


def verify_picture(encoded: bytes, datasets: Sequence[Dataset], picture: Picture | None = None) -> None:
    """Compare a Secondary Capture with the page that it should show.

    Parameters
    ----------
    encoded
        The complete file.
    datasets
        Headers of the source.
    picture
        What was drawn; None where nobody keeps it, and then who and what it is is looked at alone.

    Raises
    ------
    EncodingError
        For another patient or study, other pixels, a band without letters, and for a file that cannot be read.
    """
    with encoding("picture read back"):
        written = dcmread(BytesIO(encoded))
        pixels = np.asarray(written.pixel_array)
    check_identity("picture", written, datasets)
    if picture is not None and not np.array_equal(pixels, picture.image):
        raise EncodingError(f"picture: found other pixels in {written.SOPInstanceUID}, needed those that were drawn")
    for band, name in ((pixels[: BODY - _EDGE], "upper"), (pixels[BOTTOM:], "lower")):
        if _ink(band) < _LEAST_INK:
            raise EncodingError(f"picture: found no letters in the {name} band, needed patient, source and disclaimer")


def verify_pdf(encoded: bytes, datasets: Sequence[Dataset]) -> None:
    """See that a page is a whole PDF with letters, of the right patient and study; raises as `verify_picture`."""
    with encoding("PDF read back"):
        written = dcmread(BytesIO(encoded))
        document = bytes(written.EncapsulatedDocument)[: int(written.EncapsulatedDocumentLength)]
    check_identity("PDF", written, datasets)
    if not document.startswith(b"%PDF-") or not document.rstrip().endswith(b"%%EOF"):
        raise EncodingError(f"PDF: found {len(document)} bytes that are no whole document, needed %PDF- to %%EOF")
    if not any(_SHOWN.search(text) for text in _streams(document)):
        raise EncodingError("PDF: found no letters on the page, needed patient, source and disclaimer")


def check_identity(what: str, written: Dataset, datasets: Sequence[Dataset]) -> None:
    source = fit(datasets[0])
    for keyword in _IDENTITY:
        if str(written.get(keyword) or "") != str(source.get(keyword) or ""):
            raise EncodingError(f"{what}: found another {keyword} than in the source, needed the same")


def _ink(band: NDArray[np.uint8]) -> float:
    """The part of a band that has not its commonest colour."""
    packed = band.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    _, counts = np.unique(packed, return_counts=True)
    return float(1 - counts.max() / packed.size)


def _streams(document: bytes) -> Iterator[bytes]:
    """Content of a PDF's streams, inflated where it is deflated; what is neither holds no text."""
    for found in _STREAM.finditer(document):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            continue
