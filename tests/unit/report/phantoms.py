"""The phantom series as multi-frame objects, and with a tilted gantry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from highdicom import Volume
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    NuclearMedicineImageStorage,
)

from dicomnode.domain.finding import Findings, Plane, SourceSeries, Tilt, planes_of
from dicomnode.domain.finding import Segmentation as Mask

from .conftest import (
    COLUMN_MM,
    FRAME_OF_REFERENCE,
    ORIENTATIONS,
    ROW_MM,
    SEGMENTS,
    SERIES,
    SHAPE,
    SLICE_MM,
    findings_in,
    header,
    labels,
    measurements,
)

#: The tilted stack is displaced by so many rows from one plane to the next.
ROWS_PER_PLANE = 0.6


def _groups(ds: Dataset) -> dict[str, Dataset]:
    measures, orientation, place = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ds.PixelSpacing, ds.SliceThickness
    orientation.ImageOrientationPatient = ds.ImageOrientationPatient
    place.ImagePositionPatient = ds.ImagePositionPatient
    return {
        "PixelMeasuresSequence": measures,
        "PlaneOrientationSequence": orientation,
        "PlanePositionSequence": place,
    }


def multi_frame(headers: Sequence[Dataset], number: int, sop_class: str, *, shared: bool = True) -> Dataset:
    """One enhanced object with a frame per header, in their order."""
    first = headers[0]
    ds = Dataset()
    for keyword in (
        "SpecificCharacterSet",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "StudyDescription",
        "SeriesNumber",
        "Modality",
        "BodyPartExamined",
        "PositionReferenceIndicator",
        "Rows",
        "Columns",
    ):
        setattr(ds, keyword, first[keyword].value)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{SERIES}.{1000 + number}"
    ds.Modality = "MR" if sop_class == EnhancedMRImageStorage else "CT"
    ds.InstanceNumber, ds.NumberOfFrames = number, len(headers)
    common, frames = Dataset(), []
    for source in headers:
        frame = Dataset()
        for keyword, item in _groups(source).items():
            setattr(frame if keyword == "PlanePositionSequence" or not shared else common, keyword, Items([item]))
        frames.append(frame)
    ds.SharedFunctionalGroupsSequence = Items([common])
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    return ds


def on_frames(findings: Findings, datasets: Sequence[Dataset], places: Sequence[tuple[int, int]]) -> Findings:
    """The same findings whose plane i is frame `places[i][1]` of `datasets[places[i][0]]`."""
    planes = tuple(
        Plane(dataset=datasets[which], frame_number=frame, position_mm=plane.position_mm)
        for plane, (which, frame) in zip(findings.source.planes, places, strict=True)
    )
    return replace(findings, source=replace(findings.source, planes=planes))


def enhanced(orientation: str = "oblique", *, shared: bool = True) -> Findings:
    """One Enhanced MR object whose frames stand in reverse order."""
    findings = findings_in(orientation)
    headers = findings.source.datasets[::-1]
    ds = multi_frame(headers, 1, EnhancedMRImageStorage, shared=shared)
    count = len(headers)
    return on_frames(findings, [ds], [(0, count - index) for index in range(count)])


def part_of_enhanced() -> Findings:
    """A stack that is every second frame of one Enhanced CT object, as one of two interleaved time points is."""
    findings = findings_in("reversed")
    ds = multi_frame([ds for ds in findings.source.datasets for _ in range(2)], 1, EnhancedCTImageStorage)
    return on_frames(findings, [ds], [(0, 2 * index + 2) for index in range(SHAPE[0])])


def two_enhanced() -> Findings:
    """A stack over two Enhanced CT objects of one series, interleaved."""
    findings = findings_in("sagittal")
    headers = findings.source.datasets
    parts = [multi_frame(headers[offset::2], offset + 1, EnhancedCTImageStorage) for offset in range(2)]
    return on_frames(findings, parts, [(index % 2, index // 2 + 1) for index in range(len(headers))])


def legacy_converted() -> Findings:
    """The axial CT as highdicom converts it."""
    findings = findings_in("axial")
    for ds in findings.source.datasets:
        ds.PixelData = np.zeros(SHAPE[1:], dtype=np.int16).tobytes()
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 1, 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        ds.RescaleSlope, ds.RescaleIntercept, ds.SeriesDescription = 1, 0, "Thorax"
        ds.AcquisitionNumber, ds.PatientPosition, ds.PatientOrientation = 1, "HFS", ["L", "P"]
        ds.BurnedInAnnotation, ds.RescaleType, ds.Laterality = "NO", "HU", ""
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    converted = LegacyConvertedEnhancedCTImage(
        legacy_datasets=findings.source.datasets,
        series_instance_uid=SERIES,
        series_number=3,
        sop_instance_uid=f"{SERIES}.1001",
        instance_number=1,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    del converted.PixelData
    found = [
        frame.PlanePositionSequence[0].ImagePositionPatient for frame in converted.PerFrameFunctionalGroupsSequence
    ]
    numbers = {tuple(float(value) for value in place): number for number, place in enumerate(found, start=1)}
    places = [(0, numbers[plane.position_mm]) for plane in findings.source.planes]
    return on_frames(findings, [converted], places)


def nuclear() -> Findings:
    """A tomographic Nuclear Medicine object: no functional groups, the orientation with the detector."""
    findings = findings_in("reversed")
    ds = multi_frame(findings.source.datasets, 1, NuclearMedicineImageStorage)
    first = findings.source.datasets[0]
    detector = Dataset()
    detector.ImageOrientationPatient = first.ImageOrientationPatient
    detector.ImagePositionPatient = first.ImagePositionPatient
    del ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence
    ds.Modality, ds.DetectorInformationSequence = "NM", Items([detector])
    ds.PixelSpacing, ds.SliceThickness = first.PixelSpacing, first.SliceThickness
    return on_frames(findings, [ds], [(0, index + 1) for index in range(SHAPE[0])])


def tilted(*, as_frames: bool = False) -> Findings:
    """An axial CT with a tilted gantry, resampled to an upright volume with more rows than the images."""
    row, column, _ = ORIENTATIONS["axial"]
    starts = tuple((ROWS_PER_PLANE * (SHAPE[0] - 1 - index), 0.0) for index in range(SHAPE[0]))
    further = int(np.ceil(starts[0][0]))
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[2, 0], affine[1, 1], affine[0, 2] = SLICE_MM, ROW_MM, COLUMN_MM
    affine[:3, 3] = (-30.0, 12.5, 41.25)
    array = np.zeros((SHAPE[0], SHAPE[1] + further, SHAPE[2]), dtype=np.uint8)
    array[:, 4 : 4 + SHAPE[1]] = labels()

    def volume(values: np.ndarray) -> Volume:
        return Volume(
            array=values, affine=affine, coordinate_system="PATIENT", frame_of_reference_uid=FRAME_OF_REFERENCE
        )

    headers = tuple(
        header(index, (affine @ (index, *start, 1.0))[:3], row, column) for index, start in enumerate(starts)
    )
    source = SourceSeries(
        volume=volume(np.zeros(array.shape, dtype=np.int16)),
        planes=planes_of(headers),
        tilt=Tilt(
            degrees=float(np.rad2deg(np.arctan(ROWS_PER_PLANE * ROW_MM / SLICE_MM))), shape=SHAPE[1:], starts=starts
        ),
    )
    mask = Mask(volume=volume(array), segments=SEGMENTS)
    findings = Findings(source=source, segmentation=mask, measurements=measurements(mask))
    if not as_frames:
        return findings
    ds = multi_frame(headers, 1, EnhancedCTImageStorage)
    return on_frames(findings, [ds], [(0, index + 1) for index in range(SHAPE[0])])


#: Every way in which a source may be more than a list of upright single-frame slices.
SOURCES: dict[str, Callable[[], Findings]] = {
    "enhanced MR": enhanced,
    "enhanced MR, all groups per frame": lambda: enhanced("axial", shared=False),
    "part of an enhanced CT": part_of_enhanced,
    "two enhanced CT": two_enhanced,
    "legacy converted CT": legacy_converted,
    "tomographic NM": nuclear,
    "tilted CT": tilted,
    "tilted enhanced CT": lambda: tilted(as_frames=True),
}
