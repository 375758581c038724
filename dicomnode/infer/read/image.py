"""One image object: its header, and how and where in its file the pixels are encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.bounds import require_frame, require_inflatable
from dicomnode.infer.read.faults import is_uid, reading, word
from dicomnode.infer.read.told import stated, told

_NATIVE = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})

#: Transfer syntaxes that keep pixel cells as they are, with whatever stands in their unused bits (PS3.5 8.1.1);
#: the other codecs know samples of a precision and return these.
_CELLS = _NATIVE | {ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless}

#: Those that may lose something (PS3.5 8.2).
_LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K})

#: Pixel Data, Double Float Pixel Data and Float Pixel Data (PS3.3 C.7.6.3, C.7.6.24): tag, kind of number.
_PIXELS = {b"\xe0\x7f\x10\x00": "", b"\xe0\x7f\x09\x00": "f", b"\xe0\x7f\x08\x00": "f"}
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A greyscale image object without its pixels.

    Attributes
    ----------
    dataset
        The header, without pixel data.
    frames
        How many there are; 1 for a single-frame object.
    kind
        Of the stored numbers: `i` signed, `u` unsigned, `f` floating.
    cells
        Whether decoding leaves unused bits in the numbers.
    lossy
        Whether the values were compressed with loss at some time, so that none is exact.
    native
        Where the value of native little-endian pixel data begins in the file and how many bytes it has; None when a
        decoder has to find it.
    """

    path: Path
    dataset: Dataset = field(repr=False)
    sop_instance_uid: str
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    kind: str
    cells: bool
    lossy: bool
    native: tuple[int, int] | None

    @property
    def subject(self) -> str:
        """How messages call it."""
        return f"instance {self.sop_instance_uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands in a file in front of the pixels, as read.

    Attributes
    ----------
    pixels
        Kind of number (`f` or empty) and place of native pixel data, as in `Image`.
    """

    path: Path
    dataset: Dataset = field(repr=False)
    sop_instance_uid: str
    pixels: tuple[str, tuple[int, int] | None]


def read_header(path: Path) -> Header:
    """Read the header of one object.

    Raises
    ------
    Unsuitable
        If the file is no readable DICOM Part 10 file with a SOP Instance UID.
    """
    with reading(f"file {path.name}", "needed a DICOM Part 10 image"), path.open("rb") as file:
        require_inflatable(path)
        dataset = dcmread(file, stop_before_pixels=True)
        pixels = _pixels(file, dataset)
        uid = str(told(dataset, "SOPInstanceUID", ""))
    if not is_uid(uid):
        raise Unsuitable(f"file {path.name}: no SOP Instance UID, needed a DICOM image")
    return Header(path=path, dataset=dataset, sop_instance_uid=uid, pixels=pixels)


def is_greyscale(dataset: Dataset) -> bool:
    """Whether a header describes pixels of one sample that is a brightness."""
    # Which of both MONOCHROME it is concerns the display alone (PS3.3 C.7.6.3.1.2).
    photometric = str(told(dataset, "PhotometricInterpretation", ""))
    return int(told(dataset, "SamplesPerPixel") or 1) == 1 and photometric.startswith("MONOCHROME")


def image_of(header: Header) -> Image:
    """What a header says about its pixels, checked.

    Raises
    ------
    Unsuitable
        If it is no greyscale image, or describes its pixels in contradiction to PS3.5 8.1.1.
    """
    dataset, subject = header.dataset, f"instance {header.sop_instance_uid}"
    if "Rows" not in dataset:
        raise Unsuitable(f"{subject}: {word(dataset.get('Modality'), 'an object')} without pixels, needed an image")
    if not is_greyscale(dataset):
        samples = dataset.get("SamplesPerPixel") or 1
        photometric = word(dataset.get("PhotometricInterpretation"), "a photometric interpretation unheard of")
        raise Unsuitable(f"{subject}: {photometric} with {samples} samples per pixel, needed greyscale")
    floating, native = header.pixels
    allocated = int(stated(dataset, "BitsAllocated"))
    stored = allocated if floating else int(stated(dataset, "BitsStored"))
    signed = not floating and bool(stated(dataset, "PixelRepresentation"))
    syntax = told(dataset.file_meta, "TransferSyntaxUID")
    if syntax is None:
        raise Unsuitable(f"{subject}: file meta information without Transfer Syntax UID, needed one (PS3.10 7.1)")
    image = Image(
        path=header.path,
        dataset=dataset,
        sop_instance_uid=header.sop_instance_uid,
        rows=int(stated(dataset, "Rows")),
        columns=int(stated(dataset, "Columns")),
        frames=int(told(dataset, "NumberOfFrames") or 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if floating else int(told(dataset, "HighBit", stored - 1)),
        kind=floating or ("i" if signed else "u"),
        cells=syntax in _CELLS,
        lossy=syntax in _LOSSY or str(told(dataset, "LossyImageCompression", "")) == "01",
        native=native if allocated in {8, 16, 32, 64} else None,
    )
    if min(image.rows, image.columns, image.frames) < 1:
        raise Unsuitable(
            f"{subject}: {image.frames} frames of {image.rows} × {image.columns} pixels, needed positive numbers"
        )
    require_frame(subject, image.rows, image.columns, allocated)
    if allocated < 8:
        raise Unsuitable(f"{subject}: {allocated} bits per pixel, needed 8 to 64")
    if not 0 < stored <= image.high_bit + 1 <= allocated:
        raise Unsuitable(
            f"{subject}: {stored} bits up to bit {image.high_bit} of {allocated}, "
            "needed bits stored within bits allocated (PS3.5 8.1.1)"
        )
    return image


def _pixels(file: BinaryIO, dataset: Dataset) -> tuple[str, tuple[int, int] | None]:
    """Kind and place of the pixel data, given that pydicom stopped reading in front of the element."""
    syntax = told(dataset.file_meta, "TransferSyntaxUID")
    if syntax not in _NATIVE:
        return "", None
    # PS3.5 7.1.2: tag, VR and two reserved bytes, then four bytes of length; implicit VR has the tag and the length.
    element = file.read(12 if syntax == ExplicitVRLittleEndian else 8)
    length = int.from_bytes(element[-4:], "little")
    kind = _PIXELS.get(element[:4])
    if kind is None or length == _UNDEFINED_LENGTH:
        return "", None
    return kind, (file.tell(), length)
