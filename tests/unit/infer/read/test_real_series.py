"""Real series: agreement with highdicom and with NIfTI twins, and stated refusals for all that is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from highdicom import Image, get_volume_from_series
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from dicomnode.domain.errors import Unsuitable
from dicomnode.infer.prepare.interpolate import resampled
from dicomnode.infer.read.series import read_stacks
from dicomnode.infer.read.volume import read_series

# Real headers break the standard here and there, and pydicom warns of it.
pytestmark = pytest.mark.filterwarnings("ignore")


def images(folder: Path, modality: str) -> list[Path]:
    """The files of one modality in a folder that holds others, too."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and dcmread(path, stop_before_pixels=True).get("Modality") == modality:
                found.append(path)
        except (InvalidDicomError, OSError):
            continue
    assert found, folder
    return found


@pytest.fixture
def placed(tmp_path: Path) -> Callable[[list[Path]], list[Path]]:
    """Copies of images whose Frame of Reference UID the anonymiser removed, with one."""

    def place(paths: list[Path]) -> list[Path]:
        copies = []
        for number, path in enumerate(paths):
            ds = dcmread(path)
            ds.FrameOfReferenceUID = "1.2.3"
            ds.save_as(tmp_path / f"{number}")
            copies.append(tmp_path / f"{number}")
        return copies

    return place


@pytest.fixture
def stacked(tmp_path: Path) -> Callable[[Path], list[Path]]:
    """Two copies of one image, one 5 mm along its normal from the other, so that they are a volume."""

    def stack(path: Path) -> list[Path]:
        copies = []
        for number in range(2):
            ds = dcmread(path)
            cosines = np.array(ds.ImageOrientationPatient, dtype=float)
            step = 5.0 * number * np.cross(cosines[:3], cosines[3:])
            ds.ImagePositionPatient = (np.array(ds.ImagePositionPatient, dtype=float) + step).round(6).tolist()
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number}")
            copies.append(tmp_path / f"{path.name}-{number}")
            ds.save_as(copies[-1])
        return copies

    return stack


@pytest.mark.parametrize(
    ("folder", "modality"),
    [
        ("ibsi1_ct_phantom/dicom/image", "CT"),
        ("sts_ibsi_validation/STS_002/dicom/STS_002/MR_T1/image", "MR"),
    ],
)
def test_a_series_reads_as_highdicom_reads_it(real_data: Path, folder: str, modality: str) -> None:
    paths = images(real_data / folder, modality)
    found = read_series(paths).volume
    expected = get_volume_from_series([dcmread(path) for path in paths]).flip_spatial(0)
    assert np.allclose(found.affine, expected.affine, atol=1e-4)
    assert np.allclose(found.array, expected.array, rtol=1e-6, atol=1e-6 * np.abs(expected.array).max())


def test_the_ct_is_read_out_of_a_folder_of_many_things(real_data: Path) -> None:
    found = read_series(images(real_data / "lung1" / "LUNG1-002_20180526_CT", "CT"))
    assert found.volume.array.shape == (111, 512, 512)
    assert found.volume.array.dtype == np.int16
    assert found.volume.spacing == pytest.approx((3.0, 0.977, 0.977))
    with pytest.raises(Unsuitable):
        read_series(sorted(path for path in (real_data / "lung1").rglob("*.dcm")))


@pytest.mark.parametrize(
    "name",
    [
        "generic/anatomical/001",
        "generic/anatomical/001_implicit",
        "generic/anatomical/002_non_isotropic",
        "generic/compressed/001",
        "generic/compressed_j2k/001",
        "generic/compressed_jpeg/001",
        "generic/compressed_jpegls/001",
        "generic/compressed_rle/001",
        "ge/anatomical/001",
    ],
)
def test_a_series_lies_where_its_nifti_twin_lies(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str
) -> None:
    folder = real_data / "dicom2nifti" / name
    volume = read_series(placed(images(folder, "MR"))).volume
    twin: Any = SimpleITK.ReadImage(str(folder.parent / f"{folder.name}_ground_truth.nii.gz"))
    same = resampled(twin, volume.array.shape, volume.affine, outside=-1.0)
    assert sorted(twin.GetSize()) == sorted(volume.array.shape)
    assert np.abs(same - volume.array).max() <= 0.01 * np.ptp(volume.array)


@pytest.mark.parametrize(
    ("name", "modality", "said"),
    [
        ("failing/sliceincrement/001", "CT", r"slice gap 10 mm at position 3 of 4 .*expected 5 mm \(1 missing\?\)"),
        ("siemens/fmri/001", "MR", "a mosaic of many slices in one image, needed one slice per image"),
        ("ge/anatomical/001_single_slice", "MR", "one slice, needed Spacing Between Slices or Slice Thickness"),
    ],
)
def test_what_is_no_even_stack_is_refused(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str, modality: str, said: str
) -> None:
    with pytest.raises(Unsuitable, match=said):
        read_series(placed(images(real_data / "dicom2nifti" / name, modality)))


