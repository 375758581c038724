"""Source headers made fit for encoding results on their grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Plane, SourceSeries
from dicomnode.report.frames import attribute, position
from dicomnode.report.identity import fit, guard_study, only

#: How far direction cosines of one stack may differ from their median; scanners round them to six digits.
_ORIENTATION_TOLERANCE = 1e-4

#: Slice gaps within this fraction of their median count as one spacing.
_SPACING_TOLERANCE = 0.01

#: Characters that a decimal string may have (PS3.5 Table 6.2-1); some writers give more digits.
_DS_LENGTH = 16

#: Attributes of later planes that results refer to; all others are taken from the first plane or not at all.
_PER_PLANE = tuple(Tag(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns"))

#: Attributes of the patient, study and series, which the guard has found equal or which may be told once.
_SHARED = tuple(
    Tag(keyword)
    for keyword in (
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
)


_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")

#: Elements of a data set by tag, as its constructor takes them.
_Elements = dict[BaseTag, DataElement | RawDataElement]

_POSITION, _ORIENTATION, _SPACING, _THICKNESS, _BETWEEN = (
    Tag(keyword)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "SpacingBetweenSlices",
    )
)


def normalised(source: SourceSeries, wanted: Sequence[int] | None = None) -> tuple[Dataset, ...]:
    """Headers of planes that highdicom encodes without crashing and without copying the source's defects.

    All have the form of single-frame headers, with the geometry at the top level, also those of the frames of a
    multi-frame object, whose SOP class and instance UID they then share. That of the first plane is complete but for
    private attributes, functional groups and bulk; the others hold what results refer to. Orientation is the median
    of the planes, SpacingBetweenSlices the median gap of their positions along the normal (absent where the gaps
    differ), a missing SliceThickness that gap. Values are shared between the headers and with the source, so a
    caller replaces elements and changes none.

    Parameters
    ----------
    wanted
        Indices of the planes; all by default. The stack is examined as a whole in any case.

    Raises
    ------
    EncodingError
        For several patients, studies, series or frames of reference, no frame of reference, planes that are not
        parallel or have no position, or several planes without frame numbers in one instance.
    """
    datasets, planes = source.datasets, source.planes
    _guard_series(datasets, planes)
    first = fit(datasets[0])
    series = f"series {first.SeriesInstanceUID}"
    orientations = [attribute(plane, "ImageOrientationPatient") for plane in _distinct(planes)]
    orientation = _orientation(_numbers(orientations, "ImageOrientationPatient", 6, series), series)
    positions = _numbers([position(plane) for plane in planes], "ImagePositionPatient", 3, series)
    step_mm, regular = _step_mm(positions, orientation)
    lossy = next((ds for ds in datasets if ds.get("LossyImageCompression") == "01"), None)
    for keyword in _LOSSY if lossy is not None else ():
        if lossy is not None and keyword in lossy:
            # Once lossy, always lossy (PS3.3 C.7.6.1.1.5), also where the first slice is not.
            first[keyword] = lossy[keyword]
    stack: _Elements = {_ORIENTATION: DataElement(_ORIENTATION, "DS", [f"{cosine:.10g}" for cosine in orientation])}
    if regular:
        stack[_BETWEEN] = DataElement(_BETWEEN, "DS", f"{step_mm:.8g}")
    elif _BETWEEN in first:
        del first[_BETWEEN]
    told: _Elements = {**{tag: first[tag] for tag in _SHARED if tag in first}, **stack}
    usual_mm = f"{step_mm:.8g}" if step_mm else "1"
    for element in (stack | _own(planes[0], usual_mm)).values():
        first[element.tag] = element
    indices = range(len(planes)) if wanted is None else wanted
    return tuple(Dataset(told | _own(planes[index], usual_mm)) if index else first for index in indices)


def _guard_series(datasets: Sequence[Dataset], planes: Sequence[Plane]) -> None:
    guard_study(datasets)
    for keyword, what in (("SeriesInstanceUID", "series"), ("FrameOfReferenceUID", "frames of reference")):
        if not only(datasets, keyword, what):
            raise EncodingError(f"source of {len(datasets)} headers: found no {keyword}, needed one")
    instances = {str(ds.get("SOPInstanceUID", "")) for ds in datasets}
    places = {(id(plane.dataset), plane.frame_number) for plane in planes}
    if len(instances) != len(datasets) or len(places) != len(planes):
        raise EncodingError(
            f"series {datasets[0].SeriesInstanceUID}: found {len(instances)} instances for {len(planes)} slices, "
            "needed one each or frame numbers"
        )


def _distinct(planes: Sequence[Plane]) -> list[Plane]:
    """Planes whose orientation is written apart: all but further frames of an object that says it once for all."""
    shared: set[int] = set()
    kept = []
    for plane in planes:
        groups = plane.dataset.get("SharedFunctionalGroupsSequence") or ()
        if plane.frame_number is not None and any("PlaneOrientationSequence" in group for group in groups):
            if id(plane.dataset) in shared:
                continue
            shared.add(id(plane.dataset))
        kept.append(plane)
    return kept


def _own(plane: Plane, usual_thickness_mm: str) -> _Elements:
    """Elements of one plane: identity, size, position and pixel measures."""
    found: _Elements = {tag: plane.dataset[tag] for tag in _PER_PLANE if tag in plane.dataset}
    where = position(plane)
    single = plane.frame_number is None
    for tag, values, keyword in (
        (_POSITION, where, "ImagePositionPatient"),
        (_SPACING, attribute(plane, "PixelSpacing"), "PixelSpacing"),
    ):
        if single and not any(len(str(number)) > _DS_LENGTH for number in values or ()):
            if keyword in plane.dataset:
                found[tag] = plane.dataset[tag]
        elif values:
            found[tag] = DataElement(tag, "DS", [f"{float(number):.10g}" for number in values])
    thickness = attribute(plane, "SliceThickness")
    stated = thickness is not None and float(thickness) > 0
    found[_THICKNESS] = DataElement(_THICKNESS, "DS", thickness if stated else usual_thickness_mm)
    return found


def _orientation(cosines: NDArray[np.float64], series: str) -> NDArray[np.float64]:
    middle = np.median(cosines, axis=0)
    worst = float(np.abs(cosines - middle).max())
    if worst > _ORIENTATION_TOLERANCE:
        raise EncodingError(
            f"{series}: found slice orientations {worst:.2g} apart, needed at most {_ORIENTATION_TOLERANCE}"
        )
    return np.asarray(middle)


def _step_mm(positions: NDArray[np.float64], orientation: NDArray[np.float64]) -> tuple[float, bool]:
    """Median distance of neighbouring planes along the normal, and whether all have it."""
    if len(positions) < 2:
        return 0.0, False
    normal = np.cross(orientation[:3], orientation[3:])
    gaps = np.abs(np.diff(np.sort(positions @ normal)))
    step = float(np.median(gaps))
    return step, bool(step > 0 and np.abs(gaps - step).max() <= _SPACING_TOLERANCE * step)


def _numbers(values: Sequence[Any], keyword: str, length: int, series: str) -> NDArray[np.float64]:
    """Shape (plane, `length`)."""
    rows: list[list[float]] = []
    for value in values:
        if value is None or isinstance(value, str) or len(value) != length:
            raise EncodingError(f"{series}: found a slice without usable {keyword}, needed {length} numbers")
        rows.append([float(number) for number in value])
    return np.array(rows)
