"""A small CT, as a series that was read, and what people draw on it: structure sets and SEGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import AlgorithmIdentificationSequence, Volume
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage

from dicomnode.domain.finding import SourceSeries, planes_of

STUDY, SERIES, FRAME = "1.2.3", "1.2.3.4", "1.2.3.9"
SLICES, ROWS, COLUMNS = 6, 20, 24
SLICE_MM, ROW_MM, COLUMN_MM = 3.0, 1.5, 2.0

#: Directions of rows and columns: upright, sagittal, and turned about two axes.
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)

Square = tuple[int, float, float, float, float]


def slices(cosines: Sequence[float] = AXIAL) -> list[Dataset]:
    """Headers and pixels of the CT."""
    made = []
    normal = np.cross(cosines[:3], cosines[3:])
    for index in range(SLICES):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{SERIES}.{index + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = STUDY, SERIES, FRAME
        ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientBirthDate = "DONT^LOGME", "P1", "O", ""
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20261120", "101500", "1", "A1"
        ds.ReferringPhysicianName, ds.Modality, ds.Manufacturer = "", "CT", "tests"
        ds.SeriesNumber, ds.InstanceNumber, ds.ImageType = 1, index + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.KVP, ds.AcquisitionNumber, ds.SliceThickness = 120, 1, SLICE_MM
        ds.ImageOrientationPatient = list(cosines)
        ds.ImagePositionPatient = [float(one) for one in np.array([10.0, -20.0, 30.0]) + index * SLICE_MM * normal]
        ds.PixelSpacing, ds.Rows, ds.Columns, ds.PositionReferenceIndicator = [ROW_MM, COLUMN_MM], ROWS, COLUMNS, ""
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.RescaleIntercept, ds.RescaleSlope = 16, 16, 15, 0, 1
        ds.PixelData = np.full((ROWS, COLUMNS), 40, np.int16).tobytes()
        made.append(ds)
    return made


def source(cosines: Sequence[float] = AXIAL) -> SourceSeries:
    """The CT as it is read."""
    datasets = slices(cosines)
    affine = np.eye(4)
    affine[:3, 0] = np.cross(cosines[:3], cosines[3:]) * SLICE_MM
    affine[:3, 1] = np.array(cosines[3:]) * ROW_MM
    affine[:3, 2] = np.array(cosines[:3]) * COLUMN_MM
    affine[:3, 3] = [10.0, -20.0, 30.0]
    array = np.full((SLICES, ROWS, COLUMNS), 40, np.int16)
    volume = Volume(array, affine, coordinate_system="PATIENT", frame_of_reference_uid=FRAME)
    return SourceSeries(volume=volume, planes=planes_of(datasets), unit="[hnsf'U]")


def points(images: SourceSeries, corners: Sequence[tuple[float, float, float]]) -> npt.NDArray[np.float64]:
    """Voxels (slice, row, column) in mm."""
    affine = np.asarray(images.volume.affine)
    places: npt.NDArray[np.float64] = np.array(corners, dtype=float) @ affine[:3, :3].T + affine[:3, 3]
    return places


def square(depth: float, top: float, left: float, bottom: float, right: float) -> list[tuple[float, float, float]]:
    """A rectangle with its corners at these places in voxels."""
    return [(depth, top, left), (depth, top, right), (depth, bottom, right), (depth, bottom, left)]


def contour(
    images: SourceSeries, corners: Sequence[tuple[float, float, float]], kind: str = "CLOSED_PLANAR"
) -> Dataset:
    """An item of the Contour Sequence that names no image."""
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(corners)
    item.ContourData = [float(f"{one:.6f}") for one in points(images, corners).ravel()]
    return item


def naming(item: Dataset, image: str) -> Dataset:
    """The same contour, naming an image."""
    named = Dataset()
    named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID = CTImageStorage, image
    item.ContourImageSequence = [named]
    return item


def structure_set(rois: Mapping[str, Sequence[Dataset]], *, frame: str = FRAME, series: str = SERIES) -> Dataset:
    """An RT Structure Set of another device."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = RTStructureSetStorage, f"{STUDY}.5.1", "RTSTRUCT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.5"
    ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientBirthDate = "DONT^LOGME", "P1", "O", ""
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20261120", "101500", "1", "A1"
    ds.ReferringPhysicianName, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "", "planning", 7, 1
    ds.StructureSetLabel, ds.StructureSetDate, ds.StructureSetTime = "plan", "20261121", "090000"
    ds.OperatorsName = "Draws^Anna"
    images = Dataset()
    images.SeriesInstanceUID, images.ContourImageSequence = series, []
    study = Dataset()
    study.RTReferencedSeriesSequence = [images]
    place = Dataset()
    place.FrameOfReferenceUID, place.RTReferencedStudySequence = frame, [study]
    ds.ReferencedFrameOfReferenceSequence = [place]
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame
        roi.ROIGenerationAlgorithm = "MANUAL"
        drawn.ReferencedROINumber, drawn.ContourSequence = number, list(contours)
        observed.ObservationNumber, observed.ReferencedROINumber, observed.RTROIInterpretedType = number, number, ""
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(drawn)
        ds.RTROIObservationsSequence.append(observed)
    return ds


def seg(
    masks: Sequence[npt.NDArray[Any]], *, kind: str = "BINARY", cosines: Sequence[float] = AXIAL, uid: str = "1.2.3.6.1"
) -> Dataset:
    """A SEG that a person made, one mask after the other as segments 1, 2 …, by highdicom."""
    algorithm = AlgorithmIdentificationSequence(name="pen", family=codes.DCM.ArtificialIntelligence, version="1")
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=f"Lesion {number}",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type="SEMIAUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=f"1.2.3.77.{number}",
            tracking_id=f"lesion {number}",
        )
        for number in range(1, len(masks) + 1)
    ]
    return Segmentation(
        source_images=slices(cosines),
        pixel_array=np.stack(masks, axis=-1),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid="1.2.3.6",
        series_number=8,
        sop_instance_uid=uid,
        instance_number=1,
        manufacturer="viewer",
        manufacturer_model_name="editor",
        software_versions="1",
        device_serial_number="1",
        content_creator_name="Corrects^Berta",
        content_label="CORRECTED",
    )


def saved(dataset: Dataset, folder: Path, name: str = "drawn.dcm") -> Path:
    """An object as a file."""
    path = folder / name
    dataset.save_as(path, enforce_file_format=True)
    return path
