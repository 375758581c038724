"""Stored values become intensities with a unit: tables, padding, floats, maps and uptake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import ImplicitVRLittleEndian, MRImageStorage

from dicomnode.infer.read.volume import read_series
from tests.unit.infer.read.conftest import as_pet, item

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_every_width_and_sign_of_pixels_is_read(phantom: Volume, slices: Slices, saved: Saved, kind: Any) -> None:
    ends = np.iinfo(kind)
    stored: npt.NDArray[Any] = np.clip(
        phantom.array.astype(np.int64), max(ends.min, -3000), min(ends.max, 3000)
    ).astype(kind)
    found = read_series(saved(slices(phantom.with_array(stored)))).volume.array
    assert found.dtype == np.int16
    assert np.array_equal(found, stored.astype(np.int64))


@pytest.mark.parametrize(("bits", "first"), [(16, -900), (16, 0), (8, -10)])
def test_a_modality_table_gives_what_pydicom_gives(
    phantom: Volume, slices: Slices, saved: Saved, bits: int, first: int
) -> None:
    table = np.random.default_rng(1).integers(0, 2 ** (bits - 1), 900).tolist()
    images = slices(phantom)
    for ds in images:
        del ds.RescaleSlope, ds.RescaleIntercept
        ds.ModalityLUTSequence = [item(LUTDescriptor=[900, first, bits], ModalityLUTType="US", LUTData=table)]
        ds.ModalityLUTSequence[0]["LUTDescriptor"].VR = "SS"
        ds.ModalityLUTSequence[0]["LUTData"].VR = "US"
    found = read_series(saved(images)).volume.array
    expected = np.stack([apply_modality_lut(ds.pixel_array, ds) for ds in images])
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("signed", [True, False])
def test_table_and_padding_are_understood_where_no_representation_is_written(
    phantom: Volume, slices: Slices, saved: Saved, signed: bool
) -> None:
    stored = phantom.array if signed else (phantom.array + 1024).astype(np.uint16)
    stored = stored.copy()
    stored[3, 0, 0] = -2000 if signed else 65000
    images = slices(phantom.with_array(stored))
    for ds in images:
        del ds.RescaleSlope, ds.RescaleIntercept
        ds.ModalityLUTSequence = [
            item(LUTDescriptor=[2000, -1000 if signed else 0, 16], ModalityLUTType="US", LUTData=list(range(2000)))
        ]
        ds.ModalityLUTSequence[0]["LUTDescriptor"].VR = "SS" if signed else "US"
        ds.ModalityLUTSequence[0]["LUTData"].VR = "US"
        ds.add_new("PixelPaddingValue", "SS" if signed else "US", -2000 if signed else 65000)
        ds.Modality = "MR"
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    found = read_series(saved(images)).volume.array
    expected = phantom.array + (1000 if signed else 1024)
    expected[3, 0, 0] = 0
    assert np.array_equal(found, expected)


def test_floating_pixels_are_kept_and_what_is_no_number_is_padding(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    values = phantom.array.astype(np.float32) / 7
    values[2, 3, 4] = np.nan
    images = slices(phantom)
    for ds, plane in zip(images, values, strict=True):
        del ds.PixelData, ds.PixelRepresentation, ds.HighBit, ds.BitsStored
        ds.BitsAllocated = 32
        ds.FloatPixelData = plane.tobytes()
    found = read_series(saved(images)).volume.array
    assert found.dtype == np.float32
    assert found[2, 3, 4] == -1024
    values[2, 3, 4] = -1024
    assert np.array_equal(found, values)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_photometric_interpretation_leaves_values_alone(
    phantom: Volume, slices: Slices, saved: Saved, photometric: str
) -> None:
    images = slices(phantom)
    for ds in images:
        ds.PhotometricInterpretation = photometric
    assert np.array_equal(read_series(saved(images)).volume.array, phantom.array)


@pytest.mark.parametrize(
    ("padding", "limit", "stored", "becomes"),
    [
        (-2000, None, [-2000], -1024),
        (4000, None, [4000], -1024),
        (-3000, -2000, [-3000, -2500, -2000], -1024),
        (-2000, -3000, [-3000, -2500, -2000], -1024),
        (-1010, None, [-1010], -1010),
        (63536, None, [-2000], -1024),
        (-32768, None, [-32768], -1024),
    ],
    ids=["below", "above", "range", "range-reversed", "air", "wrong-representation", "lowest"],
)
def test_padding_of_ct_becomes_air(
    phantom: Volume, slices: Slices, saved: Saved, padding: int, limit: int | None, stored: list[int], becomes: int
) -> None:
    padded = phantom.array.copy()
    padded[3, 0, : len(stored)] = stored
    images = slices(phantom.with_array(padded))
    for ds in images:
        ds.add_new("PixelPaddingValue", "US" if padding > 32767 else "SS", padding)
        if limit is not None:
            ds.add_new("PixelPaddingRangeLimit", "SS", limit)
    found = read_series(saved(images))
    expected = phantom.array.copy()
    expected[3, 0, : len(stored)] = becomes
    assert np.array_equal(found.volume.array, expected)
    assert found.volume.array.dtype == np.int16
    assert found.warnings == ()


@pytest.mark.parametrize(("lowest", "becomes"), [(50, 0), (-120, -120)])
def test_padding_of_mr_becomes_the_least_signal(
    phantom: Volume, slices: Slices, saved: Saved, lowest: int, becomes: int
) -> None:
    padded = np.maximum(phantom.array, lowest).astype(np.int16)
    padded[3, 0, 0] = -2000
    images = slices(phantom.with_array(padded))
    for ds in images:
        ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
        ds.add_new("PixelPaddingValue", "SS", -2000)
    found = read_series(saved(images))
    assert found.unit == "1"
    assert found.volume.array[3, 0, 0] == becomes
    assert np.count_nonzero(found.volume.array != padded) == 1


@pytest.mark.parametrize(("kind", "unit"), [(None, "[hnsf'U]"), ("HU", "[hnsf'U]"), ("US", "1"), ("ED", "1")])
def test_the_unit_of_ct_follows_the_rescale_type(
    phantom: Volume, slices: Slices, saved: Saved, kind: str | None, unit: str
) -> None:
    images = slices(phantom)
    for ds in images:
        if kind:
            ds.RescaleType = kind
    assert read_series(saved(images)).unit == unit


def test_a_coded_map_is_read_in_its_unit(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    for ds in images:
        ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
        ds.ImageType = ["DERIVED", "PRIMARY", "ADC"]
        unit = item(CodeValue="mm2/s", CodingSchemeDesignator="UCUM", CodeMeaning="square millimeter per second")
        ds.RealWorldValueMappingSequence = [
            item(RealWorldValueSlope=1e-6, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=[unit])
        ]
    found = read_series(saved(images))
    assert found.unit == "mm2/s"
    assert np.allclose(found.volume.array, phantom.array * 1e-6)


def test_pet_becomes_uptake_slice_by_slice(phantom: Volume, slices: Slices, saved: Saved) -> None:
    stored = np.abs(phantom.array).astype(np.int16)
    images = as_pet(slices(phantom.with_array(stored)))
    found = read_series(saved(images))
    dose = 3.7e8 * 2 ** (-3600 / 6586.2)
    expected = stored * (2.0 + np.arange(14))[:, None, None] * 70_000 / dose
    assert found.unit == "g/ml{SUVbw}"
    assert found.volume.array.dtype == np.float32
    assert np.allclose(found.volume.array, expected, rtol=1e-4)


def test_pet_without_a_weight_stays_activity_and_says_why(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = as_pet(slices(phantom.with_array(np.abs(phantom.array).astype(np.int16))))
    for ds in images:
        del ds.PatientWeight
    found = read_series(saved(images))
    assert found.unit == "Bq/ml"
    assert any(text.startswith("no SUV: ") and "eight" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("padding", "signed", "vr"), [(63536, False, "US"), (-32768, True, "SS")], ids=["unsigned", "signed"]
)
def test_padding_beyond_the_stored_bits_becomes_air(
    phantom: Volume, slices: Slices, saved: Saved, padding: int, signed: bool, vr: str
) -> None:
    stored = (phantom.array if signed else phantom.array + 1024).astype(np.int16 if signed else np.uint16)
    stored[3, 0, 0] = padding
    images = slices(phantom.with_array(stored), bits=12, intercept=0 if signed else -1024)
    for ds in images:
        ds.add_new("PixelPaddingValue", vr, padding)
    found = read_series(saved(images))
    expected = phantom.array.copy()
    expected[3, 0, 0] = -1024
    assert np.array_equal(found.volume.array, expected)
    assert found.warnings == ()


def test_padding_that_could_be_tissue_is_read_and_named(phantom: Volume, slices: Slices, saved: Saved) -> None:
    values = phantom.array.copy()
    values[3, 0] = 0
    images = slices(phantom.with_array(values))
    for ds in images:
        ds.add_new("PixelPaddingValue", "SS", 0)
    found = read_series(saved(images))
    assert np.array_equal(found.volume.array, values)
    assert found.warnings == (
        "Pixel Padding Value stands for 0 HU in 14 images, which could be tissue; it was not taken out",
    )


def test_ct_in_other_units_than_hounsfield_says_so(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    for ds in images:
        ds.RescaleType = "US"
    assert "no Hounsfield Units (Rescale Type US)" in read_series(saved(images)).warnings[0]
