"""Phantom series with masks in several orientations, and what a run over them would know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.domain.code import Code
from dicomnode.domain.finding import FeatureSet, Findings, Measurement, PriorReport, Provenance, SourceSeries, planes_of
from dicomnode.domain.finding import Segmentation as Mask
from dicomnode.domain.model import InputSpec, ModelSpec, ModelStatus, Segment, Step, Task, TileSpec, Weights
from dicomnode.domain.uid import ResultUids

STUDY, SERIES, FRAME_OF_REFERENCE = "1.2.826.0.1.99.1", "1.2.826.0.1.99.1.1", "1.2.826.0.1.99.1.2"
SHAPE = (12, 21, 26)
ROW_MM, COLUMN_MM, SLICE_MM = 0.75, 0.5, 2.5

STRUCTURE = Code(value="91723000", scheme="SCT", meaning="Anatomical Structure")
LESION = Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure")
LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
NODULE = Code(value="27925004", scheme="SCT", meaning="Nodule")
RIGHT = Code(value="24028007", scheme="SCT", meaning="Right")
LEFT = Code(value="7771000", scheme="SCT", meaning="Left")

SEGMENTS = (
    Segment(number=1, label="Lung right", category=STRUCTURE, type=LUNG, laterality=RIGHT, color_rgb=(197, 165, 145)),
    Segment(number=2, label="Lung left", category=STRUCTURE, type=LUNG, laterality=LEFT, color_rgb=(150, 120, 100)),
    Segment(number=5, label="Nodule", category=LESION, type=NODULE, anatomic_region=LUNG, radiomics=True),
)

#: Direction cosines of rows and columns of the image plane, (row direction, column direction, slice direction).
COS, SIN = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
ORIENTATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "reversed": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (-1, 0, 0)),
    "oblique": ((float(COS), float(SIN), 0), (0, 0, -1), (float(-SIN), float(COS), 0)),
}


def header(index: int, position: NDArray[np.float64], row: tuple[float, ...], column: tuple[float, ...]) -> Dataset:
    """A CT header as a scanner writes it."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{SERIES}.{index + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, FRAME_OF_REFERENCE
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = "Müller^Jörg", "P-1", "Hospital"
    ds.PatientBirthDate, ds.PatientSex = "19600102", "M"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260101", "101500", "S1"
    ds.AccessionNumber, ds.ReferringPhysicianName = "A-17", "Doe^Jane"
    ds.StudyDescription, ds.SeriesNumber, ds.Modality = "Thorax", 3, "CT"
    ds.Manufacturer, ds.ManufacturerModelName, ds.BodyPartExamined = "Scanner Inc.", "Scan 1", "CHEST"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber, ds.PositionReferenceIndicator = index + 1, ""
    ds.Rows, ds.Columns = SHAPE[1:]
    ds.PixelSpacing, ds.SliceThickness = [ROW_MM, COLUMN_MM], SLICE_MM
    ds.ImageOrientationPatient = [f"{cosine:.10g}" for cosine in (*row, *column)]
    ds.ImagePositionPatient = [f"{coordinate:.8g}" for coordinate in position]
    return ds


