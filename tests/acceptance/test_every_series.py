"""Every series of the real data is read as other readers read it, or refused with a stated reason."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.read.volume import read_series
from tests.series.expected import BY_FILE, READS, REFUSES, SUV, Reads
from tests.series.header import name, uid

pytestmark = pytest.mark.acceptance

#: Files that lie beside the images and are no DICOM objects; training data without DICOM is left out as a folder.
BESIDE = {
    "", ".bval", ".bvec", ".csv", ".docx", ".dump", ".gz", ".html", ".jpeg", ".jpg", ".json", ".md", ".nii", ".npy",
    ".nrrd", ".onnx", ".pdf", ".png", ".py", ".ts", ".txt", ".xlsx", ".yaml", ".yml", ".zip",
}  # fmt: skip
NO_DICOM = {"sts_corpus", "reference_values", "models_brainchop", "models_onnx_derived", "pyradiomics"}

#: Decimal strings of positions and spacings have 16 characters; readers multiply them in different orders.
EXACT_MM = 1e-3

#: Padding must look like air at most: nothing there may pass for tissue.
AIR_HU = -1000

#: Series that dcm2niix turns into one volume on the same voxels, apart from flips and permutations.
DCM2NIIX = (
    "ct_liver_crlm1004/CRLM-CT-1004/image:CT",
    "dcmqi/segmentations/23x38x3/multiframe:CT",
    "dicom2nifti/generic/anatomical/002_non_isotropic:MR",
    "dicom2nifti/ge/anatomical/001:MR",
    "dicom2nifti/philips_enhanced/anatomical/001:MR",
    "ibsi1_ct_phantom/dicom/image:CT",
    "ibsi2_digital_phantom/dicom/orientation:CT",
    "mr_t1_philips_mprage:MR",
    "sts_ibsi_validation/STS_002/dicom/STS_002/MR_T1/image:MR",
    "sts_ibsi_validation/STS_005/dicom/STS_005/CT/image:CT",
)

#: The NIfTI that the authors of dicom2nifti hold for right, beside the folder of the series.
TRUTH = (
    "dicom2nifti/ge/anatomical/001:MR",
    "dicom2nifti/ge/anatomical/001_implicit:MR",
    "dicom2nifti/generic/anatomical/001:MR",
    "dicom2nifti/generic/anatomical/001_implicit:MR",
    "dicom2nifti/generic/anatomical/002_non_isotropic:MR",
    "dicom2nifti/generic/compressed/001:MR",
    "dicom2nifti/generic/compressed_j2k/001:MR",
    "dicom2nifti/generic/compressed_jpeg/001:MR",
    "dicom2nifti/generic/compressed_jpegls/001:MR",
    "dicom2nifti/generic/compressed_rle/001:MR",
)


@cache
def series_below(folder: Path) -> dict[str, list[Path]]:
    """Every series by `folder:modality`, and every file of its own by `folder/name` where files are cases."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        where = path.parent.relative_to(folder)
        if not path.is_file() or where == Path() or where.parts[0] in NO_DICOM or path.suffix.lower() in BESIDE - {""}:
            continue
        found[_key(path, str(where))].append(path)
    return {key: paths for key, paths in found.items() if key}


def _key(path: Path, where: str) -> str:
    try:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=["Modality", "SeriesInstanceUID"])
    except (InvalidDicomError, OSError):
        # Licences and the like bear no suffix, either.
        return "" if path.suffix == "" else f"{where}/{path.name}"
    if where in BY_FILE:
        return f"{where}/{path.name}"
    return f"{where}:{ds.get('Modality') or path.name}"


def placed(paths: list[Path], folder: Path) -> list[Path]:
    """Copies of images that an anonymiser scattered, in one study and one frame of reference."""
    copies = []
    for number, path in enumerate(paths):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = uid("study of", folder), uid("frame of", folder)
        copies.append(folder / f"placed-{number:04}.dcm")
        ds.save_as(copies[-1])
    return copies


def test_the_table_names_every_series_that_is_there(real_data: Path) -> None:
    found = set(series_below(real_data))
    table = set(READS) | set(REFUSES)
    assert (sorted(found - table), sorted(table - found)) == ([], [])


# pydicom warns of values that break the standard before the node refuses them.
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize("key", sorted(REFUSES))
def test_what_makes_no_volume_is_refused_with_the_reason(real_data: Path, key: str) -> None:
    with pytest.raises(Unsuitable) as refused:
        read_series(series_below(real_data)[key])
    assert re.search(REFUSES[key], str(refused.value)), str(refused.value)
    assert re.search("needed|expected", str(refused.value))


