"""Every image type and every preparation of the image against pyradiomics on the whole image, value by value."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from radiomics import getImageTypes
from scipy import ndimage

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.infer.read.volume import read_series
from dicomnode.measure import radiomics
from dicomnode.measure.features import texture, work
from dicomnode.measure.features.filters import LOG_TOLERANCE

from ..conftest import SPACING_MM, segmentation_of, volume_of
from ..peer import plain

#: Values of `plain` on segment 1 of the phantom with pyradiomics 3.0.1, one row per feature.
BASELINE = Path(__file__).resolve().parents[3] / "baselines" / "radiomics_image_types.csv"
EVERY_TYPE: dict[str, dict[str, Any]] = {
    "Original": {},
    "Wavelet": {},
    "LoG": {"sigma": [0.75, 2.0]},
    "Square": {},
    "SquareRoot": {},
    "Logarithm": {},
    "Exponential": {},
    "Gradient": {},
}
OF_THE_MESH = ("MeshVolume", "SurfaceArea", "SurfaceVolumeRatio", "Sphericity")

#: What a value of LoG is off by depends on the feature; means of small numbers feel the tolerance of the image most.
LOG_FEATURES = 10 * LOG_TOLERANCE

Scene = tuple[NDArray[np.int16], NDArray[np.bool_]]


@pytest.fixture(autouse=True)
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in large regions, though those of the tests are small."""
    monkeypatch.setattr(texture, "LEAST_VOXELS", 0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A body with air and bone about it, and a region of 500 voxels far from every edge."""
    shape = (44, 120, 130)
    rng = np.random.default_rng(20260102)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    array = np.round(noise / noise.std() * 150 - 100).astype(np.int16)
    array[:, :20], array[:, :, 110:] = -1000, 1500
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    mask = ((z - 20) / 3) ** 2 + ((y - 61) / 6) ** 2 + ((x - 55) / 7) ** 2 + 0.2 * np.sin(x / 2.0) < 1
    return array, mask


def ours(
    scene: tuple[NDArray[Any], NDArray[np.bool_]],
    image_types: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    workers: int = 1,
) -> Mapping[str, float]:
    spec = RadiomicsSpec(image_types=image_types, settings=settings)
    array, mask = scene
    (found,) = radiomics.measure(
        volume_of(array), segmentation_of(mask.astype(np.uint8)), [1], spec=spec, workers=workers
    )
    return found.values


def theirs(
    scene: tuple[NDArray[Any], NDArray[np.bool_]],
    image_types: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> dict[str, float]:
    return plain(*scene, SPACING_MM, image_types, settings)


@pytest.mark.parametrize(
    "image_types",
    [
        {"Original": {}},
        {"Wavelet": {}},
        {"Wavelet": {"wavelet": "db3", "level": 1, "start_level": 1, "binWidth": 400}},
        {"Square": {}, "SquareRoot": {}, "Logarithm": {}, "Exponential": {}, "Gradient": {}},
        {"Gradient": {"gradientUseSpacing": False}, "Square": {"binWidth": 4.5}},
    ],
)
def test_an_image_type_has_the_values_of_the_whole_image_to_the_last_bit(
    scene: Scene, image_types: dict[str, dict[str, Any]]
) -> None:
    found = ours(scene, image_types, {"binWidth": 25})
    expected = theirs(scene, image_types, {"binWidth": 25})
    assert list(found) == list(expected)
    assert found == expected


def test_log_has_the_values_of_the_whole_image_within_its_tolerance(scene: Scene) -> None:
    # In 12 standard deviations around the region the image of the larger one is nearly whole, that of the smaller not.
    image_types = {"LoG": {"sigma": [0.75, 1.5]}}
    found = ours(scene, image_types, {"binWidth": 25})
    expected = theirs(scene, image_types, {"binWidth": 25})
    assert found == {name: pytest.approx(value, rel=LOG_FEATURES) for name, value in expected.items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"binCount": 16},
        {"binWidth": 0.1, "normalize": True, "removeOutliers": 2},
        {"binWidth": 10, "normalize": True, "normalizeScale": 100},
        {"binWidth": 25, "resampledPixelSpacing": [1, 1, 1]},
        {"binWidth": 25, "resampledPixelSpacing": [2, 2, 2], "interpolator": "sitkLinear", "padDistance": 8},
        {"binWidth": 25, "resampledPixelSpacing": [1.4, 1.6, 0], "interpolator": "sitkBSpline"},
        {"binWidth": 25, "resampledPixelSpacing": [1.4, 1.6, 2.5], "interpolator": "sitkNearestNeighbor"},
        {"binWidth": 25, "resampledPixelSpacing": [0.7, 0.8, 2.5]},
        {"binWidth": 0.1, "resampledPixelSpacing": [1, 1, 1], "normalize": True},
        {"binWidth": 25, "resegmentRange": [-250, 60], "resegmentShape": True},
        {"binWidth": 25, "resegmentRange": [-1.5, 1.5], "resegmentMode": "sigma", "resegmentShape": True},
        {"binWidth": 25, "force2D": True},
        {"binWidth": 25, "preCrop": True, "padDistance": 4},
        {"binWidth": 25, "weightingNorm": "euclidean", "distances": [1, 2], "gldm_a": 1},
    ],
)
def test_a_setting_has_the_values_of_the_whole_image_to_the_last_bit(scene: Scene, settings: dict[str, Any]) -> None:
    image_types: dict[str, dict[str, Any]] = {"Original": {}, "Square": {}, "Gradient": {}}
    if "force2D" in settings or "preCrop" in settings:
        image_types["Wavelet"] = {}
    found = ours(scene, image_types, settings)
    expected = theirs(scene, image_types, settings)
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize("place", [(slice(20, None), slice(55, None)), (slice(None, 22), slice(None, 63))])
def test_a_region_at_the_edge_of_the_image_has_the_values_of_the_whole_image(
    scene: Scene, place: tuple[slice, slice]
) -> None:
    array, mask = np.ascontiguousarray(scene[0][place]), np.ascontiguousarray(scene[1][place])
    image_types: dict[str, dict[str, Any]] = {"Original": {}, "Wavelet": {}, "Gradient": {}}
    assert ours((array, mask), image_types, {"binWidth": 25}) == theirs((array, mask), image_types, {"binWidth": 25})


def test_an_image_of_decimals_has_the_values_of_the_whole_image(scene: Scene) -> None:
    array, mask = scene[0].astype(np.float32) * np.float32(0.37), scene[1]
    image_types: dict[str, dict[str, Any]] = {"Original": {}, "Wavelet": {}, "Logarithm": {}}
    assert ours((array, mask), image_types, {"binWidth": 9.5}) == theirs((array, mask), image_types, {"binWidth": 9.5})


def test_no_image_type_of_pyradiomics_lacks_a_baseline_but_those_whose_packages_are_not_installed() -> None:
    assert {*getImageTypes()} - {*EVERY_TYPE} == {"LBP2D", "LBP3D"}


def test_every_image_type_has_its_baseline(phantom: tuple[Volume, Segmentation]) -> None:
    spec = RadiomicsSpec(image_types=EVERY_TYPE)
    (found,) = radiomics.measure(*phantom, [1], spec=spec)
    with BASELINE.open(newline="") as file:
        expected = {row["feature"]: float(row["value"]) for row in csv.DictReader(file)}
    assert list(found.values) == list(expected)
    assert len(expected) == 14 + 16 * 93
    for name, value in found.values.items():
        # Filters of another build or processor round elsewhere, which may put a voxel into another bin.
        assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name


def test_resegmentation_leaves_the_shape_of_the_whole_region(scene: Scene) -> None:
    # pyradiomics 3.0.1 cuts the mask of the shape to the box of the voxels in range; IBSI's morphological mask is
    # whole.
    image_types: dict[str, dict[str, Any]] = {"Original": {}}
    settings = {"binWidth": 25, "resegmentRange": [-50, 60]}
    found, whole = ours(scene, image_types, settings), theirs(scene, image_types, {"binWidth": 25})
    expected = theirs(scene, image_types, settings)
    for name, value in found.items():
        assert value == (whole if "_shape_" in name else expected)[name], name


def test_processes_give_the_same_values_in_the_same_order(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    image_types: dict[str, dict[str, Any]] = {"Original": {}, "Wavelet": {}, "LoG": {"sigma": [1.0]}}
    alone = ours(scene, image_types, {"binWidth": 25})
    monkeypatch.setattr(work, "_WORTH_SECONDS", 0.0)
    shared = ours(scene, image_types, {"binWidth": 25}, workers=2)
    assert list(shared.items()) == list(alone.items())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_the_same_values_in_the_same_order(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    image_types: dict[str, dict[str, Any]] = {"Original": {}, "Wavelet": {}, "LoG": {"sigma": [1.0]}}
    alone = ours(scene, image_types, {"binWidth": 25})
    monkeypatch.setattr(work, "_WORTH_SECONDS_OF_THREADS", 0.0)
    monkeypatch.setattr(work, "_THREADS", threads)
    shared = ours(scene, image_types, {"binWidth": 25})
    assert list(shared.items()) == list(alone.items())


def test_what_fails_in_a_thread_names_the_image(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError("no memory for it")

    monkeypatch.setattr(work, "_WORTH_SECONDS_OF_THREADS", 0.0)
    monkeypatch.setattr(work, "intensity_features", fails)
    with pytest.raises(ModelError, match=r"image original: pyradiomics failed with no memory for it"):
        ours(scene, {"Original": {}, "Square": {}}, {"binWidth": 25})


def test_the_tumour_of_a_patient_has_the_values_of_the_whole_image(real_data: Path) -> None:
    headers = [
        (pydicom.dcmread(path, stop_before_pixels=True), path)
        for path in (real_data / "lung1" / "LUNG1-002_20180526_CT").rglob("*.dcm")
    ]
    volume = read_series([path for ds, path in headers if ds.Modality == "CT"]).volume
    mask = _drawn(next(ds for ds, _ in headers if ds.Modality == "RTSTRUCT"), "GTV-1", volume)
    z, y, x = (float(length) for length in volume.spacing)
    spec = RadiomicsSpec(image_types={"Original": {}, "Wavelet": {}}, settings={"binWidth": 25})
    (found,) = radiomics.measure(volume, segmentation_of(mask.astype(np.uint8), (z, y, x)), [1], spec=spec)
    expected = plain(volume.array, mask, (z, y, x), spec.image_types, spec.settings)
    assert len(expected) == 851
    mesh = {name for name in expected if name.endswith(OF_THE_MESH)}
    assert list(found.values) == list(expected)
    assert {name: value for name, value in found.values.items() if name not in mesh} == {
        name: value for name, value in expected.items() if name not in mesh
    }
    # The mesh of 128 000 voxels is summed in another order.
    assert {name: found.values[name] for name in mesh} == {
        name: pytest.approx(expected[name], rel=1e-12) for name in mesh
    }


def _drawn(structures: pydicom.Dataset, name: str, volume: Volume) -> NDArray[np.bool_]:
    """A region of the structure set: doubled contours dropped, then filled even-odd."""
    number = next(roi.ROINumber for roi in structures.StructureSetROISequence if roi.ROIName == name)
    contours = next(roi for roi in structures.ROIContourSequence if roi.ReferencedROINumber == number).ContourSequence
    mask = np.zeros(volume.spatial_shape, dtype=bool)
    for data in {tuple(contour.ContourData) for contour in contours}:
        points = np.array(data, dtype=float).reshape(-1, 3)
        index = np.linalg.solve(volume.affine, np.c_[points, np.ones(len(points))].T)[:3]
        picture = Image.new("1", (volume.spatial_shape[2], volume.spatial_shape[1]))
        ImageDraw.Draw(picture).polygon([(c, r) for _, r, c in index.T], fill=1)
        mask[round(float(index[0].mean()))] ^= np.array(picture)
    return mask
