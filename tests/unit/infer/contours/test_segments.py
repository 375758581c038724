"""A SEG becomes the voxels that it marks, on the images on which it was made or resampled to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from highdicom.seg import Segmentation, SegmentDescription, segread
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.domain.model import Subject
from dicomnode.domain.uid import derived_uid
from dicomnode.infer.answer import Answer
from dicomnode.infer.contours.read import read_contours

from .drawn import AXIAL, COLUMNS, FRAME, OBLIQUE, ROWS, SAGITTAL, SERIES, SLICES, saved, seg, slices, source

SHAPE = (SLICES, ROWS, COLUMNS)


def block(*parts: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[parts] = 1
    return mask


LEFT = block(slice(1, 4), slice(3, 8), slice(4, 10))
RIGHT = block(slice(2, 5), slice(10, 14), slice(12, 20))


def masks(found: Answer) -> dict[int, np.ndarray]:
    return {
        one.number: layer.volume.array == one.number for layer in found.segmentation.layers for one in layer.segments
    }


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, OBLIQUE])
def test_every_segment_comes_back_voxel_for_voxel(kind: str, cosines: tuple[float, ...], tmp_path: Path) -> None:
    path = saved(seg([LEFT, RIGHT], kind=kind, cosines=cosines), tmp_path)
    found = read_contours([path], source(cosines))
    assert np.array_equal(masks(found)[1], LEFT) and np.array_equal(masks(found)[2], RIGHT)
    assert not found.warnings and len(found.segmentation.layers) == 1
    (first, second) = found.segmentation.segments
    assert (first.label, first.type.value, first.subject) == ("Lesion 1", "52988006", Subject.LESION)
    assert second.category.value == "49755003"


def test_what_tracks_the_segments_and_who_drew_them_is_kept(tmp_path: Path) -> None:
    found = read_contours([saved(seg([LEFT, RIGHT]), tmp_path)], source())
    assert found.contours is not None
    assert found.contours.tracking_uids == {1: "1.2.3.77.1", 2: "1.2.3.77.2"}
    assert found.contours.segment_numbers == {1: 1, 2: 2}
    assert "drawn by Corrects^Berta; method SEMIAUTOMATIC; made with viewer editor" in found.contours.author


def test_segments_that_overlap_are_each_whole(tmp_path: Path) -> None:
    wide = block(slice(0, 5), slice(2, 15), slice(2, 15))
    found = read_contours([saved(seg([LEFT, wide]), tmp_path)], source())
    assert len(found.segmentation.layers) == 2
    assert np.array_equal(masks(found)[1], LEFT) and np.array_equal(masks(found)[2], wide)


def test_an_empty_segment_is_left_out_and_the_others_keep_their_numbers_in_the_seg(tmp_path: Path) -> None:
    path = saved(seg([LEFT, RIGHT]), tmp_path)
    ds = dcmread(path)
    frames = [
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in ds.PerFrameFunctionalGroupsSequence
    ]
    bits = np.unpackbits(np.frombuffer(ds.PixelData, np.uint8), bitorder="little")[: len(frames) * ROWS * COLUMNS]
    pixels = bits.reshape(len(frames), -1)
    pixels[np.array(frames) == 1] = 0
    packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    found = read_contours([saved(ds, tmp_path)], source())
    assert found.contours is not None and found.contours.segment_numbers == {1: 2}
    assert np.array_equal(masks(found)[1], RIGHT)
    assert found.warnings == ("Lesion 1: left out, it has no voxel in the images",)


def test_a_fractional_segment_counts_from_one_half_and_says_so(tmp_path: Path) -> None:
    share = np.zeros(SHAPE)
    share[1, 3, :4] = [0.2, 0.49, 0.51, 1.0]
    found = read_contours([saved(fractional(share), tmp_path)], source())
    assert masks(found)[1].nonzero()[2].tolist() == [2, 3]
    assert found.warnings[0] == "the SEG is fractional (probability); voxels of 0.5 or more count as inside"


def fractional(share: np.ndarray) -> Segmentation:
    made = seg([LEFT])
    return Segmentation(
        source_images=slices(),
        pixel_array=share,
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        segment_descriptions=[SegmentDescription.from_dataset(made.SegmentSequence[0])],
        series_instance_uid="1.2.3.6",
        series_number=8,
        sop_instance_uid="1.2.3.6.2",
        instance_number=1,
        manufacturer="viewer",
        manufacturer_model_name="editor",
        software_versions="1",
        device_serial_number="1",
        max_fractional_value=200,
    )


def on_volume(array: np.ndarray, affine: np.ndarray, *, frame: str = FRAME) -> Segmentation:
    """A SEG on a grid of its own."""
    made = seg([LEFT])
    volume = Volume(array, affine, coordinate_system="PATIENT", frame_of_reference_uid=frame)
    return Segmentation(
        source_images=slices(),
        pixel_array=volume,
        segmentation_type="BINARY",
        segment_descriptions=[SegmentDescription.from_dataset(made.SegmentSequence[0])],
        series_instance_uid="1.2.3.6",
        series_number=8,
        sop_instance_uid="1.2.3.6.3",
        instance_number=1,
        manufacturer="viewer",
        manufacturer_model_name="editor",
        software_versions="1",
        device_serial_number="1",
    )


def finer(images: SourceSeries, times: int) -> np.ndarray:
    """Affine of a grid whose voxels each fill a part of one of the images'."""
    affine = np.asarray(images.volume.affine).copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 0.5 - 0.5 / times)
    affine[:3, :3] /= times
    return affine


