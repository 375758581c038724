"""Headers that announce more images than came lead to a warning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from highdicom import Volume
from pydicom import Dataset

from dicomnode.infer.read.volume import read_series
from tests.unit.infer.read.conftest import as_pet

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]
Enhanced = Callable[..., Dataset]


def stated(images: list[Dataset], **attributes: Any) -> list[Dataset]:
    for ds in images:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
    return images


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"NumberOfSlices": 16}, ["14 of 16 announced images (Number of Slices)"]),
        ({"NumberOfSlices": 14, "NumberOfTimeSlices": 2}, ["14 of 28 announced images (Number of Slices)"]),
        ({"NumberOfSlices": 14, "NumberOfTimeSlices": 1}, []),
        ({"NumberOfSlices": 0}, []),
    ],
)
def test_slices_missing_at_the_end_of_a_pet_series_are_announced(
    phantom: Volume, slices: Slices, saved: Saved, attributes: dict[str, int], said: list[str]
) -> None:
    found = read_series(saved(stated(as_pet(slices(phantom)), **attributes)))
    assert [text for text in found.warnings if "announced" in text] == said


def test_images_of_an_acquisition_are_counted_by_its_number(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = stated(slices(phantom), ImagesInAcquisition=7)
    for index, ds in enumerate(images):
        ds.AcquisitionNumber = 1 + index // 7
    assert read_series(saved(images)).warnings == ()
    assert read_series(saved(images[:-3])).warnings == ("4 of 7 announced images (Images in Acquisition)",)


def test_a_copy_of_an_image_stands_for_no_other(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = stated(slices(phantom), ImagesInAcquisition=16)
    paths = saved(images)
    twin = paths[0].with_name("twin")
    twin.write_bytes(paths[0].read_bytes())
    assert "14 of 16 announced images (Images in Acquisition)" in read_series([*paths, twin]).warnings


def test_a_part_of_a_concatenation_that_did_not_come_is_announced(
    phantom: Volume, enhanced: Enhanced, saved: Saved
) -> None:
    parts = [enhanced([(index, phantom, {}) for index in part]) for part in (range(5), range(5, 10))]
    for number, ds in enumerate(parts, start=1):
        ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = "1.2.77", number, 3
    found = read_series(saved(parts))
    assert len(found.planes) == 10
    assert found.warnings == ("2 of 3 announced objects (In-concatenation Total Number)",)
