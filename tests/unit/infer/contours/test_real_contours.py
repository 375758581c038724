"""Contours of real planning systems become the voxels that others made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset, dcmread

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.contours.read import read_contours
from dicomnode.infer.read.volume import read_series

from .drawn import saved, seg, structure_set


def mask_of(drawn: Path, images: SourceSeries, label: str) -> np.ndarray:
    found = read_contours([drawn], images)
    for layer in found.segmentation.layers:
        for segment in layer.segments:
            if segment.label == label:
                return np.asarray(layer.volume.array == segment.number)
    raise AssertionError(f"no {label}")


def nifti(path: Path) -> np.ndarray:
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(bool)


def test_the_ibsi_phantom_has_exactly_its_voxels(real_data: Path) -> None:
    folder = real_data / "ibsi1_ct_phantom"
    images = read_series(sorted((folder / "dicom" / "image").iterdir()))
    mask = mask_of(folder / "dicom" / "mask" / "DCM_RS_00060.dcm", images, "GTV-1")
    assert mask.sum() == 125_256
    assert np.array_equal(mask, nifti(folder / "nifti" / "mask" / "mask.nii.gz"))


@pytest.mark.parametrize("patient", ["STS_002", "STS_005", "STS_010"])
@pytest.mark.parametrize("modality", ["CT", "PET"])
def test_sarcoma_masks_equal_those_of_another_program(patient: str, modality: str, real_data: Path) -> None:
    folder = real_data / "sts_ibsi_validation" / patient / "dicom" / patient / modality
    images = read_series(sorted((folder / "image").iterdir()))
    mask = mask_of(folder / "mask" / "RS.dcm", images, f"GTV_Mass_{modality}")
    assert np.array_equal(mask, nifti(real_data / "sts_corpus" / patient / f"{modality}_mask.nii.gz"))


def test_repeated_contours_of_a_planning_system_leave_no_hole(real_data: Path) -> None:
    folder = real_data / "lung1" / "LUNG1-002_20180526_CT"
    images = read_series(
        [
            path
            for path in sorted(folder.glob("*.dcm"))
            if dcmread(path, specific_tags=["Modality"], stop_before_pixels=True).Modality == "CT"
        ]
    )
    found = read_contours([folder / "1.dcm"], images)
    voxel_ml = float(np.prod(images.volume.spacing)) / 1000
    volumes = {
        one.label: float((layer.volume.array == one.number).sum()) * voxel_ml
        for layer in found.segmentation.layers
        for one in layer.segments
    }
    # 358.5 ml is what README.md of the data states; ROI Volume of the planning system is 358.7.
    assert volumes["GTV-1"] == pytest.approx(358.5, abs=0.05)
    # On five slices the left lung is drawn twice with points that differ; its slices beside those are as large.
    assert volumes["Lung L"] == pytest.approx(1965.4, abs=0.1) and volumes["Lung R"] == pytest.approx(1885.6, abs=0.1)
    assert sum("of type ISOCENTER" in text for text in found.warnings) == 5


@pytest.fixture(scope="module")
def tilted(real_data: Path) -> tuple[list[Dataset], SourceSeries]:
    """A head phantom with a gantry tilt of 18.5°, which is resampled to an upright grid."""
    folder = real_data / "ct_headphantom_philips" / "S21610" / "S2010"
    files = sorted(path for path in folder.iterdir() if path.name != "DIRFILE")
    source = read_series(files)
    by_uid = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, files)}
    datasets: list[Dataset] = [by_uid[str(one.SOPInstanceUID)] for one in source.datasets]
    for ds in datasets:
        ds.PatientName = "HEAD^"  # highdicom warns of a name of one component
    assert source.tilt is not None
    return datasets, source


def test_a_contour_on_tilted_images_comes_back_where_it_was_drawn(
    tilted: tuple[list[Dataset], SourceSeries], tmp_path: Path
) -> None:
    datasets, source = tilted
    image = datasets[20]
    row_mm, column_mm = (float(one) for one in image.PixelSpacing)
    right, down = (np.array(image.ImageOrientationPatient[at : at + 3], dtype=float) for at in (0, 3))
    corners = [(100.5, 200.5), (100.5, 280.5), (160.5, 280.5), (160.5, 200.5)]
    origin = np.array(image.ImagePositionPatient, dtype=float)
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
    points = [origin + row * row_mm * down + column * column_mm * right for row, column in corners]
    item.ContourData = [float(f"{one:.6f}") for one in np.ravel(points)]
    ds = structure_set({"GTV": [item]}, frame=str(image.FrameOfReferenceUID), series=str(image.SeriesInstanceUID))
    ds.PatientID, ds.StudyInstanceUID = image.PatientID, image.StudyInstanceUID
    found = read_contours([saved(ds, tmp_path)], source)
    on_images = source.on_planes(found.segmentation.volume.array)
    (plane,) = np.flatnonzero(on_images.any(axis=(1, 2)))
    assert source.planes[plane].dataset.SOPInstanceUID == image.SOPInstanceUID
    rows, columns = on_images[plane].nonzero()
    # The upright grid lies between the pixels of a tilted plane, at most half a pixel away.
    assert abs(rows.min() - 101) <= 1 and abs(rows.max() - 160) <= 1 and abs(len(np.unique(rows)) - 60) <= 1
    assert (columns.min(), columns.max()) == (201, 280)


def test_a_mask_on_tilted_images_comes_back_pixel_for_pixel(
    tilted: tuple[list[Dataset], SourceSeries], tmp_path: Path
) -> None:
    datasets, source = tilted
    mask = np.zeros((len(datasets), datasets[0].Rows, datasets[0].Columns), np.uint8)
    mask[20:25, 100:160, 200:280] = 1
    made = Segmentation(
        source_images=datasets,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[
            SegmentDescription.from_dataset(seg([np.ones((6, 20, 24), np.uint8)]).SegmentSequence[0])
        ],
        series_instance_uid="1.2.3.6",
        series_number=8,
        sop_instance_uid="1.2.3.6.9",
        instance_number=1,
        manufacturer="viewer",
        manufacturer_model_name="editor",
        software_versions="1",
        device_serial_number="1",
    )
    found = read_contours([saved(made, tmp_path)], source)
    order = {str(plane.dataset.SOPInstanceUID): index for index, plane in enumerate(source.planes)}
    on_images = source.on_planes(found.segmentation.volume.array)
    for ds, drawn in zip(datasets, mask, strict=True):
        assert np.array_equal(on_images[order[str(ds.SOPInstanceUID)]], drawn)
    assert not found.warnings
