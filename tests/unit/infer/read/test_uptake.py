"""Uptake of a whole series: one moment of decay correction, one patient, one tracer."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from highdicom.legacy import LegacyConvertedEnhancedPETImage
from pydicom import Dataset
from pydicom.uid import generate_uid

from dicomnode.infer.read.series import read_stacks
from dicomnode.infer.read.volume import read_series
from tests.unit.infer.read.conftest import as_pet, item

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]

#: 1000 stored, slope 2, 70 kg, 370 MBq of 18F one hour before the scan began.
SUV = 2000 * 70_000 / (3.7e8 * 2 ** (-3600 / 6586.2))


@pytest.fixture
def images(phantom: Volume, slices: Slices) -> list[Dataset]:
    """A PET series of equal activity with three beds five minutes apart."""
    found = as_pet(slices(phantom.with_array(np.full(phantom.array.shape, 1000, dtype=np.int16))))
    for index, ds in enumerate(found):
        ds.RescaleSlope = 2
        ds.AcquisitionTime = f"11{5 * (index // 5):02d}00"
    return found


@pytest.mark.parametrize("series_time", ["", "150000"], ids=["missing", "after-processing"])
@pytest.mark.parametrize("order", [1, -1], ids=["head-last", "head-first"])
def test_beds_are_corrected_to_the_first_of_them(
    images: list[Dataset], saved: Saved, series_time: str, order: int
) -> None:
    for ds, time in zip(images, [ds.AcquisitionTime for ds in images][::order], strict=True):
        ds.SeriesTime, ds.AcquisitionTime = series_time, time
    found = read_series(saved(images))
    assert found.volume.array == pytest.approx(np.full((14, 24, 30), SUV), rel=1e-6)
    assert any("decay corrected to the earliest acquisition" in text for text in found.warnings)


def test_a_legacy_converted_object_is_corrected_to_the_first_of_its_frames(images: list[Dataset], saved: Saved) -> None:
    for ds in images:
        ds.SeriesTime = "150000"
    multi = LegacyConvertedEnhancedPETImage(
        legacy_datasets=images,
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
    )
    assert read_series(saved([multi])).volume.array == pytest.approx(np.full((14, 24, 30), SUV), rel=1e-6)


def test_later_time_points_are_corrected_to_the_first(images: list[Dataset], saved: Saved) -> None:
    later = deepcopy(images)
    for ds in images:
        ds.SeriesTime, ds.AcquisitionTime, ds.TemporalPositionIdentifier = "", "110000", 1
    for ds in later:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.SeriesTime, ds.AcquisitionTime, ds.TemporalPositionIdentifier = "", "113000", 2
    first, second = read_stacks(saved([*images, *later])).stacks
    assert first.read().volume.array.max() == pytest.approx(SUV, rel=1e-6)
    assert second.read().volume.array.max() == pytest.approx(SUV, rel=1e-6)


@pytest.mark.parametrize(
    ("keyword", "value", "named"),
    [
        ("PatientWeight", 90, "Patient's Weight"),
        ("RadionuclideTotalDose", 3.6e8, "Radionuclide Total Dose"),
        ("RadiopharmaceuticalStartDateTime", "20261121095900", "Radiopharmaceutical Start Date Time"),
        ("RadionuclideHalfLife", 6600.0, "Radionuclide Half Life"),
    ],
)
def test_patient_or_tracer_that_differ_between_slices_give_no_uptake(
    images: list[Dataset], saved: Saved, keyword: str, value: Any, named: str
) -> None:
    for ds in images[5:]:
        setattr(ds if keyword in ds else ds.RadiopharmaceuticalInformationSequence[0], keyword, value)
    found = read_series(saved(images))
    assert found.unit == "Bq/ml"
    assert np.array_equal(found.volume.array, np.full((14, 24, 30), 2000))
    (said,) = [text for text in found.warnings if text.startswith("no SUV: ")]
    assert f"{named} not the same in all images" in said


def test_two_tracers_give_no_uptake_and_the_same_one_twice_does(images: list[Dataset], saved: Saved) -> None:
    for ds in images:
        ds.RadiopharmaceuticalInformationSequence.append(deepcopy(ds.RadiopharmaceuticalInformationSequence[0]))
    assert read_series(saved(images)).unit == "g/ml{SUVbw}"
    for ds in images:
        ds.RadiopharmaceuticalInformationSequence[1] = item(RadionuclideTotalDose=1e8)
    found = read_series(saved(images))
    assert found.unit == "Bq/ml"
    assert any("2 radiopharmaceuticals that differ, needed one" in text for text in found.warnings)


def test_a_half_life_in_minutes_is_named_as_the_suspect(images: list[Dataset], saved: Saved) -> None:
    for ds in images:
        tracer = ds.RadiopharmaceuticalInformationSequence[0]
        del tracer.RadiopharmaceuticalStartDateTime
        tracer.RadiopharmaceuticalStartTime, tracer.RadionuclideHalfLife = "100000", 109.77
    found = read_series(saved(images))
    assert any("6 times the half-life of 109.77 s" in text for text in found.warnings)