def pixels_of(path: Path) -> Any:
    """What GDCM, through SimpleITK, makes of one file: rescaled values, (frame, row, column)."""
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


@pytest.mark.parametrize(
    ("name", "degrees"),
    [("ct_headphantom_philips/S21610/S2010", 18.5), ("dicom2nifti/failing/gantrytilting/001", 14.0)],
)
def test_a_tilted_ct_is_put_upright_and_goes_back_plane_by_plane(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str, degrees: float
) -> None:
    found = read_series(placed(images(real_data / name, "CT")))
    assert found.tilt is not None
    assert found.tilt.degrees == pytest.approx(degrees, abs=0.05)
    assert f"the gantry was tilted by {degrees:.1f}°" in found.warnings[0]
    assert found.volume.array.dtype == np.int16
    matrix = found.volume.affine[:3, :3] / found.volume.spacing
    assert np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-6)
    back = found.on_planes((found.volume.array > 0).astype(np.uint8))
    for plane, mask, start in zip(found.planes, back, found.tilt.starts, strict=True):
        original = pixels_of(Path(plane.dataset.filename))[0]
        first = found.volume.affine @ [found.planes.index(plane), *start, 1]
        assert np.allclose(first[:3], plane.position_mm, atol=0.01)
        assert ((original > 0) == mask).mean() > 0.9


def test_a_slice_of_a_tilted_ct_is_its_image_shifted_by_linear_interpolation(real_data: Path) -> None:
    found = read_series(images(real_data / "ct_headphantom_philips" / "S21610" / "S2010", "CT"))
    assert found.tilt is not None
    place = 17
    row, column = found.tilt.starts[place]
    assert column == 0
    image = SimpleITK.GetImageFromArray(pixels_of(Path(found.planes[place].dataset.filename))[0].astype(np.float32))
    shift = SimpleITK.TranslationTransform(2, [0.0, -row])  # type: ignore[no-untyped-call]
    expected = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(image, [512, found.volume.array.shape[1]], shift, SimpleITK.sitkLinear, [0, 0], [1, 1])
    )
    inside = slice(int(np.ceil(row)), int(row) + 511)
    assert np.abs(found.volume.array[place, inside] - expected[inside]).max() <= 1


def test_time_points_of_one_series_are_split_and_the_first_is_read(
    real_data: Path, placed: Callable[[list[Path]], list[Path]]
) -> None:
    folder = real_data / "dicom2nifti" / "ge" / "fmri"
    found = read_series(placed(images(folder / "001", "MR")))
    twin = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "001_ground_truth.nii.gz")))
    assert found.volume.array.shape == (4, 64, 64)
    assert [ds.InstanceNumber for ds in found.datasets] == [1, 2, 3, 4]
    assert np.array_equal(np.sort(found.volume.array.ravel()), np.sort(twin[0].ravel()))
    assert "the series holds 2 stacks; set 1 of 2 (by Instance Number) was used" in found.warnings[0]


@pytest.mark.parametrize(("name", "stacks"), [("anatomical", 1), ("fmri", 4)])
def test_an_enhanced_mr_holds_its_frames_where_they_say(
    real_data: Path, placed: Callable[[list[Path]], list[Path]], name: str, stacks: int
) -> None:
    paths = placed(images(real_data / "dicom2nifti" / "philips_enhanced" / name, "MR"))
    found = read_stacks(paths)
    assert len(found.stacks) == stacks
    ds = dcmread(paths[0])
    for time, stack in enumerate(found.stacks, start=1):
        source = stack.read()
        for index, plane in enumerate(source.planes):
            assert plane.frame_number
            group = ds.PerFrameFunctionalGroupsSequence[plane.frame_number - 1]
            assert group.FrameContentSequence[0].TemporalPositionIndex == time
            stored = ds.pixel_array[plane.frame_number - 1]
            rescale = group.PixelValueTransformationSequence[0]
            expected = stored * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
            assert np.allclose(source.volume.array[index], expected, rtol=1e-6)
            position = group.PlanePositionSequence[0].ImagePositionPatient
            assert np.allclose((source.volume.affine @ [index, 0, 0, 1])[:3], position, atol=0.01)