def test_a_finer_grid_is_resampled_and_says_so(tmp_path: Path) -> None:
    images = source()
    fine = np.repeat(np.repeat(np.repeat(LEFT, 3, axis=0), 3, axis=1), 3, axis=2)
    found = read_contours([saved(on_volume(fine, finer(images, 3)), tmp_path)], images)
    assert np.array_equal(masks(found)[1], LEFT)
    assert found.warnings == (
        "the SEG has another grid than the images; it was resampled to theirs by nearest neighbour",
    )


@pytest.mark.parametrize("times", [2, 3, 5])
def test_slices_thinner_than_the_images_do_not_swell_a_region(times: int, tmp_path: Path) -> None:
    images = source()
    affine = np.asarray(images.volume.affine).copy()
    affine[:3, 3] -= affine[:3, 0] * (0.5 - 0.5 / times)
    affine[:3, 0] /= times
    depth, row, column = np.mgrid[: SLICES * times, :ROWS, :COLUMNS].astype(float)
    away_mm = [((depth + 0.5) / times - 0.5) * 3.0 - 7.5, row * 1.5 - 14.0, column * 2.0 - 22.0]
    ball = (sum(axis**2 for axis in away_mm) < 36.0).astype(np.uint8)
    found = read_contours([saved(on_volume(ball, affine), tmp_path)], images)
    true_ml = ball.sum() * 9.0 / times / 1000
    # A ball of 12 mm on slices of 3 mm: every slice sampled at its centre is within a tenth.
    assert masks(found)[1].sum() * 9.0 / 1000 == pytest.approx(true_ml, rel=0.1)
    assert "another grid" in found.warnings[0]


def test_a_part_of_the_grid_upside_down_is_put_where_it_lies(tmp_path: Path) -> None:
    images = source()
    affine = np.asarray(images.volume.affine).copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([4.0, 2.0, 3.0])
    affine[:3, 0] *= -1
    part = LEFT[4:0:-1, 2:12, 3:14].copy()
    found = read_contours([saved(on_volume(part, affine), tmp_path)], images)
    assert np.array_equal(masks(found)[1], LEFT) and not found.warnings


def test_thicker_slices_of_its_own_stand_for_several_images(tmp_path: Path) -> None:
    images = source()
    affine = np.asarray(images.volume.affine).copy()
    affine[:3, 3] += affine[:3, 0] * 0.5
    affine[:3, 0] *= 2
    thick = np.zeros((3, ROWS, COLUMNS), np.uint8)
    thick[1:, 3:8, 4:10] = 1
    found = read_contours([saved(on_volume(thick, affine), tmp_path)], images)
    assert np.array_equal(masks(found)[1], block(slice(2, 6), slice(3, 8), slice(4, 10)))
    assert "another grid" in found.warnings[0]


