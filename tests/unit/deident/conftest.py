"""An image with a patient in it, and a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.deident.pseudonym import Pseudonyms

MakeImage = Callable[..., Dataset]


@pytest.fixture
def names() -> Pseudonyms:
    """Pseudonyms under a secret of the tests."""
    return Pseudonyms(secret=b"a secret of sixteen bytes or more")


@pytest.fixture
def image() -> MakeImage:
    """Makes a CT image without pixels; keywords set attributes."""

    def make(**attributes: Any) -> Dataset:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3.4.5"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
        ds.PatientName, ds.PatientID, ds.Modality = "DONT^LOGME", "P1", "CT"
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        return ds

    return make
