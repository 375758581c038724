"""Phantoms for the tests of the infer room: volumes in any orientation, as files, and networks that threshold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom import Volume
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicomnode.domain.finding import SourceSeries, planes_of
from dicomnode.domain.model import ModelSpec
from dicomnode.infer.bundle.load import load_bundle

#: Every way in which slices, rows and columns can lie along the patient axes: permutation of axes, axes reversed.
ORIENTATIONS = [
    pytest.param(((0, 1, 2), ()), id="axial"),
    pytest.param(((0, 1, 2), (0,)), id="axial-feet-first"),
    pytest.param(((0, 1, 2), (1, 2)), id="axial-prone"),
    pytest.param(((0, 1, 2), (2,)), id="axial-mirrored-columns"),
    pytest.param(((1, 0, 2), (1,)), id="coronal"),
    pytest.param(((1, 0, 2), (0, 1, 2)), id="coronal-reversed"),
    pytest.param(((2, 0, 1), (1,)), id="sagittal"),
    pytest.param(((2, 1, 0), (0, 2)), id="sagittal-transposed"),
]

SPACING_MM = (2.0, 1.5, 1.25)
ORIGIN_MM = (-20.0, 30.0, -140.0)

TOML = """
[model]
name = "{name}"
version = "1.0.0"
title = "Dense and denser"
status = "research"
task = "segment"
manufacturer = "dicomnode project"
licence = "Apache-2.0"
onnx = "model.onnx"
sha256 = "{sha256}"
[input.ct]
Modality = "CT"
[[prepare]]
step = "resample"
spacing_mm = {spacing_mm}
outside = -1000.0
[[prepare]]
step = "clip"
range = [-1000.0, 1000.0]
[[prepare]]
step = "scale"
range = [-1000.0, 1000.0]
{post}[tile]
shape = {tile}
overlap = 0.25
batch = {batch}
[output]
activation = "{activation}"
[valid]
slice_spacing_mm = [0.5, 6.0]
pixel_spacing_mm = [0.5, 3.0]
minimum_slices = 4
orientations = ["axial", "coronal", "sagittal"]
[plausible]
right_of = [[1, 2]]
volume_ml = [{{ segment = 1, range = [1.0, 900.0] }}]
[[segment]]
number = 1
label = "Right thing"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
laterality = {{ value = "24028007", scheme = "SCT", meaning = "Right" }}
color_rgb = [197, 165, 145]
[[segment]]
number = 2
label = "Left thing"
category = {{ value = "91723000", scheme = "SCT", meaning = "Anatomical Structure" }}
type = {{ value = "39607008", scheme = "SCT", meaning = "Lung" }}
laterality = {{ value = "7771000", scheme = "SCT", meaning = "Left" }}
"""


def _ellipsoid(shape: tuple[int, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    grid = np.indices(shape)
    terms = [((axis - middle) / radius) ** 2 for axis, middle, radius in zip(grid, centre, radii, strict=True)]
    return np.asarray(sum(terms) <= 1)


@pytest.fixture
def phantom() -> Volume:
    """An axial volume in HU, head first, supine: a denser ellipsoid on the patient's right, a dense one on the left."""
    shape = (14, 24, 30)
    array = np.full(shape, -900, dtype=np.int16)
    array[_ellipsoid(shape, (6, 11, 7), (4.2, 6.1, 4.3))] = 900
    array[_ellipsoid(shape, (7, 12, 21), (5.1, 7.2, 5.4))] = 100
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = SPACING_MM
    affine[:3, 3] = ORIGIN_MM
    affine[3, 3] = 1
    return Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=generate_uid())


@pytest.fixture(params=ORIENTATIONS)
def oriented(request: pytest.FixtureRequest, phantom: Volume) -> Volume:
    """The phantom with its voxels stored in another order; the same body at the same place."""
    return turned(phantom, *request.param)


