"""Statistics of the voxels of a segment."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume

from dicomnode.domain.finding import Segmentation
from dicomnode.measure import intensity

from .conftest import segmentation_of, volume_of


def test_the_five_statistics_of_hounsfield_units_are_those_of_the_voxels() -> None:
    array = np.full((3, 4, 5), -1000, dtype=np.int16)
    labels = np.zeros((3, 4, 5), dtype=np.uint8)
    array[1, 1, 1:5] = [10, 20, 30, 100]
    labels[1, 1, 1:5] = 1
    found = intensity.measure(volume_of(array), segmentation_of(labels))
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
    found = intensity.measure(volume_of(array), segmentation_of(np.ones((20, 60, 60), dtype=np.uint8)))
    assert [row.value for row in found] == [30_000.0, 0.0, 30_000.0, 30_000.0, 30_000.0]


def test_each_present_segment_has_five_rows(phantom: tuple[Volume, Segmentation]) -> None:
    found = intensity.measure(*phantom)
    assert [row.segment_number for row in found] == [1] * 5 + [3] * 5


def test_mr_has_arbitrary_units(phantom: tuple[Volume, Segmentation]) -> None:
    found = intensity.measure(*phantom, modality="MR")
    assert {(row.name.value, row.unit.value) for row in found} == {("110852", "1")}


def test_nothing_is_claimed_about_a_modality_whose_numbers_need_further_attributes(
    phantom: tuple[Volume, Segmentation],
) -> None:
    assert intensity.measure(*phantom, modality="PT") == ()
