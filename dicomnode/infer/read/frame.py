"""The header of one single-frame image, checked for what a slice of a volume needs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

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

NATIVE = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian})
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED_LENGTH = 0xFFFFFFFF
INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A single-frame image without its pixels.

    Attributes
    ----------
    dataset
        The header, without pixel data.
    belongs_to
        Keyword → value of what all images of one volume share.
    pixel_spacing_mm
        Distance between rows, then between columns (PS3.3 10.7.1.3).
    orientation
        Direction cosines of a row, then of a column (PS3.3 C.7.6.2.1.1), as written.
    slope, intercept
        Of the modality's rescaling (PS3.3 C.11.1.1.2); 1 and 0 where the object states none.
    native
        Where the value of native little-endian pixel data begins in the file and how many bytes it has; None when a
        decoder has to find it.
    """

    path: Path
    dataset: Dataset = field(repr=False)
    sop_instance_uid: str
    belongs_to: dict[str, str] = field(repr=False)
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    orientation: tuple[float, ...]
    position_mm: tuple[float, ...]
    slope: float
    intercept: float
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    native: tuple[int, int] | None

    @property
    def integral(self) -> bool:
        """Whether rescaling keeps integers."""
        return all(value.is_integer() and INT16.min <= value <= INT16.max for value in (self.slope, self.intercept))


def read_frame(path: Path) -> Frame:
    """Read the header of one image and check that it can be a slice of a volume.

    Raises
    ------
    Unsuitable
        If it is no readable single-frame greyscale image with pixels and a place in the patient (PS3.3 C.7.6.2).
    """
    with reading(f"file {path.name}", "needed a DICOM Part 10 image"), path.open("rb") as file:
        dataset = dcmread(file, stop_before_pixels=True)
        native = _native_pixels(file, dataset)
        uid = str(dataset.get("SOPInstanceUID", ""))
    if not uid:
        raise Unsuitable(f"file {path.name}: no SOP Instance UID, needed a DICOM image")
    subject = f"instance {uid}"
    with reading(subject, "needed a readable header"):
        _require_single_greyscale_frame(dataset, subject)
        return _frame(path, dataset, uid, native)


def _frame(path: Path, dataset: Dataset, uid: str, native: tuple[int, int] | None) -> Frame:
    shared = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    bits_allocated = int(dataset["BitsAllocated"].value)
    bits_stored = int(dataset["BitsStored"].value)
    frame = Frame(
        path=path,
        dataset=dataset,
        sop_instance_uid=uid,
        belongs_to={keyword: str(dataset.get(keyword, "")) for keyword in shared},
        rows=int(dataset["Rows"].value),
        columns=int(dataset["Columns"].value),
        pixel_spacing_mm=(float(dataset["PixelSpacing"].value[0]), float(dataset["PixelSpacing"].value[1])),
        orientation=tuple(float(value) for value in dataset["ImageOrientationPatient"].value),
        position_mm=tuple(float(value) for value in dataset["ImagePositionPatient"].value),
        slope=float(dataset.get("RescaleSlope", 1) or 0),
        intercept=float(dataset.get("RescaleIntercept", 0) or 0),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=int(dataset.get("HighBit", bits_stored - 1)),
        signed=bool(dataset["PixelRepresentation"].value),
        native=native if bits_allocated in {8, 16, 32} else None,
    )
    subject = f"instance {uid}"
    if len(frame.orientation) != 6 or len(frame.position_mm) != 3:
        raise Unsuitable(
            f"{subject}: {len(frame.orientation)} direction cosines and {len(frame.position_mm)} coordinates, "
            "needed 6 and 3 (PS3.3 C.7.6.2)"
        )
    if min(frame.pixel_spacing_mm) <= 0 or min(frame.rows, frame.columns) < 1:
        raise Unsuitable(
            f"{subject}: {frame.rows} × {frame.columns} pixels of {frame.pixel_spacing_mm} mm, needed positive numbers"
        )
    if not np.isfinite([*frame.pixel_spacing_mm, *frame.orientation, *frame.position_mm]).all():
        raise Unsuitable(f"{subject}: geometry that is not finite, needed numbers in mm (PS3.3 C.7.6.2)")
    if not (np.isfinite([frame.slope, frame.intercept]).all() and frame.slope != 0):
        raise Unsuitable(
            f"{subject}: rescale slope {frame.slope} and intercept {frame.intercept}, needed finite, slope not 0"
        )
    if not 0 < frame.bits_stored <= frame.high_bit + 1 <= frame.bits_allocated:
        raise Unsuitable(
            f"{subject}: {frame.bits_stored} bits up to bit {frame.high_bit} of {frame.bits_allocated}, "
            "needed bits stored within bits allocated (PS3.5 8.1.1)"
        )
    return frame


def _require_single_greyscale_frame(dataset: Dataset, subject: str) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1 or "SharedFunctionalGroupsSequence" in dataset:
        raise Unsuitable(f"{subject}: a multi-frame image ({frames} frames), needed single-frame images")
    if "Rows" not in dataset:
        raise Unsuitable(f"{subject}: {dataset.get('Modality') or 'an object'} without pixels, needed an image")
    geometry = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID")
    missing = [keyword for keyword in geometry if not dataset.get(keyword)]
    if missing:
        raise Unsuitable(f"{subject}: no {' and no '.join(missing)}, needed for its place in the patient")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if samples != 1 or not photometric.startswith("MONOCHROME"):
        raise Unsuitable(f"{subject}: {photometric} with {samples} samples per pixel, needed greyscale")
    if "ModalityLUTSequence" in dataset:
        raise Unsuitable(f"{subject}: a modality look-up table, needed rescale slope and intercept")


def _native_pixels(file: BinaryIO, dataset: Dataset) -> tuple[int, int] | None:
    """Where the value of native pixel data begins, given that pydicom stopped reading in front of the element."""
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax not in NATIVE:
        return None
    # PS3.5 7.1.2: tag, VR and two reserved bytes, then four bytes of length; implicit VR has the tag and the length.
    header = file.read(12 if syntax == ExplicitVRLittleEndian else 8)
    length = int.from_bytes(header[-4:], "little")
    if not header.startswith(PIXEL_DATA) or length == UNDEFINED_LENGTH:
        return None
    return file.tell(), length


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
