"""A phantom as a series of CT images: one valid CT Image Storage data set per slice."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.train.phantoms import Phantom

_RESCALE_INTERCEPT_HU = -1024


def phantom_uid(seed: int, *parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2) derived from the seed and what the UID is for."""
    text = "/".join(str(part) for part in ("dicomnode phantom", seed, *parts))
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}"


def to_datasets(
    phantom: Phantom,
    *,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
    frame_of_reference_uid: str | None = None,
    patient_name: str = "Phantom^Thorax",
    patient_id: str = "PHANTOM-1",
    accession_number: str = "",
    study_date: date = date(2026, 1, 15),
    series_number: int = 2,
    body_part_examined: str = "CHEST",
    slice_thickness_mm: float | None = None,
    feet_first: bool = False,
) -> list[Dataset]:
    """Write a phantom as axial CT images, head first supine unless told otherwise.

    Parameters
    ----------
    phantom : Phantom
        The volume; its row and column spacing becomes Pixel Spacing.
    study_instance_uid, series_instance_uid, frame_of_reference_uid : str, optional
        Derived from the seed where not given; SOP Instance UIDs are derived from the series and the slice.
    patient_name, patient_id, accession_number : str
        Identity to write; it should be recognisable as made up.
    study_date : date
        Date of study, series, acquisition and content.
    series_number : int
        Series Number.
    body_part_examined : str
        Body Part Examined; empty leaves the attribute out.
    slice_thickness_mm : float, optional
        Slice Thickness; the slice spacing where not given.
    feet_first : bool
        Number the slices from head to feet and say FFS; the geometry in space is the same.

    Returns
    -------
    list of Dataset
        One per slice in order of Instance Number, with file meta, ready for
        ``save_as(path, enforce_file_format=True)`` as Explicit VR Little Endian.
    """
    study_uid = study_instance_uid or phantom_uid(phantom.seed, "study")
    series_uid = series_instance_uid or phantom_uid(phantom.seed, study_uid, "series", series_number)
    frame_uid = frame_of_reference_uid or phantom_uid(phantom.seed, study_uid, "frame of reference")
    stored = np.clip(phantom.hounsfield.astype(np.int32) - _RESCALE_INTERCEPT_HU, 0, 4095).astype("<u2")
    started = datetime(study_date.year, study_date.month, study_date.day, 10, 15, 0)  # noqa: DTZ001 - DICOM times are local
    spacing_z, spacing_row, spacing_column = phantom.spacing_mm
    x, y, z = phantom.origin_mm
    order = range(len(stored) - 1, -1, -1) if feet_first else range(len(stored))
    result = []
    for number, index in enumerate(order, start=1):
        ds = Dataset()
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = phantom_uid(phantom.seed, series_uid, number)
        _patient_and_study(ds, study_uid, started, patient_name, patient_id, accession_number)
        acquired = started + timedelta(seconds=40)
        ds.SeriesInstanceUID, ds.SeriesNumber = series_uid, series_number
        ds.SeriesDescription = "Phantom thorax axial"
        ds.Modality = "CT"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"{acquired:%Y%m%d}"
        ds.SeriesTime = ds.AcquisitionTime = f"{acquired:%H%M%S}"
        ds.ContentTime = f"{acquired + timedelta(milliseconds=20 * number):%H%M%S.%f}"
        ds.InstanceCreationDate, ds.InstanceCreationTime = ds.ContentDate, ds.ContentTime
        if body_part_examined:
            ds.BodyPartExamined = body_part_examined
        ds.PatientPosition = "FFS" if feet_first else "HFS"
        _equipment(ds)
        ds.AcquisitionNumber, ds.InstanceNumber = 1, number
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame_uid, ""
        ds.ImagePositionPatient = [_ds(x), _ds(y), _ds(z + index * spacing_z)]
        ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        ds.SliceLocation = _ds(z + index * spacing_z)
        ds.SliceThickness = _ds(spacing_z if slice_thickness_mm is None else slice_thickness_mm)
        ds.PixelSpacing = [_ds(spacing_row), _ds(spacing_column)]
        _pixels(ds, stored[index])
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        result.append(ds)
    return result


def _ds(value_mm: float) -> str:
    return f"{value_mm:.6g}"


def _patient_and_study(
    ds: Dataset, study_uid: str, started: datetime, patient_name: str, patient_id: str, accession_number: str
) -> None:
    ds.PatientName, ds.PatientID = patient_name, patient_id
    ds.PatientBirthDate, ds.PatientSex = "19600101", "O"
    ds.StudyInstanceUID, ds.StudyID = study_uid, "1"
    ds.StudyDate, ds.StudyTime = f"{started:%Y%m%d}", f"{started:%H%M%S}"
    ds.StudyDescription = "Phantom thorax"
    ds.AccessionNumber = accession_number
    ds.ReferringPhysicianName = ""


def _equipment(ds: Dataset) -> None:
    ds.Manufacturer = "dicomnode project"
    ds.ManufacturerModelName = "thorax phantom"
    ds.InstitutionName = "Phantom Hospital"
    ds.StationName = "PHANTOM"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.KVP = "120"
    ds.ConvolutionKernel = "STANDARD"
    ds.XRayTubeCurrent = "200"
    ds.ExposureTime = "500"
    ds.GantryDetectorTilt = "0"


def _pixels(ds: Dataset, stored: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = str(_RESCALE_INTERCEPT_HU), "1", "HU"
    ds.WindowCenter, ds.WindowWidth = ["-500", "40"], ["1500", "400"]
    ds.WindowCenterWidthExplanation = ["LUNG", "SOFT TISSUE"]
    ds.LossyImageCompression = "00"
    ds.PixelData = stored.tobytes()