@pytest.mark.parametrize("key", sorted(READS))
def test_a_series_is_read_with_the_values_and_places_that_gdcm_sees(real_data: Path, key: str, tmp_path: Path) -> None:
    expected, paths = READS[key], series_below(real_data)[key]
    if expected.placed:
        with pytest.raises(Unsuitable, match=expected.placed):
            read_series(paths)
        paths = placed(paths, tmp_path)

    source = read_series(paths)

    assert source.volume.spatial_shape == expected.shape
    assert source.volume.spacing == pytest.approx(expected.spacing_mm, abs=5e-4)
    assert source.unit == expected.unit
    assert _told(source, expected) == []
    assert len(source.planes) == source.volume.spatial_shape[0]
    if source.tilt is not None:
        _same_tilted_planes(source, paths)
    else:
        _same_planes(source, paths, factor=_suv(source, paths) if expected.unit == SUV else 1.0)


def _told(source: SourceSeries, expected: Reads) -> list[str]:
    """What the warnings should say and do not; a series of which nothing is expected has none."""
    said = " | ".join(source.warnings)
    if not expected.warns:
        return [said] if said else []
    return [word for word in expected.warns if not re.search(word, said)]


def _same_planes(source: SourceSeries, paths: list[Path], factor: float) -> None:
    affine = np.array(source.volume.affine)
    for index, (values, place, vectors) in enumerate(_gdcm_planes(source, paths)):
        assert affine[:3, 3] + index * affine[:3, 0] == pytest.approx(place, abs=EXACT_MM)
        assert affine[:3, 1:3] == pytest.approx(vectors, abs=EXACT_MM)
        # Single precision has 24 bits; what is stored as integers in both is equal.
        ours, real = source.volume.array[index], values != _padding(source.planes[index].dataset)
        # Compression with loss blurs padding, and what it left of it below the scale's end is air to the node.
        real &= ~((ours == -1024) & (values < -1024))
        np.testing.assert_allclose(ours[real], values[real] * factor, rtol=1e-5, atol=1e-6)
        assert (ours[~real] <= AIR_HU).all()


def _padding(ds: Dataset) -> float | None:
    """What stands for nothing in a CT outside its circle of reconstruction, rescaled (PS3.3 C.7.5.1.1.2)."""
    value = ds.get("PixelPaddingValue")
    return None if value is None or ds.Modality != "CT" else value * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


def _gdcm_planes(source: SourceSeries, paths: list[Path]) -> Any:
    """Every plane as GDCM reads its file: rescaled values, position, and vectors down a column and along a row."""
    files = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in paths}
    images: dict[Path, Any] = {}
    for plane in source.planes:
        path = files[str(plane.dataset.SOPInstanceUID)]
        image = images.get(path) or images.setdefault(path, SimpleITK.ReadImage(str(path)))
        array = SimpleITK.GetArrayFromImage(image).reshape(-1, *reversed(image.GetSize()[:2]))
        frame = (plane.frame_number or 1) - 1
        turn = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        # For classic images the file's origin is the plane's; for frames ITK assumes a regular stack, so that the
        # place stated by the frame itself counts.
        place = image.GetOrigin() if plane.frame_number is None else _stated_position(plane.dataset, frame)
        yield array[frame], np.array(place), turn[:, [1, 0]]


def _stated_position(ds: Dataset, frame: int) -> Any:
    if "PerFrameFunctionalGroupsSequence" not in ds:
        # Reconstructed slices of nuclear medicine count on from the first (PS3.3 C.8.4.15.1.2).
        detector = ds.DetectorInformationSequence[0]
        along, down = np.array(detector.ImageOrientationPatient, dtype=float).reshape(2, 3)
        first = np.array(detector.ImagePositionPatient, dtype=float)
        return first + frame * float(ds.SpacingBetweenSlices) * np.cross(along, down)
    groups = ds.PerFrameFunctionalGroupsSequence[frame]
    return [float(value) for value in groups.PlanePositionSequence[0].ImagePositionPatient]


def _same_tilted_planes(source: SourceSeries, paths: list[Path]) -> None:
    """Each plane, interpolated by scipy at the places that the tilt states, is the slice of the upright volume."""
    tilt = source.tilt
    assert tilt is not None
    affine = np.array(source.volume.affine)
    rows, columns = source.volume.spatial_shape[1:]
    for index, (values, place, _) in enumerate(_gdcm_planes(source, paths)):
        start = tilt.starts[index]
        assert (affine @ [index, *start, 1])[:3] == pytest.approx(place, abs=0.01)
        grid = np.indices((rows, columns)) - np.array(start)[:, None, None]
        inside = ((grid >= 0) & (grid <= np.array(values.shape)[:, None, None] - 1)).all(axis=0)
        wanted = ndimage.map_coordinates(values.astype(np.float64), grid, order=1)
        # Half a unit is the rounding to integers.
        assert np.abs(source.volume.array[index] - wanted)[inside].max() <= 0.5 + 1e-6


