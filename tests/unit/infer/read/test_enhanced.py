"""Multi-frame objects: frames placed by functional groups, stacks within one object, and legacy-converted twins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from highdicom.legacy import LegacyConvertedEnhancedCTImage, LegacyConvertedEnhancedPETImage
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGLSLossless, RLELossless, generate_uid

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read import pixels
from dicomnode.infer.read.series import read_stacks
from dicomnode.infer.read.volume import read_series
from tests.unit.infer.read.conftest import Shown, as_pet, fill_in, item

Enhanced = Callable[..., Dataset]
Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]


def same_place(one: Volume, other: Volume) -> bool:
    first, second = (volume.to_patient_orientation("HPL") for volume in (one, other))
    return np.array_equal(first.array, second.array) and np.allclose(first.affine, second.affine, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "per-frame"])
def test_the_same_body_is_read_from_every_orientation(
    oriented: Volume, enhanced: Enhanced, saved: Saved, shared: bool
) -> None:
    order = np.random.default_rng(3).permutation(len(oriented.array)).tolist()
    shown: list[Shown] = [(index, oriented, {}) for index in order]
    found = read_series(saved([enhanced(shown, shared_geometry=shared)]))
    assert same_place(found.volume, oriented)
    assert found.volume.array.dtype == np.int16
    assert len(found.datasets) == 1
    for index, plane in enumerate(found.planes):
        assert np.allclose((found.volume.affine @ [index, 0, 0, 1])[:3], plane.position_mm, atol=1e-5)
        number = plane.frame_number
        assert number is not None
        assert np.array_equal(found.volume.array[index], oriented.array[shown[number - 1][0]])


def test_each_frame_is_rescaled_by_its_own_group(phantom: Volume, enhanced: Enhanced, saved: Saved) -> None:
    shown = [
        (index, phantom, {"PixelValueTransformationSequence": item(RescaleSlope=0.5 + index, RescaleIntercept=-3.25)})
        for index in range(14)
    ]
    found = read_series(saved([enhanced(shown)])).volume.array
    assert found.dtype == np.float32
    assert np.allclose(found, phantom.array * (0.5 + np.arange(14))[:, None, None] - 3.25)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_a_compressed_object_gives_the_same_voxels(
    phantom: Volume, enhanced: Enhanced, saved: Saved, syntax: str
) -> None:
    shown: list[Shown] = [(index, phantom, {}) for index in range(14)]
    ds = enhanced(list(reversed(shown)))
    ds.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(read_series(saved([ds])).volume.array, phantom.array)


def test_a_compressed_object_is_parsed_once_for_all_its_frames(
    phantom: Volume, enhanced: Enhanced, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = enhanced([(index, phantom, {}) for index in range(14)])
    ds.compress(RLELossless, generate_instance_uid=False)
    (path,) = saved([ds])
    parsed = []

    def counted(source: Path) -> Dataset:
        parsed.append(source)
        return dcmread(source)

    monkeypatch.setattr(pixels, "dcmread", counted)
    assert np.array_equal(read_series([path]).volume.array, phantom.array)
    assert parsed == [path]


def test_time_points_and_echoes_in_one_object_are_never_mixed(
    phantom: Volume, enhanced: Enhanced, saved: Saved
) -> None:
    shown = []
    for index in range(14):
        for time in (1, 2, 3):
            for echo in (4.6, 2.3):
                volume = phantom.with_array((phantom.array + 1000 * time + int(10 * echo)).astype(np.int16))
                groups = {
                    "FrameContentSequence": item(TemporalPositionIndex=time, StackID="1"),
                    "MREchoSequence": item(EffectiveEchoTime=echo),
                }
                shown.append((index, volume, groups))
    found = read_stacks(saved([enhanced(shown)]))
    labels = [stack.label for stack in found.stacks]
    assert labels[0] == "echo 1 of 2 (TE 2.3 ms), time point 1 of 3 (index 1)"
    assert labels[-1] == "echo 2 of 2 (TE 4.6 ms), time point 3 of 3 (index 3)"
    for stack, added in zip(found.stacks, (1023, 2023, 3023, 1046, 2046, 3046), strict=True):
        assert np.array_equal(stack.read().volume.array, phantom.array + added)
    warning = read_series([found.stacks[0].frames[0].image.path]).warnings[0]
    assert warning.startswith(
        "the series holds 6 stacks; echo 1 of 2 (TE 2.3 ms), time point 1 of 3 (index 1) was used"
    )
    assert warning.endswith("and 1 more")


def test_a_dimension_that_only_the_object_names_tells_stacks_apart(
    phantom: Volume, enhanced: Enhanced, saved: Saved
) -> None:
    shown = []
    for bed in (1, 2):
        volume = phantom.with_array((phantom.array + bed).astype(np.int16))
        for index in range(14):
            shown.append((index, volume, {"FrameContentSequence": item(DimensionIndexValues=[index + 1, bed])}))
    ds = enhanced(shown)
    ds.DimensionIndexSequence = [
        item(DimensionIndexPointer=0x00209057, FunctionalGroupPointer=0x00209111),
        item(DimensionIndexPointer=0x00189074, DimensionDescriptionLabel="Respiratory bin"),
    ]
    found = read_stacks(saved([ds]))
    assert [stack.label for stack in found.stacks] == [
        "Respiratory bin 1 of 2 (index 1)",
        "Respiratory bin 2 of 2 (index 2)",
    ]
    assert np.array_equal(found.stacks[1].read().volume.array, phantom.array + 2)


def test_slabs_of_different_orientation_are_stacks_of_their_own(
    phantom: Volume, enhanced: Enhanced, saved: Saved
) -> None:
    other = phantom.permute_spatial_axes((1, 0, 2))
    cropped = other[:, :14, :].pad([(0, 0), (0, 10), (0, 0)], constant_value=0)  # type: ignore[index]
    shown: list[Shown] = [(index, phantom, {}) for index in range(14)]
    shown += [(index, cropped, {}) for index in range(5)]
    found = read_stacks(saved([enhanced(shown, shared_geometry=False)]))
    assert [(stack.label.split()[0], len(stack.frames)) for stack in found.stacks] == [("axial", 14), ("coronal", 5)]
    assert np.array_equal(found.stacks[0].read().volume.array, phantom.array)


def test_one_volume_may_be_spread_over_several_objects(phantom: Volume, enhanced: Enhanced, saved: Saved) -> None:
    parts = [enhanced([(index, phantom, {}) for index in part]) for part in (range(6), range(6, 14))]
    for number, part in enumerate(parts, start=1):
        part.ConcatenationUID, part.InConcatenationNumber, part.InstanceNumber = "1.2.9", number, 1
    found = read_series(saved(parts))
    assert np.array_equal(found.volume.array, phantom.array)
    assert len(found.datasets) == 2


def test_frames_that_nothing_tells_apart_are_refused(phantom: Volume, enhanced: Enhanced, saved: Saved) -> None:
    other = phantom.with_array((phantom.array + 5).astype(np.int16))
    shown: list[Shown] = [(index, volume, {}) for index in range(14) for volume in (phantom, other)]
    with pytest.raises(Unsuitable, match=r"several slices at one position \(2 at .* 14 such positions of 14\)"):
        read_series(saved([enhanced(shown)]))


def test_a_legacy_converted_object_equals_the_images_it_was_made_of(
    oriented: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(oriented, intercept=-1024)
    for ds in images:
        fill_in(ds)
    single = read_series(saved(images))
    converted = LegacyConvertedEnhancedCTImage(
        images, series_instance_uid=generate_uid(), series_number=2, sop_instance_uid=generate_uid(), instance_number=1
    )
    multi = read_series(saved([converted]))
    assert np.array_equal(single.volume.array, multi.volume.array)
    assert np.allclose(single.volume.affine, multi.volume.affine, atol=1e-5)
    assert single.unit == multi.unit == "[hnsf'U]"


def test_a_legacy_converted_pet_gives_the_uptake_of_its_images(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = as_pet(slices(phantom.with_array(np.abs(phantom.array).astype(np.int16))))
    single = read_series(saved(images))
    converted = LegacyConvertedEnhancedPETImage(
        images, series_instance_uid=generate_uid(), series_number=2, sop_instance_uid=generate_uid(), instance_number=1
    )
    multi = read_series(saved([converted]))
    assert single.unit == multi.unit == "g/ml{SUVbw}"
    assert np.allclose(single.volume.array, multi.volume.array, rtol=1e-6)


def _fewer(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[3]


def _nowhere(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence


def _short(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-1000]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_fewer, "13 functional groups for 14 frames, needed one each"),
        (_nowhere, "frame 4: no ImagePositionPatient, needed for its place in the patient"),
        (_short, "19160 bytes of pixel data, needed 20160"),
    ],
)
def test_a_broken_object_is_refused_with_a_reason(
    phantom: Volume, enhanced: Enhanced, saved: Saved, spoil: Callable[[Dataset], None], said: str
) -> None:
    ds = enhanced([(index, phantom, {}) for index in range(14)])
    spoil(ds)
    with pytest.raises(Unsuitable, match=said):
        read_series(saved([ds]))


@pytest.mark.parametrize("told", ["phase", "time"])
def test_frames_of_two_phases_are_told_apart_by_what_only_enhanced_objects_state(
    phantom: Volume, enhanced: Enhanced, saved: Saved, told: str
) -> None:
    later = phantom.with_array((phantom.array + 7).astype(np.int16))
    shown: list[Shown] = []
    for number, volume in enumerate((phantom, later)):
        for index in range(14):
            if told == "phase":
                phase = ("ARTERIAL", "PORTAL_VENOUS")[number]
                groups = {"ContrastBolusUsageSequence": item(ContrastBolusAgentPhase=phase)}
            else:
                time = f"2026112110{number:02d}{index:02d}.25"
                groups = {"FrameContentSequence": item(FrameAcquisitionDateTime=time)}
            shown.append((index, volume, groups))
    first, second = read_stacks(saved([enhanced(shown)])).stacks
    assert np.array_equal(first.read().volume.array, phantom.array)
    assert np.array_equal(second.read().volume.array, later.array)
