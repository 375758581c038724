"""Reads our own reports of earlier studies back: lesions with their numbers and tracking UIDs."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from dicomnode.domain.code import Code
from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.model import Segment, Subject
from dicomnode.domain.response import Lesion

#: What a report or mask that is cut short or garbled makes pydicom raise.
FAULTS = (
    OSError, EOFError, InvalidDicomError, AttributeError, KeyError, IndexError, TypeError, ValueError,
    NotImplementedError, RuntimeError, struct.error,
)  # fmt: skip

_MEASUREMENTS = "126010"
_GROUP, _TRACKING_ID, TRACKING_UID = "125007", "112039", "112040"

#: (112074, DCM, "Target Lesion at Baseline"), CID 6145: what a report says of a lesion that counts.
_TARGET = "112074"

#: Measurement Method, and the one by which a volume is that of the whole lesion (126030, DCM).
_METHOD, _WHOLE = "370129005", "126030"

#: Code Value of a number → attribute of `Lesion` and UCUM unit.
_NUMBERS = {"103339001": ("longest_mm", "mm"), "103340004": ("short_mm", "mm"), "118565006": ("volume_ml", "cm3")}

#: Diameters, which lesions and lymph nodes alone have; and what a group says that it is about (TID 1411).
_AXES = ("103339001", "103340004")
_FINDING, _FINDING_CATEGORY, _FINDING_SITE = "121071", "276214006", "363698007"
_NODES = frozenset({("59441001", "SCT"), ("130051", "DCM")})

Point = tuple[float, float, float]


def made_by(dataset: Dataset, model: str, version: str) -> bool:
    """Whether a model in this version made a result of ours, as its contributing equipment says."""
    return any(
        str(item.get("ManufacturerModelName", "")) == model and version in _values(item.get("SoftwareVersions"))
        for item in dataset.get("ContributingEquipmentSequence") or ()
    )


def standing(reports: Sequence[Path], model: str, version: str) -> frozenset[str]:
    """SOP Instance UIDs of the reports of a model that no other of them replaces, and of what these cite.

    An archive keeps what a report names as its predecessor, whose lesions are the same under other tracking UIDs.

    Raises
    ------
    Unsuitable
        If a report cannot be read.
    """
    try:
        made = [ds for ds in map(dcmread, reports) if made_by(ds, model, version)]
        replaced = {uid for ds in made for uid in _named(ds, "PredecessorDocumentsSequence")}
        left = [ds for ds in made if str(ds.SOPInstanceUID) not in replaced]
        cited = {uid for ds in left for uid in _named(ds, "CurrentRequestedProcedureEvidenceSequence")}
    except FAULTS as error:
        raise Unsuitable(f"an earlier report cannot be read: {error}, needed a readable object") from error
    return frozenset(cited | {str(ds.SOPInstanceUID) for ds in left})


def _named(report: Dataset, sequence: str) -> Iterator[str]:
    """SOP Instance UIDs in a hierarchical reference of studies and series (PS3.3 Table C.17-3)."""
    for study in report.get(sequence) or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            yield from (str(one.ReferencedSOPInstanceUID) for one in series.get("ReferencedSOPSequence") or ())


def read_lesions(
    reports: Sequence[Path], masks: Sequence[Path], model: str, version: str, segments: Sequence[Segment]
) -> tuple[Lesion, ...] | None:
    """The lesions that our report of a model says.

    Parameters
    ----------
    reports, masks
        Our own structured reports and SEGs of one study, of any model; a mask only tells where the lesions lie.
    segments
        What the model may find; of these only lesions and lymph nodes are read. Empty for a model that measures what
        others draw: then the report says what is a lesion, by its diameters.

    Returns
    -------
    None where no report is of this model in this version; empty where one says that nothing was found.

    Raises
    ------
    Unsuitable
        If an object cannot be read.
    """
    wanted = {one.label: one for one in segments if one.subject is not Subject.STRUCTURE}
    try:
        documents = [dcmread(path) for path in reports]
        found = [ds for ds in documents if made_by(ds, model, version) and "ContentSequence" in ds]
        if not found:
            return None
        # Beside them stand the numbers of studies before that one, and those that could not be measured.
        present = [item for ds in found for item in ds.ContentSequence if concept(item) == _MEASUREMENTS]
        found_groups = [group for item in present for group in groups(item)]
        places = {uid: place for path in masks for uid, place in centroids(dcmread(path)).items()}
    except FAULTS as error:
        raise Unsuitable(f"an earlier report or mask cannot be read: {error}, needed a readable object") from error
    lesions: dict[str, Lesion] = {}
    for group in found_groups:
        lesion = _lesion(group, wanted, places)
        # Of the groups with one tracking UID (mask, outline) the first with numbers counts.
        if lesion and (lesion.tracking_uid not in lesions or lesions[lesion.tracking_uid].size_mm is None):
            lesions[lesion.tracking_uid] = lesion
    return tuple(lesions.values())


def centroids(mask: Dataset) -> dict[str, Point]:
    """Tracking UID of every segment of a SEG with pixels → the mean of their places, LPS mm."""
    uids = {int(item.SegmentNumber): str(item.get("TrackingUID", "")) for item in mask.SegmentSequence}
    shared = mask.SharedFunctionalGroupsSequence[0]
    frames = np.atleast_3d(mask.pixel_array).reshape(-1, int(mask.Rows), int(mask.Columns))
    sums = {number: np.zeros(4) for number in uids}
    for frame, own in zip(frames, mask.PerFrameFunctionalGroupsSequence, strict=True):
        matrix = _plane(own, shared)
        stated = own.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
        numbers = [int(stated[0].ReferencedSegmentNumber)] if stated else [n for n in np.unique(frame) if n in uids]
        for number in numbers:
            rows, columns = np.nonzero(frame if stated else frame == number)
            if len(rows):
                sums[int(number)] += len(rows) * np.array([*(matrix @ [rows.mean(), columns.mean(), 1.0]), 1.0])
    return {
        uids[number]: (float(x / count), float(y / count), float(z / count))
        for number, (x, y, z, count) in sums.items()
        if count and uids[number]
    }


def _plane(own: Dataset, shared: Dataset) -> Any:
    """From (row, column, 1) to LPS mm (PS3.3 C.7.6.2.1.1)."""

    def group(name: str) -> Dataset:
        item: Dataset = (own.get(name) or shared[name].value)[0]
        return item

    cosines = [float(value) for value in group("PlaneOrientationSequence").ImageOrientationPatient]
    between_rows, between_columns = (float(value) for value in group("PixelMeasuresSequence").PixelSpacing)
    origin = [float(value) for value in group("PlanePositionSequence").ImagePositionPatient]
    return np.array([np.array(cosines[3:]) * between_rows, np.array(cosines[:3]) * between_columns, origin]).T


def groups(item: Dataset) -> Iterator[Dataset]:
    """The measurement groups below an item of content."""
    for child in item.get("ContentSequence") or ():
        if concept(child) == _GROUP:
            yield child
        else:
            yield from groups(child)


def _lesion(group: Dataset, wanted: Mapping[str, Segment], places: Mapping[str, Point]) -> Lesion | None:
    items = list(group.get("ContentSequence") or ())
    by_concept = {concept(item): item for item in reversed(items)}
    if _TRACKING_ID not in by_concept or TRACKING_UID not in by_concept:
        return None
    label = str(by_concept[_TRACKING_ID].get("TextValue", ""))
    segment = wanted.get(label) or (None if wanted else _drawn(label, by_concept))
    uid = str(by_concept[TRACKING_UID].get("UID", ""))
    if segment is None or not uid:
        return None
    numbers: dict[str, float] = {}
    for item in items:
        name, unit = _NUMBERS.get(concept(item), ("", ""))
        measured = item.get("MeasuredValueSequence") or ()
        methods = [code for child in item.get("ContentSequence") or () if concept(child) == _METHOD
                   for code in answers(child)]  # fmt: skip
        if name == "volume_ml" and methods and _WHOLE not in methods:
            continue
        if name and measured and measured[0].MeasurementUnitsCodeSequence[0].CodeValue == unit:
            numbers.setdefault(name, float(measured[0].NumericValue))
    return Lesion(
        tracking_uid=uid,
        label=segment.label,
        organ=segment.anatomic_region,
        centroid_mm=places.get(uid),
        target=any(_TARGET in answers(item) for item in items),
        lymph_node=segment.subject is Subject.LYMPH_NODE,
        longest_mm=numbers.get("longest_mm"),
        short_mm=numbers.get("short_mm"),
        volume_ml=numbers.get("volume_ml"),
    )


def _drawn(label: str, items: Mapping[str, Dataset]) -> Segment | None:
    """What a group says of its region, where no bundle does; None for a structure, which has no diameters."""
    kind, category, site = (_code(items.get(name)) for name in (_FINDING, _FINDING_CATEGORY, _FINDING_SITE))
    if not {*_AXES} & {*items} or kind is None or category is None:
        return None
    node = (kind.value, kind.scheme) in _NODES
    subject = Subject.LYMPH_NODE if node else Subject.LESION
    return Segment(number=0, label=label, category=category, type=kind, anatomic_region=site, subject=subject)


def _code(item: Dataset | None) -> Code | None:
    for code in (item.get("ConceptCodeSequence") or ()) if item is not None else ():
        return Code(value=str(code.CodeValue), scheme=str(code.CodingSchemeDesignator), meaning=str(code.CodeMeaning))
    return None


def concept(item: Dataset) -> str:
    """Code Value of what an item of content tells."""
    names = item.get("ConceptNameCodeSequence") or ()
    return str(names[0].get("CodeValue", "")) if names else ""


def answers(item: Dataset) -> tuple[str, ...]:
    """Code Values that an item of content has for a value."""
    return tuple(str(code.get("CodeValue", "")) for code in item.get("ConceptCodeSequence") or ())


def _values(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(one) for one in value)