def _suv(source: SourceSeries, paths: list[Path]) -> float:
    """The factor between what GDCM reads and what the node says, at the hottest voxel; it must hold everywhere."""
    slice_, *voxel = np.unravel_index(int(source.volume.array.argmax()), source.volume.spatial_shape)
    values = [values for values, _, _ in _gdcm_planes(source, paths)][int(slice_)]
    return float(source.volume.array[slice_][tuple(voxel)] / values[tuple(voxel)])


@pytest.mark.parametrize("name", ["0_0", "1_0", "2_0", "2_4", "3_0", "3_1", "4_0", "4_1"])
def test_the_suv_reference_objects_have_the_values_that_they_were_made_with(real_data: Path, name: str) -> None:
    source = read_series(series_below(real_data)[f"ibsi_suv_dro/DRO/DRO_{name}/PT:PT"])
    mask = SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(str(next((real_data / f"ibsi_suv_dro/DRO/DRO_{name}/mask").iterdir())))
    )
    values = source.volume.array[mask > 0]
    found = (values.min(), np.median(values), values.max())
    assert found == pytest.approx((0.2, 1.0, 4.0), rel=1e-3)


@pytest.mark.parametrize("key", TRUTH)
def test_a_series_lies_where_the_authors_of_dicom2nifti_say(real_data: Path, key: str) -> None:
    folder = real_data / key.split(":")[0]
    truth = folder.with_name(f"{folder.name}_ground_truth.nii.gz")
    _same_voxels(read_series(series_below(real_data)[key]), SimpleITK.ReadImage(str(truth)))


@pytest.mark.parametrize("key", DCM2NIIX)
def test_a_series_lies_where_dcm2niix_puts_it(real_data: Path, key: str, tmp_path: Path) -> None:
    program = shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed; Debian package dcm2niix")
    paths = series_below(real_data)[key]
    (tmp_path / "in").mkdir()
    for number, path in enumerate(paths):
        (tmp_path / "in" / f"{number:04}.dcm").symlink_to(path)
    command = [
        program,
        "-b",
        "n",
        "-z",
        "n",
        "-m",
        "y",
        "-p",
        "n",
        "-f",
        "out",
        "-o",
        str(tmp_path),
        str(tmp_path / "in"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (made,) = tmp_path.glob("*.nii")
    assert done.returncode == 0, done.stdout
    _same_voxels(read_series(paths), SimpleITK.ReadImage(str(made)))


def _same_voxels(source: SourceSeries, image: Any) -> None:
    """Random voxels of the volume and its corners have the value that the image has at their place in the patient."""
    shape = np.array(source.volume.spatial_shape)
    assert sorted(image.GetSize()) == sorted(shape.tolist())
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(*([0, count - 1] for count in shape)), axis=-1).reshape(-1, 3)
    indices = np.concatenate([corners, rng.integers(0, shape, (500, 3))])
    affine = np.array(source.volume.affine)
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    places = np.array([image.TransformPhysicalPointToContinuousIndex(point.tolist()) for point in points])
    # NIfTI holds its matrix in single precision, which is 1e-5 of a coordinate of 1000 mm.
    assert np.abs(places - np.round(places)).max() < 0.02
    array = SimpleITK.GetArrayViewFromImage(image)
    theirs = array[tuple(np.round(places).astype(int)[:, ::-1].T)]
    ours, padding = source.volume.array[tuple(indices.T)], _padding(source.datasets[0])
    real = theirs != padding
    np.testing.assert_allclose(ours[real], theirs[real], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("syntax", ["J2KI", "J2KR", "JLSL", "JLSN", "JPLL", "JPLY", "RLE"])
def test_every_transfer_syntax_gives_the_reference_pixels(
    real_data: Path, tmp_path: Path, syntax: str, modality: str
) -> None:
    paths = series_below(real_data).get(f"wg04/{syntax}:{modality}")
    if paths is None:
        pytest.skip(f"wg04 has no {modality} in {syntax}")
    (reference,) = series_below(real_data)[f"wg04/REF:{modality}"]
    ours = _two_slices(paths[0], tmp_path).astype(int)
    difference = np.abs(ours - _two_slices(reference, tmp_path)).max()
    # NEMA compressed JLSN with an allowed error of 4; J2KI and JPLY are lossy without a stated bound.
    limit = {"JLSN": 4, "J2KI": 400, "JPLY": 400}.get(syntax, 0)
    assert difference <= limit


def _two_slices(path: Path, folder: Path) -> npt.NDArray[Any]:
    """An image as the node reads it in a series of two: itself and, 5 mm on, itself again."""
    files = []
    for number in range(2):
        ds = dcmread(path)
        name(ds, uid(ds.SOPInstanceUID, number))
        normal = np.cross(*np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3))
        place = np.array(ds.ImagePositionPatient, dtype=float) + 5.0 * number * normal
        ds.ImagePositionPatient = [f"{value:.6g}" for value in place]
        files.append(folder / f"{path.parent.name}-{path.stem}-{number}.dcm")
        ds.save_as(files[-1])
    array: npt.NDArray[Any] = read_series(files).volume.array
    return array
