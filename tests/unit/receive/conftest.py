"""A small CT instance and the file it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from dicomnode.domain.network import Association
from dicomnode.domain.study import Arrival
from dicomnode.receive.header import read_arrival


@pytest.fixture
def association() -> Association:
    return Association(association_id="a1", calling_aet="CT1", called_aet="NODE", address="127.0.0.1", peer="ct")


@pytest.fixture
def ct() -> Dataset:
    """One axial slice of 8 × 8 pixels."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = "1.2.3.4.1"
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.0"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality = "CT"
    ds.PatientName = "Müller^Jörg"
    ds.SliceThickness = "2.5"
    ds.InstanceNumber = 7
    ds.ImagePositionPatient = [-100.5, 20, 3.25]
    ds.Rows = ds.Columns = 8
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.SmallestImagePixelValue = -1000
    ds["SmallestImagePixelValue"].VR = "SS"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    ds.AnatomicRegionSequence = [region]
    ds.PixelData = np.arange(64, dtype="<i2").tobytes()
    return ds


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set as a Part 10 file."""

    def write(ds: Dataset, syntax: str = ExplicitVRLittleEndian, name: str = "instance") -> Path:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CTImageStorage)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2.3.4.1")
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        path = tmp_path / name
        ds.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def read(association: Association) -> Callable[..., Arrival]:
    """Reads a file as if the command set had named `ct`."""

    def read_file(path: Path, syntax: str = ExplicitVRLittleEndian, **named: str) -> Arrival:
        asked: dict[str, Any] = {"sop_class_uid": str(CTImageStorage), "sop_instance_uid": "1.2.3.4.1"} | named
        return read_arrival(path, association, transfer_syntax_uid=syntax, on_demand=False, **asked)

    return read_file
