"""A store with a small CT study in it, ready to be settled and analysed for real."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.config import parse
from dicomnode.domain.network import Association
from dicomnode.flow.intake import Intake
from dicomnode.receive.header import read_arrival
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands, MakeArrival
from tests.toy import TOML, write_bundle
from tests.unit.flow.estate import Estate

SLICES, SIZE = 10, 32

#: The toy bundle for two slices, with lesions for what is dense: organs are not compared.
_LESION = TOML.replace("minimum_slices = 4", "minimum_slices = 1").replace(
    'label = "Dense"', 'label = "Dense"\nsubject = "lesion"'
)

MakeStudy = Callable[..., list[Path]]
MakeEstate = Callable[..., Estate]


@pytest.fixture
def ct(files: Files) -> MakeStudy:
    """Writes slices of air with a dense block, 4 × 2 × 2 mm, as files in `incoming`."""

    def make(slices: range = range(SLICES), *, dense: bool = True, study: str = "1.2.3") -> list[Path]:
        paths = []
        for index in slices:
            pixels = np.full((SIZE, SIZE), -900, np.int16)
            pixels[:4] = -700
            if dense and 3 <= index < 7:
                pixels[10:20, 8:18] = 200
            ds = Dataset()
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{study}.4.{index + 1}"
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, f"{study}.4", f"{study}.9"
            ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientBirthDate = "DONT^LOGME", "P1", "O", ""
            ds.StudyDate = ds.SeriesDate = ds.ContentDate = date(2026, 11, 20).strftime("%Y%m%d")
            ds.StudyTime = ds.SeriesTime = ds.ContentTime = "101500"
            ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "A1", ""
            ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "CT", "tests", 1, index + 1
            ds.ImageType, ds.KVP, ds.SliceThickness = ["ORIGINAL", "PRIMARY", "AXIAL"], 120, 4
            ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 4 * index]
            ds.PixelSpacing, ds.Rows, ds.Columns, ds.PositionReferenceIndicator = [2, 2], SIZE, SIZE, ""
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
            ds.RescaleIntercept, ds.RescaleSlope, ds.AcquisitionNumber = 0, 1, 1
            ds.PixelData = pixels.tobytes()
            path = files.incoming / f"{study}-{index}"
            ds.save_as(path, enforce_file_format=True)
            paths.append(path)
        return paths

    return make


@pytest.fixture
def receive() -> Callable[[Intake, list[Path]], None]:
    """Hands files to the intake as the listener would."""

    def hand(intake: Intake, paths: list[Path]) -> None:
        association = Association(
            association_id="a", calling_aet="PACS", called_aet="DICOMNODE", address="127.0.0.1", peer="PACS"
        )
        for path in paths:
            uid = f"{path.name.split('-')[0]}.4.{int(path.name.split('-')[1]) + 1}"
            intake.accept(
                read_arrival(
                    path, association, sop_class_uid=CTImageStorage, sop_instance_uid=uid,
                    transfer_syntax_uid=ExplicitVRLittleEndian, on_demand=False,
                )
            )  # fmt: skip

    return hand


@pytest.fixture
def make_estate(db: Database, files: Files, clock: Hands, tmp_path: Path, make_arrival: MakeArrival) -> MakeEstate:
    """Makes a node with the archive PACS, and further sources that are asked only by hand."""
    write_bundle(tmp_path / "models", b"not asked for here", _LESION)

    def make(priors: dict[str, Any] | None = None, **wish: Any) -> Estate:
        rule = {
            "name": "r", "model": "toy", "series": {"Modality": "CT"}, "destinations": ["PACS"],
            "priors": {"from": ["store", "PACS"], "wait_seconds": 600, **wish},
        }  # fmt: skip
        peer = {"aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}
        document = {
            "store": {"folder": str(files.folder)}, "models": {"folder": str(tmp_path / "models")}, "rule": [rule],
            "peer": [{**peer, "name": "PACS"}, {**peer, "name": "VNA"}],
            "completion": {"max_study_age_days": 0}, "priors": {"leave_free_gib": 0, **(priors or {})},
        }  # fmt: skip
        return Estate(db, files, clock, parse(document), make_arrival)

    return make


@pytest.fixture
def estate(make_estate: MakeEstate) -> Estate:
    """That node with nothing special about it."""
    return make_estate()
