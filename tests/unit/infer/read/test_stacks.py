"""Stacks of one series are told apart by what really separates them, from files and from stored headers alike."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom import DataElement, Dataset
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage, generate_uid

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.header import Header, differences
from dicomnode.infer.read.series import read_stacks
from dicomnode.infer.read.stacks import stacks_of
from dicomnode.infer.read.volume import read_series

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]


def again(images: list[Dataset], **attributes: Any) -> list[Dataset]:
    """The same images as other objects with these attributes; a callable is given the place of the image."""
    copies = deepcopy(images)
    for index, ds in enumerate(copies):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in attributes.items():
            setattr(ds, keyword, value(index) if callable(value) else value)
    return copies


def headers(images: list[Dataset]) -> list[Header]:
    """As the store keeps them: what the first says, and in what the others differ."""
    plain = []
    for ds in images:
        copy = deepcopy(ds)
        del copy.PixelData
        plain.append(copy.to_json_dict())
    return [Header(plain[0], differences(one, plain[0])) for one in plain]


def labels(images: list[Dataset]) -> list[str]:
    """Labels of the stacks by stored headers."""
    found = stacks_of(headers(images))
    everywhere = sorted(index for group in found for index in group.indices)
    assert everywhere == list(range(len(images)))
    return [group.label for group in found]


PAIRS = [
    pytest.param({"EchoTime": 10.0}, {"EchoTime": 30.0}, "echo 1 of 2 (TE 10 ms)", id="echo-time"),
    pytest.param({"EchoNumbers": 1}, {"EchoNumbers": 2}, "echo 1 of 2 (number 1)", id="echo-number"),
    pytest.param(
        {"DiffusionBValue": 0.0}, {"DiffusionBValue": 800.0}, "diffusion weighting 1 of 2 (b 0 s/mm2)", id="b-value"
    ),
    pytest.param(
        {"ImageType": ["ORIGINAL", "PRIMARY", "M"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
        "image type 1 of 2 (ORIGINAL\\PRIMARY\\M)",
        id="magnitude-phase",
    ),
    pytest.param(
        {"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, "time point 1 of 2 (index 1)", id="time"
    ),
    pytest.param({"TriggerTime": 0.0}, {"TriggerTime": 400.0}, "trigger 1 of 2 (0 ms)", id="trigger"),
    pytest.param({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, "acquisition 1 of 2 (number 1)", id="acquisition"),
    pytest.param({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B60f"}, "kernel 1 of 2 (B30f)", id="kernel"),
    pytest.param(
        {"InstanceNumber": lambda index: index + 1},
        {"InstanceNumber": lambda index: index + 101},
        "set 1 of 2 (by Instance Number)",
        id="number-by-set",
    ),
    pytest.param(
        {"InstanceNumber": lambda index: 2 * index + 1},
        {"InstanceNumber": lambda index: 2 * index + 2},
        "set 1 of 2 (by Instance Number)",
        id="number-by-position",
    ),
    pytest.param(
        {"TriggerTime": lambda index: 10.0 + index}, {"TriggerTime": lambda index: 400.0 + index},
        "set 1 of 2 (by Trigger Time)", id="jittered-trigger",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "label"), PAIRS)
def test_two_images_per_position_are_two_stacks(
    phantom: Volume, slices: Slices, saved: Saved, first: dict[str, Any], second: dict[str, Any], label: str
) -> None:
    images = again(slices(phantom), **first)
    others = again(slices(phantom.with_array((phantom.array + 3).astype(np.int16))), **second)
    for ds in others:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    mixed = [ds for pair in zip(others, images, strict=True) for ds in pair]
    assert labels(mixed)[0] == label
    found = read_stacks(saved(mixed))
    assert [stack.label for stack in found.stacks] == labels(mixed)
    assert np.array_equal(found.stacks[0].read().volume.array, phantom.array)
    assert np.array_equal(found.stacks[1].read().volume.array, phantom.array + 3)


@pytest.mark.parametrize(
    "changing",
    [
        {"AcquisitionNumber": lambda index: index // 5},
        {"AcquisitionNumber": lambda index: index % 2},
        {"AcquisitionTime": lambda index: f"1200{index:02d}"},
        {"TriggerTime": lambda index: float(index)},
        {"EchoTime": lambda index: 30.0 + 0.01 * (index in {2, 3, 9})},
        {"ImageType": lambda index: ["ORIGINAL", "PRIMARY", "AXIAL", "A" if index < 7 else "B"]},
        {"KVP": lambda index: 100 + 20 * (index % 3)},
    ],
    ids=["half-scans", "concatenations", "helical", "gated", "rounding", "two-halves", "voltage"],
)
def test_a_stack_whose_attributes_change_from_slice_to_slice_stays_whole(
    phantom: Volume, slices: Slices, saved: Saved, changing: dict[str, Any]
) -> None:
    images = again(slices(phantom), **changing)
    assert labels(images) == ["all images"]
    found = read_series(saved(images))
    assert np.array_equal(found.volume.array, phantom.array)
    assert found.warnings == ()


def test_interleaved_reconstructions_are_not_mixed(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = again(slices(phantom), ConvolutionKernel=lambda index: ("B30f", "B60f")[index % 2])
    found = read_series(saved(images))
    assert found.volume.spacing[0] == pytest.approx(4.0)
    assert np.array_equal(found.volume.array, phantom.array[::2])
    assert "kernel 2 of 2 (B60f) (7 slices)" in found.warnings[0]


def test_a_localizer_inside_the_series_is_left_out(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    turned = phantom.permute_spatial_axes((1, 0, 2))[4:7]
    scouts = slices(turned)
    for ds in scouts:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert labels([*scouts, *images]) == ["axial 24 × 30", "localizer coronal 14 × 30"]
    found = read_series(saved([*scouts, *images]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert "localizer coronal 14 × 30 (3 slices)" in found.warnings[0]


def test_a_localizer_never_stands_for_a_volume_that_cannot_be_read(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    scouts = slices(phantom.permute_spatial_axes((1, 0, 2))[4:7])
    for ds in scouts:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    del images[5]
    with pytest.raises(Unsuitable, match="slice gap 4 mm"):
        read_series(saved([*scouts, *images]))
    for ds in scouts:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    with pytest.raises(Unsuitable, match="slice gap 4 mm"):
        read_series(saved([*scouts, *images]))


def test_a_whole_echo_stands_for_one_with_a_gap_and_says_so(phantom: Volume, slices: Slices, saved: Saved) -> None:
    first = slices(phantom)
    broken = again(first, EchoTime=10.0)
    del broken[5]
    found = read_series(saved([*broken, *again(first, EchoTime=20.0)]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert any("left out: " in text and "slice gap 4 mm" in text and "TE 10 ms" in text for text in found.warnings)


def test_original_images_come_before_derived_ones(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    derived = again(images, ImageType=["DERIVED", "SECONDARY", "MPR"])
    original = again(images, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    assert labels([*derived, *original])[0].endswith("(ORIGINAL\\PRIMARY\\AXIAL)")


def test_an_interrupted_last_time_point_does_not_hide_the_others(phantom: Volume, slices: Slices, saved: Saved) -> None:
    runs = [again(slices(phantom), TemporalPositionIdentifier=time) for time in (1, 2, 3)]
    for ds in (ds for run in runs for ds in run):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    found = read_stacks(saved([*runs[0], *runs[1], *runs[2][:9]]))
    assert [len(stack.frames) for stack in found.stacks] == [14, 14, 9]


def test_objects_without_pixels_beside_the_images_are_named_and_left_out(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    report = deepcopy(images[0])
    del report.PixelData, report.Rows, report.Columns
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    report.Modality = "SR"
    found = read_series(saved([*images, report]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert "SR without pixels, needed an image" in found.warnings[0]


def test_a_derived_object_is_not_called_by_what_is_no_modality(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    mask = deepcopy(images[0])
    mask.SOPClassUID = mask.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    mask.SOPInstanceUID = mask.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    mask[0x00080060] = DataElement(0x00080060, "LO", "Doe^Jane " * 7)
    found = read_series(saved([*images, mask]))
    assert "an object derived from images, needed an image" in found.warnings[0] and "Doe" not in found.warnings[0]


def test_headers_without_a_place_and_multi_frame_objects_stay_together(phantom: Volume, slices: Slices) -> None:
    images = slices(phantom)
    images[3].NumberOfFrames = 20
    del images[5].ImagePositionPatient
    found = stacks_of(headers(images))
    assert [(group.label, group.indices) for group in found if len(group.indices) == 1] == [
        ("multi-frame objects", (3,)),
        ("objects without a place in the patient", (5,)),
    ]
    assert stacks_of([]) == []


def test_a_slice_that_comes_under_one_uid_at_two_places_is_refused(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    images[4].SOPInstanceUID = images[3].SOPInstanceUID
    with pytest.raises(Unsuitable, match="14 slices share 13 SOP Instance UIDs"):
        read_series(saved(images))


def test_two_phases_whose_slices_interleave_evenly_are_not_mixed(phantom: Volume, slices: Slices, saved: Saved) -> None:
    # Slices of 4 mm, fourteen positions 2 mm apart: every other one was taken 40 s later.
    images = again(slices(phantom), SliceThickness=4.0, AcquisitionNumber=lambda index: 1 + index % 2)
    assert labels(images) == ["acquisition 1 of 2 (number 1)", "acquisition 2 of 2 (number 2)"]
    found = read_series(saved(images))
    assert np.array_equal(found.volume.array, phantom.array[::2])
    assert "acquisition 2 of 2 (number 2) (7 slices)" in found.warnings[0]


@pytest.mark.parametrize("changes", [{"SliceThickness": 2.0}, {"SliceThickness": 4.0, "Modality": "MR"}])
def test_interleaved_packages_of_one_scan_stay_whole(
    phantom: Volume, slices: Slices, saved: Saved, changes: dict[str, Any]
) -> None:
    images = again(slices(phantom), AcquisitionNumber=lambda index: 1 + index % 2, **changes)
    assert np.array_equal(read_series(saved(images)).volume.array, phantom.array)


@pytest.mark.parametrize("shift_mm", [0.5, 0.01])
def test_two_phases_at_almost_the_same_places_are_not_mixed(
    phantom: Volume, slices: Slices, saved: Saved, shift_mm: float
) -> None:
    images = again(slices(phantom), SliceThickness=2.0, AcquisitionNumber=1)
    others = again(images, AcquisitionNumber=2)
    for ds in others:
        ds.ImagePositionPatient[2] += shift_mm
    found = read_stacks(saved([*others, *images]))
    assert [len(stack.frames) for stack in found.stacks] == [14, 14]
    assert "acquisition 1 of 2" in found.stacks[0].label


def test_two_acquisitions_that_share_half_their_range_are_two_stacks(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    first = slices(phantom)
    images = [*again(first[:9], AcquisitionNumber=1), *again(first[5:], AcquisitionNumber=2)]
    found = read_stacks(saved(images))
    assert [len(stack.frames) for stack in found.stacks] == [9, 9]
    assert np.array_equal(found.stacks[1].read().volume.array, phantom.array[5:])


@pytest.mark.parametrize("offset_mm", [0.0, 0.7])
def test_a_thin_and_a_thick_reconstruction_in_one_series_are_two_stacks(
    phantom: Volume, slices: Slices, saved: Saved, offset_mm: float
) -> None:
    images = slices(phantom)
    thin, thick = again(images, SliceThickness=2.0), again(images[::3], SliceThickness=6.0)
    for ds in thick:
        ds.ImagePositionPatient[2] += offset_mm
        ds.PixelData = bytes(len(ds.PixelData))
    found = read_stacks(saved([*thick, *thin]))
    assert [stack.label for stack in found.stacks] == ["slice thickness 1 of 2 (2 mm)", "slice thickness 2 of 2 (6 mm)"]
    assert np.array_equal(found.stacks[0].read().volume.array, phantom.array)


def test_a_scan_in_thinner_and_thicker_slices_is_refused_and_not_halved(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = again(slices(phantom), SliceThickness=lambda index: 2.0 if index < 8 else 4.0)
    del images[9:14:2]
    with pytest.raises(Unsuitable, match="slice gap 4 mm"):
        read_series(saved(images))


def _placeless_localizer(ds: Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    del ds.ImagePositionPatient, ds.ImageOrientationPatient


def _placeless_derived(ds: Dataset) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    del ds.ImagePositionPatient, ds.ImageOrientationPatient


def _colour(ds: Dataset) -> None:
    ds.PhotometricInterpretation, ds.SamplesPerPixel = "RGB", 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_placeless_localizer, "no ImagePositionPatient and no ImageOrientationPatient"),
        (_placeless_derived, "no ImagePositionPatient and no ImageOrientationPatient"),
        (_colour, "RGB with 3 samples per pixel"),
    ],
)
def test_an_image_that_is_no_slice_is_left_out_by_name(
    phantom: Volume, slices: Slices, saved: Saved, spoil: Callable[[Dataset], None], said: str
) -> None:
    images = slices(phantom)
    (other,) = again(images[:1])
    spoil(other)
    found = read_series(saved([other, *images]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert found.warnings[0].startswith("left out: ")
    assert said in found.warnings[0]


@pytest.mark.parametrize("derived", [True, False])
def test_an_image_that_may_be_a_slice_is_never_left_out(
    phantom: Volume, slices: Slices, saved: Saved, derived: bool
) -> None:
    images = again(slices(phantom), ImageType=["DERIVED" if derived else "ORIGINAL", "PRIMARY", "AXIAL"])
    del images[3].ImagePositionPatient
    with pytest.raises(Unsuitable, match="no ImagePositionPatient"):
        read_series(saved(images))


def test_a_copy_a_thousandth_of_a_millimetre_away_counts_once(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    (twin,) = again(images[4:5])
    twin.ImagePositionPatient[2] += 0.0012
    found = read_series(saved([*images, twin]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert found.warnings == ("1 images came twice with identical pixels; one of each was used",)
