"""Sound files to damage: made here in many encodings, and the real ones where they are at hand."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

#: Larger files only make each input slower.
_LARGEST_BYTES = 128 << 10
_PIXELS = 32


def made() -> dict[str, bytes]:
    """Small CT images by the name of their encoding."""
    files = {}
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        files[syntax.name] = _file(_slice(), syntax)
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        ds = _slice()
        ds.file_meta = _meta(ExplicitVRLittleEndian)
        ds.compress(syntax, generate_instance_uid=False)
        files[syntax.name] = _file(ds, syntax)
    files["Enhanced"] = _file(_enhanced(), ExplicitVRLittleEndian)
    return files


def real() -> dict[str, bytes]:
    """Real files that broke readers before, where `DICOMNODE_DATA` names their folder."""
    folder = os.environ.get("DICOMNODE_DATA")
    if not folder:
        return {}
    found = [
        path
        for part in ("pydicom_malformed", "fodicom_edge")
        for path in sorted((Path(folder) / part).rglob("*"))
        if path.is_file() and 144 < path.stat().st_size <= _LARGEST_BYTES
    ]
    content = {path.name: path.read_bytes() for path in found}
    return {name: data for name, data in content.items() if data[128:132] == b"DICM"}


def _meta(syntax: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, UID("1.2.3.4.1")
    meta.TransferSyntaxUID = UID(syntax)
    return meta


def _slice() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3.4.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4", "1.2.3.4.0", "1.2.3.4.9"
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientName, ds.PatientID = "Fuzz^Input", "F"
    ds.SliceThickness, ds.InstanceNumber = "2.5", 7
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-100.5, 20, 3.25], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.RescaleSlope, ds.RescaleIntercept = [0.7, 0.7], 1, -1024
    ds.Rows = ds.Columns = _PIXELS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    ds.AnatomicRegionSequence = [region]
    ds.add_new(0x00091010, "UN", b"private")
    ds.PixelData = np.arange(_PIXELS * _PIXELS, dtype="<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _enhanced() -> Dataset:
    ds = _slice()
    ds.SOPClassUID, ds.NumberOfFrames = EnhancedCTImageStorage, 2
    ds.PixelData = ds.PixelData * 2
    frames = []
    for number in range(2):
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, number]
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.7], 1
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], frames
    return ds


def _file(ds: Dataset, syntax: str) -> bytes:
    ds.file_meta = _meta(syntax)
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
