"""Reference objects of IBSI, vendors' headers and real PET series: SUV agree with what is published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume
from pydicom import Dataset, dcmread
from pydicom.uid import PositronEmissionTomographyImageStorage

from dicomnode.infer.read.petheader import PetHeader
from dicomnode.infer.read.suv import suv
from dicomnode.infer.read.volume import read_series

Saved = Callable[[list[Dataset]], list[Path]]

# Real headers break the standard here and there, and pydicom warns of it.
pytestmark = pytest.mark.filterwarnings("ignore")

#: Factors that cornerstone's calculate-suv states for its sample data.
FACTORS = {
    "PHILIPS_BQML": 0.0007463747013889488,
    "PHILIPS_CNTS_AND_BQML_SUV": 0.000551,
    "PHILIPS_CNTS_AND_SUV": 0.000728,
    "SIEMENS": 0.00042748316187197236,
    "GE_MEDICAL_AND_BQML": 0.0005367387681819742,
    "BQML_AC_DT_lessThan_S_DT_SIEMENS": 0.0004069156854009332,
    "CPS_AND_BQML_AC_DT_-_S_DT": 0.00026503312764157046,
    "RADIOPHARM_DATETIME_UNDEFINED": 0.0003721089202818729,
}
OBJECTS = ("0_0", "1_0", "2_0", "2_4", "3_0", "3_1", "4_0", "4_1")
TRACER = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)


def add_header(ds: Dataset, case: Mapping[str, Any]) -> None:
    """Write the case's plain keywords into an image."""
    tracer = Dataset()
    for keyword, value in case.items():
        if keyword in TRACER:
            setattr(tracer, keyword, value)
        elif keyword == "PhilipsPETPrivateGroup":
            block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
            for element, name in ((0x00, "SUVScaleFactor"), (0x09, "ActivityConcentrationScaleFactor")):
                if name in value:
                    block.add_new(element, "DS", value[name])
        else:
            setattr(ds, keyword, value)
    ds.RadiopharmaceuticalInformationSequence = [tracer]


@pytest.mark.parametrize("name", OBJECTS)
def test_reference_objects_have_their_nominal_suv(real_data: Path, name: str) -> None:
    folder = real_data / "ibsi_suv_dro/DRO" / f"DRO_{name}"
    found = read_series(sorted((folder / "PT").rglob("*.dcm")))
    assert found.unit == "g/ml{SUVbw}"
    values = found.volume.array
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(next((folder / "mask").rglob("*.nii.gz"))))) > 0
    assert mask.shape == values.shape
    assert values[mask].min() == pytest.approx(0.20, rel=1e-3)
    assert np.median(values[mask]) == pytest.approx(1.00, rel=1e-3)
    assert values[mask].max() == pytest.approx(4.00, rel=1e-3)


@pytest.mark.parametrize("name", sorted(FACTORS))
def test_headers_of_every_vendor_give_the_published_factor(
    real_data: Path, phantom: Volume, slices: Callable[..., list[Dataset]], saved: Saved, name: str
) -> None:
    path = real_data / "suv_metadata_cases/metadata" / f"{name}-instances.json"
    cases = json.loads(path.read_text())
    images = slices(phantom.with_array(np.full(phantom.array.shape, 1000, dtype=np.int16))[: len(cases)])
    for ds, case in zip(images, cases, strict=True):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
        ds.Modality = "PT"
        add_header(ds, case)
    found = read_series(saved(images)).volume.array
    assert found == pytest.approx(np.full(found.shape, 1000 * FACTORS[name]), rel=1e-4)


@pytest.mark.parametrize("patient", ["STS_002", "STS_005", "STS_010"])
def test_a_series_in_grams_per_millilitre_is_suv_already(real_data: Path, patient: str) -> None:
    folder = real_data / "sts_ibsi_validation" / patient / "dicom" / patient / "PET/image"
    headers = [PetHeader(dcmread(path, stop_before_pixels=True)) for path in folder.rglob("*.dcm")]
    assert headers
    assert {suv(header).factor for header in headers} == {1.0}
    # Janmahasatian's lean mass is between 40 and 80 % of these patients' weight.
    lean = {suv(header, "lbm").factor for header in headers}
    assert len(lean) == 1
    assert 0.4 < lean.pop() < 0.8
