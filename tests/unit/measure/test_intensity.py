"""Statistics of the voxels of a segment."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Segmentation
from dicomnode.measure import intensity
from dicomnode.measure.codes import feature, quantity

from .conftest import segmentation_of, volume_of


def test_the_five_statistics_of_hounsfield_units_are_those_of_the_voxels() -> None:
    array = np.full((3, 4, 5), -1000, dtype=np.int16)
    labels = np.zeros((3, 4, 5), dtype=np.uint8)
    array[1, 1, 1:5] = [10, 20, 30, 100]
    labels[1, 1, 1:5] = 1
    found = intensity.measure(volume_of(array), segmentation_of(labels)).measurements
    assert {row.derivation.meaning: row.value for row in found if row.derivation} == {
        "Mean": 40.0,
        "Standard Deviation": pytest.approx(np.sqrt((900 + 400 + 100 + 3600) / 4)),
        "Minimum": 10.0,
        "Maximum": 100.0,
        "Median": 25.0,
    }
    assert {(row.name.value, row.unit.value) for row in found} == {("112031", "[hnsf'U]")}
    assert all(type(row.value) is float for row in found)


def test_large_int16_sums_do_not_overflow() -> None:
    array = np.full((20, 60, 60), 30_000, dtype=np.int16)
    found = intensity.measure(volume_of(array), segmentation_of(np.ones((20, 60, 60), dtype=np.uint8))).measurements
    assert [row.value for row in found] == [30_000.0, 0.0, 30_000.0, 30_000.0, 30_000.0]


def test_each_present_segment_has_five_rows(phantom: tuple[Volume, Segmentation]) -> None:
    found = intensity.measure(*phantom).measurements
    assert [row.segment_number for row in found] == [1] * 5 + [3] * 5


def test_mr_has_arbitrary_units(phantom: tuple[Volume, Segmentation]) -> None:
    found = intensity.measure(*phantom, modality="MR").measurements
    assert {(row.name.value, row.unit.value) for row in found} == {("110852", "1")}


def test_nothing_is_claimed_about_a_modality_whose_numbers_need_further_attributes(
    phantom: tuple[Volume, Segmentation],
) -> None:
    assert intensity.measure(*phantom, modality="PT").measurements == ()


@pytest.mark.parametrize(
    ("modality", "unit", "concept", "written"),
    [
        ("CT", "[hnsf'U]", "112031", "[hnsf'U]"),
        ("PT", "{SUVbw}g/ml", "126401", "g/ml{SUVbw}"),
        ("PT", "g/ml{SUVlbm}", "126402", "g/ml{SUVlbm}"),
        ("PT", "{SUVbsa}cm2/ml", "126403", "cm2/ml{SUVbsa}"),
        ("PT", "{SUVlbm(Janma)}g/ml", "126405", "g/ml{SUVlbm(Janma)}"),
        ("PT", "g/ml{SUVlbm(James128)}", "126406", "g/ml{SUVlbm(James128)}"),
        ("MR", "um2/s", "113041", "um2/s"),
        ("MR", "1", "110852", "1"),
    ],
)
def test_the_unit_of_the_image_decides_the_quantity(
    phantom: tuple[Volume, Segmentation], modality: str, unit: str, concept: str, written: str
) -> None:
    found = intensity.measure(*phantom, modality, unit).measurements
    assert {(row.name.value, row.name.scheme, row.unit.value) for row in found} == {(concept, "DCM", written)}


@pytest.mark.parametrize(("modality", "unit"), [("PT", "Bq/ml"), ("PT", "{counts}"), ("PT", "1"), ("CT", "1")])
def test_a_unit_without_a_coded_quantity_gives_no_rows(
    phantom: tuple[Volume, Segmentation], modality: str, unit: str
) -> None:
    assert intensity.measure(*phantom, modality, unit).measurements == ()


def test_the_units_of_suv_are_those_of_the_standard() -> None:
    listed = {str(getattr(codes.cid85, name).value) for name in dir(codes.cid85) if name[0].isupper()}
    for kind in ("g/ml{SUVbw}", "g/ml{SUVlbm}", "cm2/ml{SUVbsa}", "g/ml{SUVibw}", "g/ml{SUVlbm(Janma)}"):
        assert kind in listed
        coded = quantity("PT", kind)
        assert coded is not None
        assert coded[1].value == kind


def test_features_carry_the_unit_of_the_image_or_its_square() -> None:
    units = {name: feature(name, "PT", "{SUVbw}g/ml") for name in ("firstorder_Mean", "firstorder_Variance")}
    assert {name: found[1].value for name, found in units.items() if found} == {
        "firstorder_Mean": "g/ml{SUVbw}",
        "firstorder_Variance": "(g/ml{SUVbw})2",
    }
    square = feature("firstorder_Energy", "CT")
    assert square is not None
    assert square[1].value == "[hnsf'U]2"
