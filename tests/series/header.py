"""What every object of a test series says about patient, study, series and pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from tests.acceptance.phantom import PATIENT_ID, PATIENT_NAME


def uid(*parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2) derived from what it is for."""
    text = "/".join(str(part) for part in ("dicomnode test series", *parts))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a series belongs: UIDs are derived from the names, so that equal names share a study or a frame.

    Attributes
    ----------
    more
        Keyword → value of whatever else all its objects shall say.
    """

    study: str
    series: str = "1"
    number: int = 1
    frame: str = ""
    description: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID."""
        return uid(self.study)

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID."""
        return uid(self.study, self.series)


def new_object(place: Place, sop_class_uid: str, modality: str, role: object) -> Dataset:
    """An object with patient, study, series, frame of reference and equipment; made today, so that no rule is late."""
    now = datetime.now(UTC)
    day, time = f"{now:%Y%m%d}", "101500"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = sop_class_uid
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = PATIENT_NAME, PATIENT_ID, "19600101", "F"
    ds.PatientWeight = "70"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = place.study_instance_uid, place.series_instance_uid
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = time
    ds.Modality, ds.SeriesNumber, ds.SeriesDescription = modality, place.number, place.description or place.series
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid(place.study, "frame", place.frame), ""
    ds.Manufacturer, ds.ManufacturerModelName = "dicomnode project", "test series"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "0", "1"
    ds.AcquisitionNumber = 1
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    name(ds, uid(place.study, place.series, role))
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def name(ds: Dataset, sop_instance_uid: str) -> None:
    """Give an object another SOP Instance UID."""
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)


def pixels(ds: Dataset, stored: npt.NDArray[np.int16] | npt.NDArray[np.uint16]) -> None:
    """Pixel data of one image, or of the frames of a multi-frame image."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    ds.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()


def decimals(values: tuple[float, ...] | list[float]) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters (PS3.5 6.2, VR DS)."""
    return [DSfloat(float(value) + 0.0, auto_format=True) for value in values]


def decimal(value: float) -> DSfloat:
    """One number as a decimal string."""
    return decimals([value])[0]


def apply(ds: Dataset, more: dict[str, Any]) -> Dataset:
    """The object with further attributes."""
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds
