"""Source headers made fit for encoding results on their grid."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import SourceSeries
from dicomnode.report.identity import fit, guard_study, only

#: How far direction cosines of one stack may differ from their median; scanners round them to six digits.
_ORIENTATION_TOLERANCE = 1e-4

#: Slice gaps within this fraction of their median count as one spacing.
_SPACING_TOLERANCE = 0.01

#: Characters that a decimal string may have (PS3.5 Table 6.2-1); some writers give more digits.
_DS_LENGTH = 16

#: Attributes of later slices that results refer to; all others are taken from the first slice or not at all.
_PER_SLICE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "ImageType",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "Rows",
    "Columns",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)

#: Attributes of the patient, study and series, which the guard has found equal or which may be told once.
_SHARED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)


_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


def normalised(source: SourceSeries) -> tuple[Dataset, ...]:
    """Copies of the source headers that highdicom encodes without crashing and without copying their defects.

    The first is complete but for private attributes and bulk; the others hold what results refer to. Orientation is
    the median of the slices, SpacingBetweenSlices the median gap of their positions (absent where the gaps
    differ), a missing SliceThickness that gap.

    Raises
    ------
    EncodingError
        For several patients, studies, series or frames of reference, no frame of reference, slices that are not
        parallel or have no position, or several slices in one instance.
    """
    datasets = source.datasets
    _guard_series(datasets)
    first = fit(datasets[0])
    series = f"series {first.SeriesInstanceUID}"
    orientation = _orientation(datasets, series)
    step_mm, regular = _step_mm(datasets, orientation, series)
    copies = [first, *(_light(ds, first) for ds in datasets[1:])]
    lossy = next((ds for ds in datasets if ds.get("LossyImageCompression") == "01"), None)
    for keyword in _LOSSY if lossy is not None else ():
        if lossy is not None and keyword in lossy:
            # Once lossy, always lossy (PS3.3 C.7.6.1.1.5), also where the first slice is not.
            first[keyword] = copy(lossy[keyword])
    for ds in copies:
        ds.ImageOrientationPatient = [f"{cosine:.10g}" for cosine in orientation]
        for keyword in ("ImagePositionPatient", "PixelSpacing"):
            numbers = ds.get(keyword) or ()
            if any(len(str(number)) > _DS_LENGTH for number in numbers):
                setattr(ds, keyword, [f"{float(number):.10g}" for number in numbers])
        if not ds.get("SliceThickness") or float(ds.SliceThickness) <= 0:
            ds.SliceThickness = f"{step_mm:.8g}" if step_mm else "1"
        if regular:
            ds.SpacingBetweenSlices = f"{step_mm:.8g}"
        elif "SpacingBetweenSlices" in ds:
            del ds.SpacingBetweenSlices
    return tuple(copies)


def _guard_series(datasets: Sequence[Dataset]) -> None:
    guard_study(datasets)
    for keyword, what in (("SeriesInstanceUID", "series"), ("FrameOfReferenceUID", "frames of reference")):
        if not only(datasets, keyword, what):
            raise EncodingError(f"source of {len(datasets)} headers: found no {keyword}, needed one")
    instances = {str(ds.get("SOPInstanceUID", "")) for ds in datasets}
    if len(instances) != len(datasets):
        raise EncodingError(
            f"series {datasets[0].SeriesInstanceUID}: found {len(instances)} instances for {len(datasets)} slices, "
            "needed one each"
        )


def _light(dataset: Dataset, first: Dataset) -> Dataset:
    kept = Dataset()
    for keyword in _SHARED:
        if keyword in first:
            kept.add(copy(first[keyword]))
    for keyword in _PER_SLICE:
        if keyword in dataset:
            kept.add(copy(dataset[keyword]))
    return kept


def _orientation(datasets: Sequence[Dataset], series: str) -> NDArray[np.float64]:
    cosines = _numbers(datasets, "ImageOrientationPatient", 6, series)
    middle = np.median(cosines, axis=0)
    worst = float(np.abs(cosines - middle).max())
    if worst > _ORIENTATION_TOLERANCE:
        raise EncodingError(
            f"{series}: found slice orientations {worst:.2g} apart, needed at most {_ORIENTATION_TOLERANCE}"
        )
    return np.asarray(middle)


def _step_mm(datasets: Sequence[Dataset], orientation: NDArray[np.float64], series: str) -> tuple[float, bool]:
    """Median distance of neighbouring slices along the normal, and whether all have it."""
    positions = _numbers(datasets, "ImagePositionPatient", 3, series)
    if len(positions) < 2:
        return 0.0, False
    normal = np.cross(orientation[:3], orientation[3:])
    gaps = np.abs(np.diff(np.sort(positions @ normal)))
    step = float(np.median(gaps))
    return step, bool(step > 0 and np.abs(gaps - step).max() <= _SPACING_TOLERANCE * step)


def _numbers(datasets: Sequence[Dataset], keyword: str, length: int, series: str) -> NDArray[np.float64]:
    """Shape (slice, `length`)."""
    rows: list[list[float]] = []
    for ds in datasets:
        value: Any = ds.get(keyword)
        if value is None or isinstance(value, str) or len(value) != length:
            raise EncodingError(f"{series}: found a slice without usable {keyword}, needed {length} numbers")
        rows.append([float(number) for number in value])
    return np.array(rows)