def labels() -> NDArray[np.uint8]:
    """Two ellipsoids and a small box, with no symmetry between them; shape `SHAPE`."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[((z - 5) / 3.4) ** 2 + ((y - 9) / 6) ** 2 + ((x - 6) / 4) ** 2 < 1] = 1
    array[((z - 6) / 4.4) ** 2 + ((y - 11) / 7) ** 2 + ((x - 18) / 5) ** 2 < 1] = 2
    array[4:6, 8:11, 5:7] = 5
    return array


def findings_in(name: str, array: NDArray[np.uint8] | None = None) -> Findings:
    """Findings on a phantom series of one of `ORIENTATIONS`."""
    row, column, slices = (np.array(direction, dtype=float) for direction in ORIENTATIONS[name])
    origin = np.array([-30.0, 12.5, 41.25])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = (
        slices * SLICE_MM,
        column * ROW_MM,
        row * COLUMN_MM,
        origin,
    )
    directions = ORIENTATIONS[name]
    datasets = tuple(
        header(index, origin + index * slices * SLICE_MM, directions[0], directions[1]) for index in range(SHAPE[0])
    )
    rng = np.random.default_rng(7)

    def volume(values: NDArray[np.generic]) -> Volume:
        return Volume(
            array=values, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=FRAME_OF_REFERENCE
        )

    mask = Mask(volume=volume(labels() if array is None else array), segments=SEGMENTS)
    source = SourceSeries(volume=volume(rng.integers(-900, 100, SHAPE).astype(np.int16)), planes=planes_of(datasets))
    return Findings(source=source, segmentation=mask, measurements=measurements(mask), features=features(mask))


def measurements(mask: Mask) -> tuple[Measurement, ...]:
    unit = Code(value="cm3", scheme="UCUM", meaning="cubic centimeter")
    found = []
    for segment in mask.segments:
        voxels = np.count_nonzero(mask.volume.array == segment.number)
        if voxels:
            found += [
                Measurement(
                    segment_number=segment.number,
                    name=Code(value="118565006", scheme="SCT", meaning="Volume"),
                    value=voxels / 3,
                    unit=unit,
                    method=Code(value="126030", scheme="DCM", meaning="Sum of segmented voxel method for volume"),
                ),
                Measurement(
                    segment_number=segment.number,
                    name=Code(value="RNU0", scheme="IBSI", meaning="Volume of Mesh"),
                    value=voxels / 3.1,
                    unit=unit,
                ),
                Measurement(
                    segment_number=segment.number,
                    name=Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient"),
                    value=-812.25,
                    unit=Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit"),
                    derivation=Code(value="373098007", scheme="SCT", meaning="Mean"),
                ),
            ]
    return tuple(found)


def features(mask: Mask) -> tuple[FeatureSet, ...]:
    if not (mask.volume.array == 5).any():
        return ()
    names = (("TLU2", "Intensity Histogram Entropy", "bit"), ("ACUI", "Contrast of GLCM", "1"))
    return (
        FeatureSet(
            segment_number=5,
            measurements=tuple(
                Measurement(
                    segment_number=5,
                    name=Code(value=code, scheme="IBSI", meaning=meaning),
                    value=1.23456789012345678,
                    unit=Code(value=unit, scheme="UCUM", meaning=unit),
                )
                for code, meaning, unit in names
            ),
            software="pyradiomics 3.0.1",
            settings='{"settings": {"binWidth": 25}}',
        ),
    )


def model() -> ModelSpec:
    return ModelSpec(
        name="chest-ct",
        version="1.0.0",
        title="Chest CT segmentation",
        status=ModelStatus.DEMO,
        task=Task.SEGMENT,
        manufacturer="dicomnode project",
        licence="Apache-2.0",
        folder=Path("models/chest-ct"),
        weights=(Weights(onnx="model.onnx", sha256="ab" * 32),),
        recipe="cd" * 32,
        inputs=(InputSpec(name="ct", conditions=()),),
        prepare=(Step(name="clip", options={"range": (-1000.0, 400.0)}),),
        tile=TileSpec(shape=(64, 64, 64), overlap=0.5, batch=1),
        activation="softmax",
        segments=SEGMENTS,
    )


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        node_version="0.1.0",
        station="DICOMNODE",
        rule="chest",
        model=model(),
        revision=1,
        run=1,
        started_at=datetime(2026, 1, 1, 10, 30, 15, 250_000, tzinfo=UTC),
    )


@pytest.fixture
def replacing(provenance: Provenance) -> Provenance:
    """Provenance of a run that replaces an earlier report."""
    prior = PriorReport(
        study_instance_uid=STUDY,
        series_instance_uid="2.25.11",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid="2.25.12",
    )
    return replace(provenance, revision=2, predecessor=prior)


@pytest.fixture
def uids() -> ResultUids:
    return ResultUids(study_instance_uid=STUDY, rule="chest", input_digest="1" * 64, recipe_digest="2" * 64, run=1)


@pytest.fixture(params=list(ORIENTATIONS))
def any_findings(request: pytest.FixtureRequest) -> Findings:
    """The phantom in each orientation."""
    return findings_in(request.param)


@pytest.fixture
def findings() -> Findings:
    return findings_in("axial")


@pytest.fixture
def empty_findings() -> Findings:
    return findings_in("axial", np.zeros(SHAPE, dtype=np.uint8))


def with_headers(findings: Findings, change: Callable[[int, Dataset], None]) -> Findings:
    """The same findings with every source header changed in place by `change(index, header)`."""
    for index, ds in enumerate(findings.source.datasets):
        change(index, ds)
    return findings
