"""Lesions of known shape, in any pose and on any grid, measured as tumour boards want them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume
from numpy.typing import NDArray
from radiomics import cShape
from scipy.spatial.transform import Rotation

from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.domain.measuring import MeasureSpec, PartSpec
from dicomnode.domain.model import Subject
from dicomnode.measure import codes, size
from dicomnode.measure.measured import Measured

from .conftest import phantom_arrays, segmentation_of, volume_of

SEED = 20261122


def one(found: Measured, code: object, number: int = 1) -> Measurement:
    """The only measurement of a concept of a segment."""
    rows = [row for row in found.measurements if row.name == code and row.segment_number == number]
    assert len(rows) == 1
    return rows[0]


def names(found: Measured) -> set[str]:
    return {row.name.meaning for row in found.measurements}


def ellipsoid(
    form: NDArray[np.float64], spacing_mm: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Voxels whose centre p has pᵀ · form · p < 1, about a middle that is `shift` voxels off a centre."""
    reach = np.sqrt(np.diag(np.linalg.inv(form)))
    axes = [
        (np.arange(-half, half + 1) + off) * length
        for half, off, length in zip(np.ceil(reach / spacing_mm).astype(int) + 2, shift, spacing_mm, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    (a, b, c), (_, d, e), (_, _, f) = form
    inside = a * z * z + d * y * y + f * x * x + 2 * (b * z * y + c * z * x + e * y * x) < 1
    labels: NDArray[np.uint8] = inside.astype(np.uint8)
    return labels


def test_ellipsoids_in_any_pose_have_the_volume_and_the_diameters_of_geometry() -> None:
    rng = np.random.default_rng(SEED)
    off_by = []
    for _ in range(60):
        spacing_mm = np.array([rng.uniform(0.6, 3.0), *np.repeat(rng.uniform(0.4, 1.2), 2)])
        half_mm = rng.uniform(8.0, 25.0, 3)
        turn = Rotation.random(random_state=rng).as_matrix()
        form = turn @ np.diag(half_mm**-2) @ turn.T
        labels = ellipsoid(form, spacing_mm, rng.uniform(-0.5, 0.5, 3))
        volume = volume_of(labels, tuple(spacing_mm))
        found = size.measure(volume, segmentation_of(labels, tuple(spacing_mm), described=1, subject=Subject.LESION))
        # The section through the middle is the largest of all that are parallel to it.
        section = np.linalg.eigvalsh(form[1:, 1:])
        diagonal = float(np.linalg.norm(spacing_mm))
        assert one(found, codes.LONG_AXIS).value == pytest.approx(2 / np.sqrt(section[0]), abs=diagonal)
        assert one(found, codes.SHORT_AXIS).value == pytest.approx(2 / np.sqrt(section[1]), abs=diagonal)
        assert one(found, codes.DIAMETER_3D).value == pytest.approx(2 * half_mm.max(), abs=diagonal)
        true_ml = 4 / 3 * np.pi * half_mm.prod() / 1000
        off_by.append(one(found, codes.VOLUME).value / true_ml - 1)
    # Counting voxels is unbiased: with 5 or more slices across it errs by 2 % at most, and by less than 0.2 % on
    # average.
    assert np.abs(off_by).max() < 0.02
    assert abs(np.mean(off_by)) < 0.002


def test_the_end_points_lie_on_the_surface_wherever_the_patient_lies() -> None:
    rng = np.random.default_rng(SEED)
    spacing_mm = np.array([2.0, 0.8, 0.8])
    half_mm = np.array([9.0, 14.0, 11.0])
    labels = ellipsoid(np.diag(half_mm**-2), spacing_mm, np.zeros(3))
    for _ in range(10):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.random(random_state=rng).as_matrix() @ np.diag(spacing_mm)
        affine[:3, 3] = rng.uniform(-200, 200, 3)
        volume = Volume(array=labels, affine=affine, coordinate_system="PATIENT")
        described = segmentation_of(labels, described=1, subject=Subject.LESION).segments
        found = size.measure(volume, Segmentation(volume=volume, segments=described))
        middle = affine[:3, :3] @ ((np.array(labels.shape) - 1) / 2) + affine[:3, 3]
        for code in (codes.LONG_AXIS, codes.SHORT_AXIS, codes.DIAMETER_3D):
            row = one(found, code)
            ends = np.array(row.points_mm)
            assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(row.value, rel=1e-9)
            own = (ends - middle) @ affine[:3, :3] / spacing_mm
            radii = np.sqrt(((own / half_mm) ** 2).sum(axis=1))
            assert np.abs(radii - 1).max() < np.linalg.norm(spacing_mm) / half_mm.min()
        plane = one(found, codes.LONG_AXIS).plane
        assert plane == (labels.shape[0] - 1) // 2
        for end in one(found, codes.LONG_AXIS).points_mm:
            assert np.linalg.solve(affine, [*end, 1.0])[0] == pytest.approx(plane, abs=1e-6)
        assert one(found, codes.CENTROID[0]).points_mm[0] == pytest.approx(tuple(middle), abs=1e-6)


def test_the_mesh_gives_the_surface_and_the_sphericity_of_pyradiomics() -> None:
    intensity, labels = phantom_arrays()
    volume = volume_of(intensity)
    found = size.measure(volume, segmentation_of(labels, subject=Subject.LESION))
    for number in (1, 3):
        area, mesh, diameters = cShape.calculate_coefficients(labels == number, np.array(volume.spacing))
        assert one(found, codes.SURFACE_OF_MESH, number).value == pytest.approx(area, rel=1e-12)
        sphericity = (36 * np.pi * mesh**2) ** (1 / 3) / area
        assert one(found, codes.SPHERICITY, number).value == pytest.approx(sphericity, rel=1e-12)
        assert one(found, codes.DIAMETER_3D, number).value == pytest.approx(diameters[3], rel=1e-12)
        product = one(found, codes.LONG_AXIS, number).value * one(found, codes.SHORT_AXIS, number).value
        assert one(found, codes.PRODUCT, number).value == pytest.approx(product)


def test_a_box_has_its_own_bounding_box_and_centroid() -> None:
    labels = np.zeros((8, 10, 12), dtype=np.uint8)
    labels[2:5, 3:7, 4:10] = 1
    found = size.measure(volume_of(labels), segmentation_of(labels, described=1, subject=Subject.LESION))
    extents = [one(found, name) for name in codes.EXTENTS]
    assert [row.value for row in extents] == pytest.approx([3 * 2.5, 4 * 0.8, 6 * 0.7])
    corner = (-90 + 3.5 * 0.7, -120 + 2.5 * 0.8, 35 + 1.5 * 2.5)
    assert all(row.points_mm[0] == pytest.approx(corner) for row in extents)
    assert extents[2].points_mm[1] == pytest.approx((corner[0] + 6 * 0.7, corner[1], corner[2]))
    centroid = [one(found, name).value for name in codes.CENTROID]
    assert centroid == pytest.approx([-90 + 6.5 * 0.7, -120 + 4.5 * 0.8, 35 + 3 * 2.5])


@pytest.mark.parametrize(
    ("degrees", "method"), [(0, codes.RECIST), (29, codes.RECIST), (31, codes.RECIST_IN_OTHER_PLANES)]
)
def test_the_method_says_whether_the_planes_are_axial(degrees: float, method: object) -> None:
    labels = np.zeros((5, 9, 9), dtype=np.uint8)
    labels[1:4, 2:7, 2:7] = 1
    upright = segmentation_of(labels, described=1, subject=Subject.LYMPH_NODE)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    oblique = Volume(array=labels, affine=turn @ upright.volume.affine, coordinate_system="PATIENT")
    found = size.measure(oblique, Segmentation(volume=oblique, segments=upright.segments))
    assert one(found, codes.LONG_AXIS).method == method
    assert one(found, codes.SHORT_AXIS).method == method


def test_organs_have_their_two_volumes_and_no_more() -> None:
    intensity, labels = phantom_arrays()
    found = size.measure(volume_of(intensity), segmentation_of(labels), MeasureSpec(lungs=(1,)))
    assert names(found) == {"Volume", "Volume of Mesh"}
    assert not found.absent
    assert not found.remarks


def absent(found: Measured) -> dict[str, str]:
    return {row.name.meaning: row.reason.value for row in found.absent}


def test_one_voxel_has_a_volume_and_nothing_that_needs_an_extent() -> None:
    labels = np.zeros((5, 5, 5), dtype=np.uint8)
    labels[2, 2, 2] = 1
    found = size.measure(volume_of(labels), segmentation_of(labels, described=1, subject=Subject.LESION))
    assert names(found) == {"Volume", "Depth", "Length", "Width", "Centroid, x", "Centroid, y", "Centroid, z"}
    planar = dict.fromkeys(("Long axis", "Short axis", "Bidimensional product"), "114011")
    meshes = ("Volume of Mesh", "Maximum 3D Diameter of a Mesh", "Surface Area of Mesh", "Sphericity")
    assert absent(found) == planar | dict.fromkeys(meshes, "114011")


def test_a_lesion_of_two_thick_slices_has_diameters_in_the_plane_but_no_surface() -> None:
    labels = np.zeros((6, 30, 30), dtype=np.uint8)
    labels[2:4, 5:25, 5:25] = 1
    spacing_mm = (8.0, 0.6, 0.6)
    found = size.measure(
        volume_of(labels, spacing_mm), segmentation_of(labels, spacing_mm, described=1, subject=Subject.LESION)
    )
    assert one(found, codes.LONG_AXIS).value == pytest.approx(np.hypot(20, 19) * 0.6)
    assert absent(found)["Sphericity"] == "114011"
    assert {row.text for row in found.absent} == {"the region spans 2 of the slices, needed 3 for a surface"}


def test_a_lesion_that_was_not_found_is_absent_as_not_attempted() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    found = size.measure(volume_of(labels), segmentation_of(labels, described=1, subject=Subject.LESION))
    assert not found.measurements
    assert absent(found) == {"Volume": "114007"}


def test_a_lesion_at_the_border_and_one_in_pieces_are_remarked() -> None:
    labels = np.zeros((9, 9, 20), dtype=np.uint8)
    labels[0:4, 2:6, 2:6] = 1
    labels[3:6, 2:5, 9:12] = 2
    labels[3:6, 2:5, 14:17] = 2
    found = size.measure(volume_of(labels), segmentation_of(labels, described=2, subject=Subject.LESION))
    assert found.remarks == (
        "S1: touches the border of the image, so that it may be larger than measured.",
        "S2: 2 pieces that do not touch, measured as one lesion.",
    )


def part(**changes: Any) -> PartSpec:
    solid = PartSpec(name="solid", label="solid part", type=codes.VOLUME, range=(-160.0, 300.0))
    return dataclasses.replace(solid, **changes)


def nodule() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Ground glass of 6x6x6 voxels with a solid core of 2x2x2 and a lone solid voxel."""
    array = np.full((10, 10, 10), -900, dtype=np.float32)
    labels = np.zeros(array.shape, dtype=np.uint8)
    labels[2:8, 2:8, 2:8] = 1
    array[labels == 1] = -500
    array[4:6, 4:6, 4:6] = 30
    array[2, 2, 2] = 30
    return array, labels


def test_parts_are_told_by_threshold_and_by_the_size_of_their_pieces() -> None:
    array, labels = nodule()
    voxel_ml = 2.5 * 0.8 * 0.7 / 1000
    glass = part(name="ground-glass", label="ground-glass part", range=(-750.0, -300.0))
    core = part(name="core", label="core", minimum_volume_ml=2 * voxel_ml)
    found = size.measure(
        volume_of(array),
        segmentation_of(labels, described=1, subject=Subject.LESION),
        MeasureSpec(parts=(part(), glass, core)),
    )
    volumes = {row.name.meaning: row for row in found.measurements if row.name.value.startswith("PART-")}
    assert {name: round(row.value / voxel_ml) for name, row in volumes.items()} == {
        "Volume of solid part": 9,
        "Volume of ground-glass part": 216 - 9,
        "Volume of core": 8,
    }
    method = volumes["Volume of core"].method
    assert method is not None
    assert method.meaning == "Sum of voxels from -160 to 300, pieces from 0.0028 ml"
    assert len(method.value) <= 16


def test_parts_of_a_lesion_with_a_voxel_that_is_no_number_are_absent() -> None:
    array, labels = nodule()
    array[3, 3, 3] = np.nan
    found = size.measure(
        volume_of(array),
        segmentation_of(labels, described=1, subject=Subject.LESION),
        MeasureSpec(parts=(part(),)),
    )
    assert absent(found) == {"Volume of solid part": "114000"}


def in_a_lung(gap_voxels: int) -> Segmentation:
    """A lung from column 5 on with a cube of 4 voxels, `gap_voxels` inside."""
    labels = np.zeros((40, 60, 60), dtype=np.uint8)
    labels[2:38, 2:58, 5:58] = 1
    labels[18:22, 28:32, 5 + gap_voxels : 9 + gap_voxels] = 2
    lung, lesion = segmentation_of(labels, (1.0, 1.0, 1.5), described=2).segments
    return Segmentation(
        volume=volume_of(labels, (1.0, 1.0, 1.5)),
        segments=(lung, dataclasses.replace(lesion, subject=Subject.LESION)),
    )


@pytest.mark.parametrize("gap_voxels", [0, 1, 4, 17])
def test_the_distance_to_the_pleura_is_that_of_the_nearest_edges(gap_voxels: int) -> None:
    segmentation = in_a_lung(gap_voxels)
    found = size.measure(segmentation.volume, segmentation, MeasureSpec(lungs=(1,)))
    row = one(found, codes.PLEURAL_DISTANCE, 2)
    # From above and below it is 16 slices of 1 mm.
    assert row.value == pytest.approx(min(gap_voxels * 1.5, 16.0))
    ends = np.array(row.points_mm)
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(row.value)


def test_the_distance_to_the_pleura_is_the_least_between_any_two_voxels_as_boxes() -> None:
    rng = np.random.default_rng(SEED)
    spacing_mm = (3.0, 1.0, 1.5)
    for _ in range(30):
        labels = (rng.random((12, 14, 13)) < 0.995).astype(np.uint8)
        corner = rng.integers(2, 8, 3)
        box = tuple(slice(start, start + 3) for start in corner)
        labels[box] = np.where(rng.random((3, 3, 3)) < 0.7, 2, labels[box])
        lung, lesion = segmentation_of(labels, spacing_mm, described=2).segments
        segmentation = Segmentation(
            volume=volume_of(labels, spacing_mm),
            segments=(lung, dataclasses.replace(lesion, subject=Subject.LESION)),
        )
        steps = np.abs(np.argwhere(labels == 2)[:, None] - np.argwhere(labels == 0)[None])
        expected = np.linalg.norm(np.maximum(steps - 1, 0) * spacing_mm, axis=-1).min()
        found = size.measure(segmentation.volume, segmentation, MeasureSpec(lungs=(1,)))
        assert one(found, codes.PLEURAL_DISTANCE, 2).value == pytest.approx(expected, abs=1e-9)


def test_a_lesion_across_the_edge_of_the_lung_touches_the_pleura() -> None:
    segmentation = in_a_lung(-2)
    found = size.measure(segmentation.volume, segmentation, MeasureSpec(lungs=(1,)))
    assert one(found, codes.PLEURAL_DISTANCE, 2).value == 0.0


def test_a_lesion_away_from_the_lung_has_no_distance_to_its_pleura() -> None:
    labels = np.zeros((10, 20, 20), dtype=np.uint8)
    labels[2:8, 2:8, 2:8] = 1
    labels[2:8, 12:18, 12:18] = 2
    lung, lesion = segmentation_of(labels, described=2).segments
    segmentation = Segmentation(
        volume=volume_of(labels), segments=(lung, dataclasses.replace(lesion, subject=Subject.LESION))
    )
    found = size.measure(segmentation.volume, segmentation, MeasureSpec(lungs=(1,)))
    assert codes.PLEURAL_DISTANCE not in {row.name for row in found.measurements}


def test_the_tumour_of_the_ibsi_phantom_has_the_reference_values_of_its_shape(real_data: Path) -> None:
    image: Any
    image, mask = (
        SimpleITK.ReadImage(str(next((real_data / "ibsi1_ct_phantom/nifti" / kind).glob("*.nii.gz"))))
        for kind in ("image", "mask")
    )
    spacing_mm = (image.GetSpacing()[2], image.GetSpacing()[1], image.GetSpacing()[0])
    labels = (SimpleITK.GetArrayFromImage(mask) > 0).astype(np.uint8)
    segmentation = segmentation_of(labels, spacing_mm, described=1, subject=Subject.LESION)
    found = size.measure(volume_of(SimpleITK.GetArrayFromImage(image), spacing_mm), segmentation)
    # Configuration A (not resampled), values and tolerances of the IBSI reference manual.
    assert one(found, codes.VOLUME).value * 1000 == pytest.approx(359_000, abs=5000)
    assert one(found, codes.VOLUME_OF_MESH).value * 1000 == pytest.approx(358_000, abs=5000)
    assert one(found, codes.SURFACE_OF_MESH).value == pytest.approx(35_700, abs=300)
    assert one(found, codes.SPHERICITY).value == pytest.approx(0.683, abs=0.001)
    assert one(found, codes.DIAMETER_3D).value == pytest.approx(125, abs=1)