def turned(volume: Volume, axes: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
    result = volume.permute_spatial_axes(axes)
    return result.flip_spatial(flips) if flips else result


@pytest.fixture
def truth() -> Callable[[Volume], npt.NDArray[np.uint8]]:
    """Labels that the thresholding network gives on a phantom of these intensities."""

    def labels(volume: Volume) -> npt.NDArray[np.uint8]:
        return np.select([volume.array > 500, volume.array > -400], [1, 2], 0).astype(np.uint8)

    return labels


@pytest.fixture
def slices() -> Callable[..., list[Dataset]]:
    """Makes CT images of a volume; stored values are the array's, rescaled by `slope` and `intercept`."""

    def make(volume: Volume, *, slope: float = 1, intercept: float = 0, bits: int = 16) -> list[Dataset]:
        study, series = generate_uid(), generate_uid()
        unit = volume.affine[:3, :3] / np.array(volume.spacing)
        datasets = []
        for index, pixels in enumerate(volume.array):
            ds = Dataset()
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.SOPClassUID = CTImageStorage
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
            ds.PatientName = "DONT^LOGME"
            ds.PatientID = "SECRET-1"
            ds.StudyInstanceUID = study
            ds.SeriesInstanceUID = series
            ds.FrameOfReferenceUID = volume.frame_of_reference_uid
            ds.Modality = "CT"
            ds.InstanceNumber = (index * 7) % len(volume.array) + 1
            ds.ImagePositionPatient = (volume.affine @ [index, 0, 0, 1])[:3].round(6).tolist()
            ds.ImageOrientationPatient = [*unit[:, 2].round(8).tolist(), *unit[:, 1].round(8).tolist()]
            ds.PixelSpacing = [volume.spacing[1], volume.spacing[2]]
            ds.Rows, ds.Columns = pixels.shape
            ds.SamplesPerPixel = 1
            ds.PhotometricInterpretation = "MONOCHROME2"
            ds.BitsAllocated = pixels.dtype.itemsize * 8
            ds.BitsStored = min(bits, ds.BitsAllocated)
            ds.HighBit = ds.BitsStored - 1
            ds.PixelRepresentation = int(pixels.dtype.kind == "i")
            ds.RescaleSlope = slope
            ds.RescaleIntercept = intercept
            ds.PixelData = pixels.tobytes()
            ds["PixelData"].VR = "OW"
            datasets.append(ds)
        return datasets

    return make


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[list[Dataset]], list[Path]]:
    """Writes data sets as Part 10 files and names them in an order that says nothing about their place."""

    def save(datasets: list[Dataset]) -> list[Path]:
        folder = tmp_path / generate_uid()
        folder.mkdir()
        for dataset in datasets:
            name = hashlib.sha256(dataset.SOPInstanceUID.encode()).hexdigest()[:12]
            while (folder / name).exists():
                name += "x"
            dataset.save_as(folder / name, enforce_file_format=True)
        return sorted(folder.iterdir())

    return save


@pytest.fixture
def as_source() -> Callable[[Volume], SourceSeries]:
    """A series without files, for what does not read them."""

    def make(volume: Volume) -> SourceSeries:
        header = Dataset()
        header.SeriesInstanceUID = "1.2.3"
        header.Modality = "CT"
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        return SourceSeries(volume=volume, planes=planes_of((header,) * volume.spatial_shape[0]))

    return make


@pytest.fixture
def network() -> Callable[..., bytes]:
    """Makes a network of one 1 × 1 × 1 convolution: scaled intensity x → logits weights · x + bias."""
    onnx = pytest.importorskip("onnx")

    def build(
        weights: tuple[float, ...] = (0.0, 300.0, 100.0),
        bias: tuple[float, ...] = (0.0, -200.0, -30.0),
        *,
        inputs: tuple[str, ...] = ("image",),
        output: str = "logits",
        tile: tuple[Any, ...] = ("slice", "row", "column"),
        batch: Any = "batch",
    ) -> bytes:
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        constants = [
            helper.make_tensor("w", kind, [len(weights), 1, 1, 1, 1], list(weights)),
            helper.make_tensor("b", kind, [len(bias)], list(bias)),
        ]
        graph = helper.make_graph(
            [helper.make_node("Conv", [inputs[0], "w", "b"], [output])],
            "threshold",
            [helper.make_tensor_value_info(name, kind, [batch, 1, *tile]) for name in inputs],
            [helper.make_tensor_value_info(output, kind, [batch, len(weights), *tile])],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        content: bytes = model.SerializeToString()
        return content

    return build


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., ModelSpec]:
    """Writes a bundle and loads it."""

    def make(
        content: bytes = b"",
        *,
        name: str = "toy",
        tile: tuple[int, ...] = (8, 16, 16),
        spacing_mm: tuple[float, ...] = SPACING_MM,
        batch: int = 1,
        activation: str = "softmax",
        tidy: bool = False,
        edit: Callable[[str], str] = str,
    ) -> ModelSpec:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        text = TOML.format(
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            tile=list(tile),
            spacing_mm=list(spacing_mm),
            batch=batch,
            activation=activation,
            post='[[post]]\nstep = "keep_largest"\n[[post]]\nstep = "fill_holes"\n' if tidy else "",
        )
        (folder / "model.toml").write_text(edit(text))
        (folder / "model.onnx").write_bytes(content)
        return load_bundle(folder)

    return make