def test_another_frame_of_reference_is_refused(tmp_path: Path) -> None:
    ds = seg([LEFT])
    ds.FrameOfReferenceUID = "1.2.99"
    with pytest.raises(Unsuitable, match=r"SEG 1\.2\.3\.6\.1: SEG: frame of reference 1\.2\.99, needed that"):
        read_contours([saved(ds, tmp_path)], source())


def test_images_without_a_frame_of_reference_take_a_seg_of_the_same_study(tmp_path: Path) -> None:
    images = source()
    for dataset in images.datasets:
        dataset.FrameOfReferenceUID = derived_uid(SERIES, "frame of reference")
    found = read_contours([saved(seg([LEFT]), tmp_path)], images)
    assert np.array_equal(masks(found)[1], LEFT)


def test_a_mask_that_lies_nowhere_in_the_images_is_refused(tmp_path: Path) -> None:
    affine = np.asarray(source().volume.affine).copy()
    affine[:3, 3] += 500
    with pytest.raises(Unsuitable, match="no region holds a voxel of the images"):
        read_contours([saved(on_volume(LEFT, affine), tmp_path)], source())


def _without(ds: Dataset, keyword: str) -> None:
    for groups in (*ds.PerFrameFunctionalGroupsSequence, *ds.SharedFunctionalGroupsSequence):
        if keyword in groups:
            delattr(groups, keyword)


@pytest.mark.parametrize("lost", ["PlanePositionSequence", "PixelMeasuresSequence", "PlaneOrientationSequence"])
def test_frames_without_a_place_are_refused(lost: str, tmp_path: Path) -> None:
    ds = seg([LEFT])
    _without(ds, lost)
    with pytest.raises(Unsuitable, match=r"SEG 1\.2\.3\.6\.1"):
        read_contours([saved(ds, tmp_path)], source())


@pytest.mark.parametrize(
    "keyword", ["SegmentSequence", "PerFrameFunctionalGroupsSequence", "SegmentationType", "PixelData"]
)
def test_a_seg_without_what_makes_it_one_is_refused(keyword: str, tmp_path: Path) -> None:
    ds = dcmread(saved(seg([LEFT]), tmp_path))
    delattr(ds, keyword)
    with pytest.raises(Unsuitable):
        read_contours([saved(ds, tmp_path)], source())


def test_a_seg_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = saved(seg([LEFT]), tmp_path)
    content = path.read_bytes()
    for length in (len(content) // 2, len(content) - 60):
        path.write_bytes(content[:length])
        with pytest.raises(Unsuitable):
            read_contours([path], source())


def test_an_object_of_another_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match="an object of another class, needed a SEG or RTSTRUCT"):
        read_contours([saved(slices()[0], tmp_path)], source())


def test_a_seg_as_another_tool_wrote_it_agrees_with_its_reader(real_data: Path) -> None:
    from dicomnode.infer.read.volume import read_series

    folder = real_data / "dcmqi" / "segmentations"
    wanted = folder / "partial_overlaps.dcm"
    series = str(dcmread(wanted, stop_before_pixels=True).ReferencedSeriesSequence[0].SeriesInstanceUID)
    images = [
        path
        for path in folder.parent.rglob("*.dcm")
        if str(dcmread(path, stop_before_pixels=True, force=True).get("SeriesInstanceUID")) == series
    ]
    read = read_series(images)
    header = dcmread(wanted, stop_before_pixels=True)
    for dataset in read.datasets:
        dataset.PatientID, dataset.StudyInstanceUID = header.PatientID, header.StudyInstanceUID
    found = read_contours([wanted], read)
    counts = segread(wanted).get_volume().array.reshape(-1, 5).sum(axis=0)
    numbers = found.contours.segment_numbers if found.contours else {}
    assert {numbers[number]: int(mask.sum()) for number, mask in masks(found).items()} == {
        number: int(count) for number, count in enumerate(counts, start=1)
    }
    assert codes.SCT.Edema.value in {one.type.value for layer in found.segmentation.layers for one in layer.segments}
