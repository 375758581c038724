"""Objects and bodies as they are posted, and an intake that keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival


def instance(number: int = 1, *, study: str = "1.2.3.4", bulk_bytes: int = 128, **other: str) -> bytes:
    """A Part 10 file; `sop_class`, `syntax` and `named` (the instance of its file meta information) differ at will."""
    ds = Dataset()
    ds.SOPClassUID = other.get("sop_class", CTImageStorage)
    ds.SOPInstanceUID = f"{study}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, f"{study}.0"
    ds.PatientName, ds.Modality = "DONT^LOGME", "CT"
    ds.PixelData = bytes(bulk_bytes)
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    # What cannot be written stands in the file meta information all the same.
    syntax = _padded(ExplicitVRLittleEndian, other.get("syntax", ExplicitVRLittleEndian))
    named = _padded(ds.SOPInstanceUID, other.get("named", ds.SOPInstanceUID))
    return file.getvalue().replace(*syntax).replace(*named, 1)


def _padded(old: str, new: str) -> tuple[bytes, bytes]:
    assert len(new) + len(new) % 2 == len(old) + len(old) % 2
    return old.encode() + b"\0" * (len(old) % 2), new.encode() + b"\0" * (len(new) % 2)


def data_set(file: bytes) -> bytes:
    """What follows the file meta information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def body(*contents: bytes, kind: str = "application/dicom", boundary: str = "b") -> bytes:
    """A multipart body."""
    head = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + one + b"\r\n" for one in contents) + f"--{boundary}--\r\n".encode()


@dataclass
class Kept:
    """An intake that remembers the bytes of every data set."""

    content: dict[str, bytes] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)
    before: Callable[[Arrival], None] = lambda _arrival: None

    def opened(self, association: Association) -> None:
        self.associations.append(association)
        self.news.append("opened")

    def accept(self, arrival: Arrival) -> None:
        self.before(arrival)
        self.content[arrival.sop_instance_uid] = data_set(Path(arrival.path).read_bytes())
        self.news.append("accepted")

    def closed(self, association: Association) -> None:
        self.news.append("closed")
