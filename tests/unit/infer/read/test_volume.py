"""Reading series: order, orientation, values, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.read.volume import read_series

Slices = Callable[..., list[Dataset]]
Saved = Callable[[list[Dataset]], list[Path]]


def same_place(one: Volume, other: Volume) -> bool:
    """Whether two volumes hold the same values at the same points of the patient."""
    first, second = (volume.to_patient_orientation("HPL") for volume in (one, other))
    return np.array_equal(first.array, second.array) and np.allclose(first.affine, second.affine, atol=1e-5)


def test_the_same_body_is_read_from_every_orientation(oriented: Volume, slices: Slices, saved: Saved) -> None:
    found = read_series(saved(slices(oriented)))
    assert same_place(found.volume, oriented)
    assert found.volume.array.dtype == np.int16
    assert found.volume.frame_of_reference_uid == oriented.frame_of_reference_uid


def test_headers_lie_where_their_slices_lie_and_carry_no_pixels(oriented: Volume, slices: Slices, saved: Saved) -> None:
    found = read_series(saved(slices(oriented)))
    places = [found.volume.affine @ [index, 0, 0, 1] for index in range(len(found.datasets))]
    assert np.allclose([ds.ImagePositionPatient for ds in found.datasets], np.array(places)[:, :3], atol=1e-5)
    assert all("PixelData" not in ds for ds in found.datasets)
    normal = np.cross(found.datasets[0].ImageOrientationPatient[:3], found.datasets[0].ImageOrientationPatient[3:])
    assert normal @ found.volume.affine[:3, 0] > 0


def test_an_oblique_stack_keeps_its_affine(phantom: Volume, slices: Slices, saved: Saved) -> None:
    angle = np.radians(25)
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    tilted = Volume(
        array=phantom.array,
        affine=turn @ phantom.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=phantom.frame_of_reference_uid,
    )
    found = read_series(saved(slices(tilted)))
    assert np.allclose(found.volume.affine, tilted.affine, atol=1e-5)
    assert np.array_equal(found.volume.array, tilted.array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(phantom: Volume, slices: Slices, saved: Saved, random: object) -> None:
    paths = saved(slices(phantom))
    random.shuffle(paths)  # type: ignore[attr-defined]
    assert np.array_equal(read_series(paths).volume.array, phantom.array)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
    ],
)
def test_every_lossless_transfer_syntax_gives_the_same_voxels(
    phantom: Volume, slices: Slices, tmp_path: Path, syntax: UID
) -> None:
    paths = []
    for ds in slices(phantom):
        path = tmp_path / ds.SOPInstanceUID
        if syntax in {RLELossless, JPEGLSLossless}:
            ds.compress(syntax, generate_instance_uid=False)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
            if syntax == ExplicitVRBigEndian:
                ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    assert np.array_equal(read_series(paths).volume.array, phantom.array)


def test_each_slice_is_rescaled_with_its_own_slope(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    for index, ds in enumerate(images):
        ds.RescaleSlope, ds.RescaleIntercept = 0.5 + index, -3.25
    found = read_series(saved(images)).volume.array
    expected = phantom.array * (0.5 + np.arange(14))[:, None, None] - 3.25
    assert found.dtype == np.float32
    assert np.allclose(found, expected)


def test_unsigned_pixels_with_an_integer_intercept_stay_int16(phantom: Volume, slices: Slices, saved: Saved) -> None:
    stored = phantom.with_array((phantom.array + 1024).astype(np.uint16))
    found = read_series(saved(slices(stored, intercept=-1024))).volume.array
    assert found.dtype == np.int16
    assert np.array_equal(found, phantom.array)


def test_values_that_do_not_fit_into_int16_become_float32(phantom: Volume, slices: Slices, saved: Saved) -> None:
    stored = phantom.array.astype(np.uint16)
    stored[3, 2, 1] = 60000
    found = read_series(saved(slices(phantom.with_array(stored)))).volume.array
    assert found.dtype == np.float32
    assert found[3, 2, 1] == 60000


def test_bits_above_the_high_bit_are_ignored_and_signs_extended(phantom: Volume, slices: Slices, saved: Saved) -> None:
    dirty = (phantom.array & 0x0FFF | 0x5000).astype(np.int16)
    found = read_series(saved(slices(phantom.with_array(dirty), bits=12))).volume.array
    assert np.array_equal(found, phantom.array)


def test_pixels_in_the_upper_bits_are_shifted_down(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom.with_array((phantom.array << 4 | 7).astype(np.int16)), bits=12)
    for ds in images:
        ds.HighBit = 15
    assert np.array_equal(read_series(saved(images)).volume.array, phantom.array)


def test_what_follows_short_pixel_data_is_not_taken_for_pixels(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    images[2].PixelData = bytes(100)
    images[2].DataSetTrailingPadding = bytes(4000)
    with pytest.raises(Unsuitable, match="100 bytes of pixel data, needed 1440"):
        read_series(saved(images))


def test_identical_images_at_one_position_count_once(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    twin = deepcopy(images[4])
    twin.SOPInstanceUID = generate_uid()
    found = read_series(saved([*images, twin]))
    assert np.array_equal(found.volume.array, phantom.array)
    assert found.warnings == ("1 images came twice with identical pixels; one of each was used",)


def test_different_images_at_one_position_are_refused(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    echo = deepcopy(images[4])
    echo.SOPInstanceUID = generate_uid()
    echo.PixelData = bytes(len(echo.PixelData))
    with pytest.raises(Unsuitable, match=r"several slices at one position \(2 at -132\.0 mm .* 1 such positions of 14"):
        read_series(saved([*images, echo]))


def test_equal_stored_pixels_with_another_slope_are_different_images(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    other = deepcopy(images[4])
    other.SOPInstanceUID = generate_uid()
    other.RescaleSlope = 2
    with pytest.raises(Unsuitable, match="several slices at one position"):
        read_series(saved([*images, other]))


def test_a_missing_slice_is_named_with_its_gap(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    del images[5]
    with pytest.raises(Unsuitable, match=r"slice gap 4 mm at position 5 of 13 .*expected 2 mm \(1 missing\?\)"):
        read_series(saved(images))


def test_slices_that_drift_from_an_even_stack_are_refused(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    for index, ds in enumerate(images):
        ds.ImagePositionPatient[2] += 0.04 * max(0, index - 7)
    with pytest.raises(Unsuitable, match="off its place in an even stack"):
        read_series(saved(images))


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_accepted(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    for index, ds in enumerate(images):
        ds.ImagePositionPatient[2] = round(1.25 * index - 100, 1)
    assert read_series(saved(images)).volume.spacing[0] == pytest.approx(1.25, abs=0.01)


def _sway(images: list[Dataset]) -> None:
    images[7].ImagePositionPatient[1] += 3


def _slide(images: list[Dataset]) -> None:
    for index, ds in enumerate(images):
        ds.ImagePositionPatient[1] += 3 * index


def _jitter(images: list[Dataset]) -> None:
    images[3].ImageOrientationPatient = [0.9999, 0.0141, 0, -0.0141, 0.9999, 0]


def _set(keyword: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda images: setattr(images[2], keyword, value)


def _without(keyword: str) -> Callable[[list[Dataset]], None]:
    return lambda images: delattr(images[2], keyword)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_sway, r"slice 8 of 14 is displaced in plane by 3\.0 mm, .* off the even steps of a gantry tilt"),
        (_slide, r"slices follow each other at 56\.3° to their normal, needed a gantry tilt of 45° or less"),
        (_jitter, r"slice gap 4 mm at position 3 .*axial.*images at 1 position, needed 2 or more"),
        (_set("Columns", 29), r"slice gap 4 mm .*\(axial 24 × 30\); .*images at 1 position.*\(axial 24 × 29\)"),
        (_set("PixelSpacing", [1.5, 1.3]), "slice gap 4 mm .*images at 1 position"),
        (_set("FrameOfReferenceUID", "1.2.9"), r"slice gap 4 mm .*frame of reference 1\.2\.9\)"),
        (_set("StudyInstanceUID", "1.2.9"), "2 different values of StudyInstanceUID"),
        (_set("PatientID", "SECRET-2"), "2 different values of PatientID"),
        (_set("NumberOfFrames", 4), "4 frames without functional groups"),
        (_set("PerFrameFunctionalGroupsSequence", [Dataset(), Dataset()]), "2 functional groups for 1 frames"),
        (_set("ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), "a mosaic of many slices in one image"),
        (_set("BitsAllocated", 1), "1 bits per pixel, needed 8 to 64"),
        (_set("RescaleSlope", 0), r"rescale slope 0\.0"),
        (_set("BitsStored", 17), "17 bits up to bit 15 of 16"),
        (_set("PixelData", b"\0" * 100), "100 bytes of pixel data, needed 1440"),
        (_set("ModalityLUTSequence", [Dataset()]), "needed a readable header"),
        (_set("ImageOrientationPatient", [1, 0, 0, 0, 1]), "5 direction cosines and 3 coordinates"),
        (_set("PixelSpacing", [0, 1]), "needed positive numbers"),
        (_set("PixelSpacing", [1, 1, 1]), "Pixel Spacing of 3 values, needed 2"),
        (_set("PixelSpacing", 1), "Pixel Spacing of 1 values, needed 2"),
        (_set("ImagePositionPatient", 1), "6 direction cosines and 1 coordinates"),
        (_without("ImagePositionPatient"), "no ImagePositionPatient, needed for its place in the patient"),
        (_without("FrameOfReferenceUID"), "no FrameOfReferenceUID"),
        (_without("PixelSpacing"), "no PixelSpacing"),
        (_without("PixelData"), "needed pixels that can be decoded"),
        (_without("Rows"), "CT without pixels, needed an image"),
    ],
)
def test_a_series_that_is_no_volume_is_refused_with_a_reason(
    phantom: Volume, slices: Slices, saved: Saved, spoil: Callable[[list[Dataset]], None], said: str
) -> None:
    images = slices(phantom)
    spoil(images)
    with pytest.raises(Unsuitable, match=said) as refusal:
        read_series(saved(images))
    assert "SECRET" not in str(refusal.value)
    assert "LOGME" not in str(refusal.value)


def test_an_orientation_that_is_not_perpendicular_is_refused(phantom: Volume, slices: Slices, saved: Saved) -> None:
    images = slices(phantom)
    for ds in images:
        ds.ImageOrientationPatient = [1, 0, 0, 0.1, 1, 0]
    with pytest.raises(Unsuitable, match="perpendicular unit vectors"):
        read_series(saved(images))


@pytest.mark.parametrize(
    ("stated", "extent_mm"),
    [({"SliceThickness": 3.5}, 3.5), ({"SliceThickness": 3.5, "SpacingBetweenSlices": -4}, 4.0)],
)
def test_one_slice_is_a_volume_as_thick_as_it_states(
    phantom: Volume, slices: Slices, saved: Saved, stated: dict[str, float], extent_mm: float
) -> None:
    image = slices(phantom)[6]
    for keyword, value in stated.items():
        setattr(image, keyword, value)
    found = read_series(saved([image]))
    assert np.array_equal(found.volume.array, phantom.array[6:7])
    assert found.volume.spacing == pytest.approx((extent_mm, *phantom.spacing[1:]))
    assert np.allclose(found.volume.affine[:3, 3], image.ImagePositionPatient)
    cosines = np.array(image.ImageOrientationPatient)
    assert np.allclose(found.volume.affine[:3, 0], np.cross(cosines[:3], cosines[3:]) * extent_mm)
    assert found.warnings == ()


def test_one_slice_of_unknown_thickness_a_lone_localizer_and_nothing_are_no_volume(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    (image,) = slices(phantom)[:1]
    with pytest.raises(Unsuitable, match="one slice, needed Spacing Between Slices or Slice Thickness"):
        read_series(saved([image]))
    image.SliceThickness, image.ImageType = 2, ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    with pytest.raises(Unsuitable, match="images at 1 position, needed 2 or more"):
        read_series(saved([image]))
    with pytest.raises(Unsuitable, match="no images"):
        read_series([])


def test_pixels_that_no_decoder_reads_are_refused_with_their_transfer_syntax(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    for ds in images:
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with pytest.raises(Unsuitable, match=r"transfer syntax JPEG 2000 Image Compression \(Lossless Only\)"):
        read_series(saved(images))


def test_a_file_that_is_not_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_bytes(b"Dear colleague," * 50)
    with pytest.raises(Unsuitable, match=r"file letter: .*needed a DICOM Part 10 image"):
        read_series([path])


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("keyword", "vr", "value", "broken", "said"),
    [
        ("EchoTime", "DS", "10.257", b"1x.257", ""),
        ("AcquisitionNumber", "IS", "475931", b"4x5931", ""),
        ("SpacingBetweenSlices", "DS", "2.0257", b"2x0257", ""),
        (
            "PixelSpacing",
            "DS",
            [1.503, 1.253],
            b"1.503x",
            "Pixel Spacing that cannot be read, needed a readable header",
        ),
        ("RescaleSlope", "DS", "1.0257", b"1x0257", "Rescale Slope that cannot be read, needed a readable header"),
    ],
)
def test_a_number_that_is_none_is_refused_where_the_volume_needs_it(
    phantom: Volume, slices: Slices, saved: Saved, keyword: str, vr: str, value: Any, broken: bytes, said: str
) -> None:
    images = slices(phantom)
    for ds in images:
        ds.add_new(keyword, vr, value)
    paths = saved(images)
    good = (value if isinstance(value, str) else "\\".join(map(str, value))).encode()
    for path in paths:
        content = path.read_bytes()
        assert good in content
        path.write_bytes(content.replace(good, broken.ljust(len(good))))
    if said:
        with pytest.raises(Unsuitable, match=said):
            read_series(paths)
    else:
        assert np.array_equal(read_series(paths).volume.array, phantom.array)


def test_a_disk_that_fails_is_not_blamed_on_the_series(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_series([tmp_path / "gone"])


def test_a_wrong_spacing_between_slices_is_mentioned_and_not_used(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    for ds in images:
        ds.SpacingBetweenSlices = 5.0
        ds.LossyImageCompression = "01"
    found = read_series(saved(images))
    assert found.volume.spacing[0] == pytest.approx(2.0)
    assert "stated as 5 mm, but the slices lie 2 mm apart" in found.warnings[0]
    assert "compressed with loss" in found.warnings[1]


def test_a_file_read_back_is_the_one_that_was_written(phantom: Volume, slices: Slices, saved: Saved) -> None:
    paths = saved(slices(phantom))
    found = read_series(paths)
    assert {ds.SOPInstanceUID for ds in found.datasets} == {dcmread(path).SOPInstanceUID for path in paths}


def test_a_series_that_names_no_frame_of_reference_gets_one_of_its_own(
    phantom: Volume, slices: Slices, saved: Saved
) -> None:
    images = slices(phantom)
    for ds in images:
        del ds.FrameOfReferenceUID
    first, second = (read_series(saved(images)) for _ in range(2))
    assert np.array_equal(first.volume.array, phantom.array)
    assert "the series names no frame of reference" in first.warnings[0]
    (uid,) = {ds.FrameOfReferenceUID for ds in first.datasets}
    assert uid == first.volume.frame_of_reference_uid == second.volume.frame_of_reference_uid
    assert uid.startswith("2.25.")
