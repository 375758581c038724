"""Single-frame CT, MR and PET series, and what goes wrong with them on the way: order, duplicates, mixtures."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from copy import deepcopy

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from tests.series.header import Place, apply, code, decimal, decimals, name, new_object, pixels, uid
from tests.series.scan import Scan

#: Dose, weight and times of `pet`: SUV by body weight is the activity concentration times weight over decayed dose.
PET_DOSE_BQ = 350e6
PET_WEIGHT_KG = 70.0
PET_HALF_LIFE_SECONDS = 6586.2
PET_DELAY_SECONDS = 3600.0


def ct(scan: Scan, place: Place) -> list[Dataset]:
    """CT Image Storage (PS3.3 A.3); HU are stored with an intercept of -1024."""
    made = []
    for index, values in enumerate(scan.values):
        ds = _slice(scan, place, index, CTImageStorage, "CT")
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.KVP, ds.ConvolutionKernel, ds.XRayTubeCurrent, ds.ExposureTime = "120", "STANDARD", "200", "500"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
        pixels(ds, (values.astype(np.int32) + 1024).astype(np.uint16))
        made.append(apply(ds, place.more))
    return made


def mr(scan: Scan, place: Place, *, echo_time_ms: float = 10.0, echo_number: int = 1) -> list[Dataset]:
    """MR Image Storage (PS3.3 A.4)."""
    made = []
    for index, values in enumerate(scan.values):
        ds = _slice(scan, place, index, MRImageStorage, "MR")
        name(ds, uid(place.study, place.series, "echo", echo_number, index))
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "NONE", "", "2D"
        ds.EchoTime, ds.EchoNumbers, ds.EchoTrainLength = decimal(echo_time_ms), echo_number, 1
        ds.RepetitionTime, ds.MagneticFieldStrength = "500", "1.5"
        ds.WindowCenter, ds.WindowWidth = "400", "800"
        pixels(ds, values)
        made.append(apply(ds, place.more))
    return made


def pet(scan: Scan, place: Place, *, becquerel_per_ml: float = 1.0) -> list[Dataset]:
    """Positron Emission Tomography Image Storage (PS3.3 A.21) in Bq/ml, decay corrected to the start of the scan."""
    made = []
    for index, values in enumerate(scan.values):
        ds = _slice(scan, place, index, PositronEmissionTomographyImageStorage, "PT")
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.Units, ds.CountsSource, ds.SeriesType = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"]
        ds.CorrectedImage, ds.DecayCorrection, ds.CollimatorType = ["DECY", "ATTN", "SCAT"], "START", "NONE"
        ds.NumberOfSlices, ds.ImageIndex = len(scan.values), index + 1
        ds.FrameReferenceTime, ds.ActualFrameDuration, ds.DecayFactor = "0", "120000", "1"
        ds.PatientWeight = decimal(PET_WEIGHT_KG)
        dose = Dataset()
        dose.Radiopharmaceutical = "Fluorodeoxyglucose"
        dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = decimal(PET_DOSE_BQ), decimal(PET_HALF_LIFE_SECONDS)
        # The series begins at 10:15:00, an hour (`PET_DELAY_SECONDS`) after the injection.
        dose.RadiopharmaceuticalStartTime = "091500"
        dose.RadiopharmaceuticalStartDateTime = f"{ds.SeriesDate}091500"
        dose.RadionuclideCodeSequence = [code("C-111A1", "SRT", "^18^Fluorine")]
        ds.RadiopharmaceuticalInformationSequence = [dose]
        ds.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
        ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
            code("40199007", "SCT", "supine")
        ]
        ds.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
        del ds.PatientPosition  # the code sequences take its place
        ds.RescaleIntercept, ds.RescaleSlope = "0", decimal(becquerel_per_ml)
        pixels(ds, values)
        made.append(apply(ds, place.more))
    return made


def suv_of(becquerel_per_ml: float) -> float:
    """SUV by body weight that a value of `pet` stands for, in g/ml."""
    left = PET_DOSE_BQ * 2 ** (-PET_DELAY_SECONDS / PET_HALF_LIFE_SECONDS)
    return becquerel_per_ml * PET_WEIGHT_KG * 1000 / left


def shuffled(datasets: Sequence[Dataset], seed: int) -> list[Dataset]:
    """The same images in another order, with Instance Numbers that say nothing about their places."""
    rng = random.Random(seed)
    numbers = rng.sample(range(1, len(datasets) + 1), len(datasets))
    made = [apply(deepcopy(ds), {"InstanceNumber": number}) for ds, number in zip(datasets, numbers, strict=True)]
    rng.shuffle(made)
    return made


def duplicated(datasets: Sequence[Dataset], indices: Iterable[int]) -> list[Dataset]:
    """The images, with some of them once more under other SOP Instance UIDs."""
    again = []
    for index in indices:
        ds = deepcopy(datasets[index])
        name(ds, uid(ds.SOPInstanceUID, "again"))
        again.append(ds)
    return [*datasets, *again]


def localizer(scan: Scan, place: Place, index: int = 0) -> Dataset:
    """A scout view that came into the series of `place`: the first slice of a scan that lies across the others."""
    ds = ct(scan, place)[index]
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    name(ds, uid(place.study, place.series, "localizer", index))
    ds.InstanceNumber = 1000 + index
    return ds


def _slice(scan: Scan, place: Place, index: int, sop_class_uid: str, modality: str) -> Dataset:
    ds = new_object(place, sop_class_uid, modality, index)
    ds.BodyPartExamined, ds.InstanceNumber = "CHEST", index + 1
    ds.ImagePositionPatient = decimals(scan.position_mm(index))
    ds.ImageOrientationPatient = decimals(scan.cosines)
    ds.PixelSpacing = decimals(scan.pixel_spacing_mm)
    ds.SliceThickness = decimal(scan.spacing_mm)
    return ds
