"""Writers of multi-frame and nuclear medicine objects, for the tests of the reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)


def item(**attributes: Any) -> Dataset:
    """A sequence item with these attributes."""
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def blank(sop_class: str, modality: str, frames: np.ndarray[Any, Any]) -> Dataset:
    """A multi-frame object without geometry."""
    ds = item(
        SOPClassUID=sop_class,
        SOPInstanceUID=generate_uid(),
        PatientName="DONT^LOGME",
        PatientID="SECRET-1",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        Modality=modality,
        NumberOfFrames=len(frames),
        Rows=frames.shape[1],
        Columns=frames.shape[2],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=frames.dtype.itemsize * 8,
        BitsStored=frames.dtype.itemsize * 8,
        HighBit=frames.dtype.itemsize * 8 - 1,
        PixelRepresentation=int(frames.dtype.kind == "i"),
        PixelData=frames.tobytes(),
    )
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def fill_in(ds: Dataset) -> None:
    """What a converter to multi-frame objects asks of an image."""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ds.PatientBirthDate = ds.PatientSex = ""
    ds.ReferringPhysicianName = ds.Manufacturer = ds.PositionReferenceIndicator = ds.Laterality = ""
    ds.SeriesNumber, ds.SliceThickness, ds.AcquisitionNumber = 1, 2.0, 1


def as_pet(images: list[Dataset]) -> list[Dataset]:
    """The same images as PET in Bq/ml, each with a slope and an acquisition time of its own."""
    for index, ds in enumerate(images):
        fill_in(ds)
        ds.SOPClassUID, ds.Modality = PositronEmissionTomographyImageStorage, "PT"
        ds.Units, ds.DecayCorrection = "BQML", "START"
        ds.CorrectedImage = ["DECY", "ATTN"]
        ds.SeriesDate = ds.AcquisitionDate = "20261121"
        ds.SeriesTime = "110000"
        ds.AcquisitionTime = f"11{index:02d}00"
        ds.RescaleSlope, ds.RescaleIntercept = 2.0 + index, 0
        ds.PatientWeight = 70
        ds.RadiopharmaceuticalInformationSequence = [
            item(
                RadiopharmaceuticalStartDateTime="20261121100000",
                RadionuclideTotalDose=3.7e8,
                RadionuclideHalfLife=6586.2,
            )
        ]
    return images


#: What a frame of an enhanced object shows: the slice's place in its volume, the volume, and further functional groups.
Shown = tuple[int, Volume, dict[str, Dataset]]


@pytest.fixture
def enhanced() -> Callable[..., Dataset]:
    """Makes an Enhanced MR object of frames in the given order; geometry stands in shared groups where it can."""

    def make(shown: Sequence[Shown], *, shared_geometry: bool = True) -> Dataset:
        first = shown[0][1]
        ds = blank(EnhancedMRImageStorage, "MR", np.stack([volume.array[index] for index, volume, _ in shown]))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        ds.FrameOfReferenceUID = first.frame_of_reference_uid
        shared = Dataset()
        per_frame = []
        for index, volume, groups in shown:
            group = item(PlanePositionSequence=[item(ImagePositionPatient=_position(volume, index))])
            for holder in (group, shared):
                if (holder is shared) == shared_geometry:
                    _place(holder, volume)
            for keyword, content in groups.items():
                setattr(group, keyword, [content])
            per_frame.append(group)
        ds.SharedFunctionalGroupsSequence = [shared]
        ds.PerFrameFunctionalGroupsSequence = per_frame
        return ds

    return make


def _place(holder: Dataset, volume: Volume) -> None:
    unit = volume.affine[:3, :3] / np.array(volume.spacing)
    cosines = [*unit[:, 2].round(8).tolist(), *unit[:, 1].round(8).tolist()]
    holder.PlaneOrientationSequence = [item(ImageOrientationPatient=cosines)]
    holder.PixelMeasuresSequence = [item(PixelSpacing=list(volume.spacing[1:]))]


def _position(volume: Volume, index: int) -> list[float]:
    return [float(value) for value in (volume.affine @ [index, 0, 0, 1])[:3].round(6)]


@pytest.fixture
def tomogram() -> Callable[..., Dataset]:
    """Makes a reconstructed NM object; `sign` -1 sends the volume's last slice first."""

    def make(volumes: Sequence[Volume], *, sign: int = 1, kind: str = "RECON TOMO") -> Dataset:
        first = volumes[0]
        slices = len(first.array)
        order = range(slices)[::sign]
        frames = np.concatenate([volume.array[list(order)] for volume in volumes])
        ds = blank(NuclearMedicineImageStorage, "NM", frames)
        unit = first.affine[:3, :3] / np.array(first.spacing)
        ds.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
        ds.PixelSpacing = list(first.spacing[1:])
        ds.SpacingBetweenSlices = sign * first.spacing[0]
        ds.FrameIncrementPointer = [0x00540080, 0x00540070]
        ds.SliceVector = list(range(1, slices + 1)) * len(volumes)
        if len(volumes) > 1:
            ds.TimeSlotVector = np.repeat(np.arange(1, len(volumes) + 1), slices).tolist()
        place = item(
            ImagePositionPatient=_position(first, order[0]),
            ImageOrientationPatient=[*unit[:, 2].tolist(), *unit[:, 1].tolist()],
        )
        ds.DetectorInformationSequence = [place]
        return ds

    return make
