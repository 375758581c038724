"""Findings on a series that nobody scanned, for benchmarks of what comes after the network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Provenance, Segmentation, SourceSeries, planes_of
from dicomnode.domain.model import InputSpec, ModelSpec, ModelStatus, Segment, Task, TileSpec, Weights
from dicomnode.domain.uid import ResultUids
from dicomnode.measure import intensity, size

SPACING_MM = (1.0, 0.7, 0.7)

STRUCTURE = Code(value="91723000", scheme="SCT", meaning="Anatomical Structure")
LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
SEGMENTS = tuple(
    Segment(number=number, label=label, category=STRUCTURE, type=LUNG)
    for number, label in enumerate(("Lung right", "Lung left"), start=1)
)

STUDY, SERIES, FRAME = "2.25.1", "2.25.2", "2.25.3"


def found_on(shape: tuple[int, int, int]) -> Findings:
    """Two ellipsoids that reach through most slices of a series of headers."""
    affine = np.zeros((4, 4))
    affine[0, 2], affine[1, 1], affine[2, 0], affine[3, 3] = SPACING_MM[2], SPACING_MM[1], SPACING_MM[0], 1.0
    mask = Segmentation(volume=volume(labels(shape), affine), segments=SEGMENTS)
    pixels = volume(np.full(shape, -800, dtype=np.int16), affine)
    source = SourceSeries(volume=pixels, planes=planes_of([header(index, shape) for index in range(shape[0])]))
    rows = (*size.measure(pixels, mask).measurements, *intensity.measure(pixels, mask, "CT").measurements)
    return Findings(source=source, segmentation=mask, measurements=rows)


def volume(array: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> Volume:
    """An array in the patient."""
    return Volume(array=array, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=FRAME)


def labels(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """The ellipsoids, beside each other along the columns."""
    array: npt.NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
    z, y, x = (axis / count - 0.5 for axis, count in zip(np.indices(shape, sparse=True), shape, strict=True))
    for segment, side in zip(SEGMENTS, (-0.22, 0.22), strict=True):
        array[(z / 0.45) ** 2 + (y / 0.3) ** 2 + ((x - side) / 0.18) ** 2 < 1] = segment.number
    return array


def header(index: int, shape: tuple[int, int, int]) -> Dataset:
    """One CT image without its pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{SERIES}.{index + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, FRAME
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Bench^Mark", "1", "", "O"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20261121", "080000", "1"
    ds.AccessionNumber, ds.ReferringPhysicianName = "", ""
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.BodyPartExamined = "CT", 1, index + 1, "CHEST"
    ds.Manufacturer, ds.PositionReferenceIndicator = "bench", ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = shape[1:]
    ds.PixelSpacing, ds.SliceThickness = list(SPACING_MM[1:]), SPACING_MM[0]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [0, 0, index * SPACING_MM[0]]
    return ds


def provenance() -> Provenance:
    """Of a run of a model that does not exist."""
    model = ModelSpec(
        name="bench",
        version="1.0.0",
        title="Bench",
        status=ModelStatus.DEMO,
        task=Task.SEGMENT,
        manufacturer="bench",
        licence="Apache-2.0",
        folder=Path(),
        weights=(Weights(onnx="model.onnx", sha256="0" * 64),),
        recipe="0" * 64,
        inputs=(InputSpec(name="ct", conditions=()),),
        prepare=(),
        tile=TileSpec(shape=(1, 1, 1), overlap=0.0, batch=1),
        activation="softmax",
        segments=SEGMENTS,
    )
    return Provenance(
        node_version="0",
        station="BENCH",
        rule="bench",
        model=model,
        revision=1,
        run=1,
        started_at=datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    )


def uids() -> ResultUids:
    """Of results on the series."""
    return ResultUids(study_instance_uid=STUDY, rule="bench", input_digest="1", recipe_digest="2", run=1)