def test_an_enhanced_mr_reads_as_highdicom_reads_it(
    real_data: Path, placed: Callable[[list[Path]], list[Path]]
) -> None:
    (path,) = placed(images(real_data / "dicom2nifti" / "philips_enhanced" / "anatomical", "MR"))
    expected = Image.from_dataset(dcmread(path)).get_volume()
    found = read_series([path]).volume.match_geometry(expected, tol=1e-3)
    assert np.allclose(found.array, expected.array, rtol=1e-5)


def test_magnitude_and_field_map_of_one_object_are_two_stacks(real_data: Path) -> None:
    paths = images(real_data / "mr_enh_dcm_qa_enh", "MR")
    magnitude, field = (stack.read() for stack in read_stacks(paths).stacks)
    assert (magnitude.unit, field.unit) == ("1", "Hz")
    assert "FIELD_MAP" in read_series(paths).warnings[0]
    groups = dcmread(paths[0]).PerFrameFunctionalGroupsSequence
    for source, kind in ((magnitude, "M"), (field, "FIELD_MAP")):
        kinds = [
            groups[(plane.frame_number or 0) - 1].MRImageFrameTypeSequence[0].FrameType[3] for plane in source.planes
        ]
        assert kinds == [kind] * 32


@pytest.mark.parametrize("case", ["23x38x3", "24x38x3"])
def test_a_legacy_converted_ct_equals_its_single_frames(real_data: Path, case: str) -> None:
    folder = real_data / "dcmqi" / "segmentations" / case
    single, multi = (read_series(images(folder / kind, "CT")) for kind in ("image", "multiframe"))
    assert np.array_equal(single.volume.array, multi.volume.array)
    assert np.allclose(single.volume.affine, multi.volume.affine, atol=1e-4)
    assert sorted(plane.frame_number or 0 for plane in multi.planes) == [1, 2, 3]
    assert len(multi.datasets) == 1


def test_a_reconstructed_tomogram_reads_and_a_static_image_has_no_slices(real_data: Path) -> None:
    path = real_data / "nm_qc_mediso" / "Jaszack.dcm"
    found = read_series([path])
    frames = pixels_of(path)
    # Spacing Between Slices is negative: the first frame is the uppermost along the normal.
    assert np.array_equal(found.volume.array, frames[::-1])
    assert found.unit == "{counts}"
    assert [plane.frame_number for plane in found.planes] == list(range(45, 0, -1))
    assert found.planes[-1].position_mm == pytest.approx((0, -264.319977, -165.199986))
    assert found.planes[0].position_mm[2] == pytest.approx(-165.199986 - 44 * 4.12999964)
    with pytest.raises(Unsuitable, match="nuclear medicine image of type STATIC, which has no slices in space"):
        read_series([real_data / "nm_qc_mediso" / "FourBar.dcm"])


@pytest.mark.parametrize("kind", ["CT1", "MR1"])
@pytest.mark.parametrize("syntax", ["RLE", "JPLL", "JLSL", "J2KR", "J2KI", "JLSN", "JPLY"])
def test_every_transfer_syntax_of_the_reference_set_gives_the_reference_pixels(
    real_data: Path, stacked: Callable[[Path], list[Path]], kind: str, syntax: str
) -> None:
    path = real_data / "wg04" / syntax / f"{kind}_{syntax}"
    if not path.exists():
        pytest.skip(f"the reference set has no {kind} in {syntax}")
    found = read_series(stacked(path)).volume.array
    expected = read_series(stacked(real_data / "wg04" / "REF" / f"{kind}_UNC")).volume.array
    away = np.abs(found.astype(int) - expected)
    assert away.mean() <= {"J2KI": 40, "JPLY": 12}.get(syntax, 4)
    if syntax not in {"J2KI", "JPLY"}:
        assert away.max() <= {"JLSN": 4}.get(syntax, 0)
    tissue = found[0] > -1024
    assert np.array_equal(found[0][tissue], pixels_of(path)[0][tissue])


def test_the_reference_objects_of_pet_read_as_suv(real_data: Path) -> None:
    found = read_series(images(real_data / "ibsi_suv_dro" / "DRO" / "DRO_0_0" / "PT", "PT"))
    assert found.unit == "g/ml{SUVbw}"
    assert found.volume.array.dtype == np.float32
    assert found.volume.array.max() == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("folder", ["pydicom_malformed", "fodicom_edge", "wg04"])
def test_every_odd_file_is_one_slice_or_refused_with_a_reason_and_never_a_crash(real_data: Path, folder: str) -> None:
    paths = [path for path in sorted((real_data / folder).rglob("*")) if path.is_file()]
    assert paths
    for path in paths:
        try:
            found = read_series([path, path])
        except Unsuitable as refusal:
            assert "needed" in str(refusal)
        else:
            assert len(found.planes) == 1
