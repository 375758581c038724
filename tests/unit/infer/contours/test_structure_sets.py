"""A structure set becomes the voxels that its contours surround, or says why not."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import Subject
from dicomnode.infer.answer import Answer
from dicomnode.infer.contours.read import read_contours

from .drawn import (
    AXIAL,
    COLUMN_MM,
    OBLIQUE,
    ROW_MM,
    SAGITTAL,
    SERIES,
    SLICE_MM,
    contour,
    naming,
    saved,
    source,
    square,
    structure_set,
)


def read(rois: dict[str, list[Dataset]], folder: Path, **options: str) -> Answer:
    return read_contours([saved(structure_set(rois, **options), folder)], source())


def mask_of(found: Answer, label: str) -> np.ndarray:
    for layer in found.segmentation.layers:
        for segment in layer.segments:
            if segment.label == label:
                return np.asarray(layer.volume.array == segment.number)
    raise AssertionError(f"no {label}")


@pytest.mark.parametrize("cosines", [AXIAL, SAGITTAL, OBLIQUE])
def test_contours_fill_the_voxels_that_they_surround_on_series_of_any_orientation(
    cosines: tuple[float, ...], tmp_path: Path
) -> None:
    images = source(cosines)
    rois = {"GTV": [contour(images, square(depth, 2.5, 3.5, 7.5, 9.5)) for depth in (1, 2, 3)]}
    found = read_contours([saved(structure_set(rois), tmp_path)], images)
    needed = np.zeros(images.volume.spatial_shape, bool)
    needed[1:4, 3:8, 4:10] = True
    assert np.array_equal(mask_of(found, "GTV"), needed) and not found.warnings
    assert np.array_equal(found.segmentation.volume.affine, images.volume.affine)
    assert needed.sum() * SLICE_MM * ROW_MM * COLUMN_MM == 3 * 5 * 6 * 9


def test_a_contour_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    images = source()
    corners = square(2, 2.5, 3.5, 7.5, 9.5)
    again = [corners[2], corners[1], corners[0], corners[3]]
    shut = [*corners, corners[0]]
    found = read({"GTV": [contour(images, one) for one in (corners, corners, again, shut)]}, tmp_path)
    assert mask_of(found, "GTV").sum() == 30


def test_an_inner_contour_is_a_hole(tmp_path: Path) -> None:
    images = source()
    rings = [contour(images, square(2, 2.5, 3.5, 9.5, 12.5)), contour(images, square(2, 4.5, 5.5, 6.5, 8.5))]
    assert mask_of(read({"GTV": rings}, tmp_path), "GTV").sum() == 7 * 9 - 2 * 3


@pytest.mark.parametrize("step_mm", [1.5, 1.2, 1.0, 0.7])
def test_contours_closer_than_the_images_fill_as_much_as_one_for_each(step_mm: float, tmp_path: Path) -> None:
    images = source()
    depths = np.arange(0.75, 3.3, step_mm / SLICE_MM)
    rois = {"GTV": [contour(images, square(float(depth), 2.5, 3.5, 7.5, 9.5)) for depth in depths]}
    found = read(rois, tmp_path)
    assert mask_of(found, "GTV").sum(axis=(1, 2)).tolist() == [0, 30, 30, 30, 0, 0]
    left_out = len(depths) - 3
    assert f"GTV: contours lie closer than the images; {left_out} were left out for one nearer to its image" in (
        found.warnings
    )


def test_of_contours_within_a_slice_the_nearest_counts(tmp_path: Path) -> None:
    images = source()
    drawn = [square(0.9, 2.5, 3.5, 7.5, 9.5), square(1.4, 1.5, 2.5, 8.5, 10.5)]
    found = read({"GTV": [contour(images, one) for one in drawn]}, tmp_path)
    assert mask_of(found, "GTV").sum() == 30


def test_parts_that_overlap_are_joined_and_told(tmp_path: Path) -> None:
    images = source()
    drawn = [square(1, 2.5, 3.5, 7.5, 9.5), square(1, 4.5, 5.5, 11.5, 13.5)]
    found = read({"GTV": [contour(images, one) for one in drawn]}, tmp_path)
    assert mask_of(found, "GTV").sum() == 30 + 56 - 12
    assert found.warnings == ("GTV: contours overlap on 1 images and were joined there",)


def test_contours_that_say_so_are_combined_by_exclusive_or(tmp_path: Path) -> None:
    images = source()
    drawn = [square(1, 2.5, 3.5, 7.5, 9.5), square(1, 4.5, 5.5, 11.5, 13.5)]
    found = read({"GTV": [contour(images, one, "CLOSEDPLANAR_XOR") for one in drawn]}, tmp_path)
    assert mask_of(found, "GTV").sum() == 30 + 56 - 2 * 12 and not found.warnings


def test_a_contour_belongs_to_the_image_that_it_names(tmp_path: Path) -> None:
    images = source()
    drawn = [naming(contour(images, square(2.4, 2.5, 3.5, 7.5, 9.5)), f"{SERIES}.3")]
    found = read({"GTV": drawn}, tmp_path)
    assert mask_of(found, "GTV")[2].sum() == 30
    assert found.warnings == ("GTV: 1 contours lie between images and count for the nearest, within half a slice",)


def test_an_unknown_image_leaves_the_place_to_decide(tmp_path: Path) -> None:
    drawn = [naming(contour(source(), square(4, 2.5, 3.5, 7.5, 9.5)), "1.2.99")]
    assert mask_of(read({"GTV": drawn}, tmp_path), "GTV")[4].sum() == 30


def test_a_contour_far_from_the_image_that_it_names_is_refused(tmp_path: Path) -> None:
    drawn = [naming(contour(source(), square(4, 2.5, 3.5, 7.5, 9.5)), f"{SERIES}.2")]
    with pytest.raises(Unsuitable, match=r"ROI 1: a contour lies 9\.0 mm off the image that it names, needed half a"):
        read({"GTV": drawn}, tmp_path)


def test_a_contour_beyond_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsuitable, match=r"a contour lies .* mm off the nearest image"):
        read({"GTV": [contour(source(), square(9, 2.5, 3.5, 7.5, 9.5))]}, tmp_path)


def test_a_contour_across_the_images_is_refused(tmp_path: Path) -> None:
    tilted = [(0.0, 2.0, 3.0), (0.0, 2.0, 9.0), (4.0, 8.0, 9.0), (4.0, 8.0, 3.0)]
    with pytest.raises(Unsuitable, match=r"runs over 12\.0 mm across the images, needed contours in their planes"):
        read({"GTV": [contour(source(), tilted)]}, tmp_path)


def test_another_frame_of_reference_is_refused_with_both(tmp_path: Path) -> None:
    drawn = {"GTV": [contour(source(), square(2, 2.5, 3.5, 7.5, 9.5))]}
    with pytest.raises(Unsuitable, match=r"frame of reference 1\.2\.99, needed that of the images, 1\.2\.3\.9"):
        read(drawn, tmp_path, frame="1.2.99")


def test_points_and_open_contours_are_left_out_and_told(tmp_path: Path) -> None:
    images = source()
    good = contour(images, square(2, 2.5, 3.5, 7.5, 9.5))
    line = contour(images, square(3, 2.5, 3.5, 7.5, 9.5), "OPEN_PLANAR")
    point = contour(images, [(2.0, 3.0, 3.0)], "POINT")
    found = read({"GTV": [good, line], "Marker": [point], "Nothing": []}, tmp_path)
    assert mask_of(found, "GTV").sum() == 30
    assert found.warnings == (
        "GTV: 1 of type OPEN_PLANAR left out, needed closed planar contours",
        "Marker: left out, it has no closed contour, only 1 of type POINT",
        "Nothing: left out, it has no closed contour",
    )


def test_planes_without_a_contour_between_others_are_told_and_not_invented(tmp_path: Path) -> None:
    images = source()
    found = read({"GTV": [contour(images, square(depth, 2.5, 3.5, 7.5, 9.5)) for depth in (1, 3)]}, tmp_path)
    assert mask_of(found, "GTV").any(axis=(1, 2)).tolist() == [False, True, False, True, False, False]
    assert found.warnings == ("GTV: no contour on 1 of the 3 images from its first to its last",)


def test_what_reaches_beyond_the_image_is_cut_off_and_told(tmp_path: Path) -> None:
    found = read({"GTV": [contour(source(), square(2, -4.5, 3.5, 7.5, 9.5))]}, tmp_path)
    assert mask_of(found, "GTV").sum() == 8 * 6
    assert found.warnings == ("GTV: 1 contours reach beyond the images and were cut off there",)


def test_regions_that_overlap_are_each_whole_in_a_label_map_of_their_own(tmp_path: Path) -> None:
    images = source()
    rois = {
        "Lung_L": [contour(images, square(2, 0.5, 0.5, 15.5, 15.5))],
        "GTV": [contour(images, square(2, 2.5, 3.5, 7.5, 9.5))],
        "Heart": [contour(images, square(4, 2.5, 3.5, 7.5, 9.5))],
    }
    found = read(rois, tmp_path)
    assert [[one.label for one in layer.segments] for layer in found.segmentation.layers] == [
        ["GTV", "Heart"],
        ["Lung_L"],
    ]
    assert mask_of(found, "Lung_L").sum() == 15 * 15 and mask_of(found, "GTV").sum() == 30
    numbers = [one.number for layer in found.segmentation.layers for one in layer.segments]
    assert sorted(numbers) == [1, 2, 3]
    first = found.segmentation.segments[0]
    assert (first.subject, first.type.value) == (Subject.LESION, "228791009")


def test_a_region_without_a_pixel_is_told_and_none_at_all_is_refused(tmp_path: Path) -> None:
    images = source()
    thin = [contour(images, square(2, 2.1, 3.1, 2.4, 3.4))]
    found = read({"GTV": [contour(images, square(2, 2.5, 3.5, 7.5, 9.5))], "Dot": thin}, tmp_path)
    assert found.warnings == ("Dot: left out, no pixel's centre lies inside its contours",)
    with pytest.raises(Unsuitable, match="no region holds a voxel of the images"):
        read({"Dot": thin}, tmp_path)
    with pytest.raises(Unsuitable, match="no region holds a voxel of the images"):
        read({}, tmp_path)


def test_the_author_is_named_and_what_identifies_the_object(tmp_path: Path) -> None:
    found = read({"GTV": [contour(source(), square(2, 2.5, 3.5, 7.5, 9.5))]}, tmp_path)
    assert found.contours is not None
    assert found.contours.author == (
        "RTSTRUCT 1.2.3.5.1; label plan; drawn by Draws^Anna; method MANUAL; made with planning; of 20261121 090000"
    )
    assert found.contours.dataset.SeriesInstanceUID == "1.2.3.5" and not found.contours.segment_numbers
    assert "Draws" not in repr(found.contours), "a person's name must not reach a log"


@pytest.mark.parametrize("values", [["1.0", "2.0"], ["nan"] * 9, ["0.0"] * 10])
def test_contour_data_that_is_none_is_refused(values: list[str], tmp_path: Path) -> None:
    item = contour(source(), square(2, 2.5, 3.5, 7.5, 9.5))
    with pytest.warns(UserWarning) if "nan" in values else nullcontext():
        item.ContourData = values
        path = saved(structure_set({"GTV": [item]}), tmp_path)
    with pytest.raises(Unsuitable, match="RTSTRUCT"):
        read_contours([path], source())


def test_missing_sequences_and_bytes_that_are_no_object_are_refused(tmp_path: Path) -> None:
    ds = structure_set({"GTV": [contour(source(), square(2, 2.5, 3.5, 7.5, 9.5))]})
    for item in ds.ROIContourSequence:
        del item.ReferencedROINumber
    with pytest.raises(Unsuitable, match=r"RTSTRUCT 1\.2\.3\.5\.1"):
        read_contours([saved(ds, tmp_path)], source())
    for content in (b"", b"garbage" * 100, saved(ds, tmp_path).read_bytes()[:600]):
        path = tmp_path / "bad.dcm"
        path.write_bytes(content)
        with pytest.raises(Unsuitable):
            read_contours([path], source())


def test_contours_of_another_patient_are_refused_without_naming_either(tmp_path: Path) -> None:
    ds = structure_set({"GTV": [contour(source(), square(2, 2.5, 3.5, 7.5, 9.5))]})
    ds.PatientID = "SECRET-2"
    with pytest.raises(Unsuitable, match="another PatientID than the images") as refusal:
        read_contours([saved(ds, tmp_path)], source())
    assert "SECRET" not in str(refusal.value) and "P1" not in str(refusal.value)
