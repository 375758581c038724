"""Finds the report that a job continues: an earlier one of the same work, or the one whose contours were corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom import Dataset, dcmread

from dicomnode.domain.finding import PriorReport
from dicomnode.domain.work import Job
from dicomnode.infer.read.faults import READ_FAULTS
from dicomnode.route.contours import CLASSES
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from dicomnode.store.reports import Reports

#: DCM "Tracking Identifier" and "Tracking Unique Identifier" (PS3.16 TID 4108).
_IDENTIFIER, _UNIQUE = "112039", "112040"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regions:
    """By what regions are known again.

    Attributes
    ----------
    series
        Series Instance UIDs of the objects with contours.
    algorithms
        What the segments of a mask are said to have been made by, or the models behind a report.
    """

    tracking_uids: frozenset[str]
    names: frozenset[str] = field(repr=False)
    series: frozenset[str]
    algorithms: frozenset[str]


class Predecessors:
    """Looks in the books and in the files of reports."""

    def __init__(self, db: Database, files: Files) -> None:
        self._jobs = Jobs(db, files)
        self._reports = Reports(db, files)

    def of(self, job: Job) -> PriorReport | None:
        """The report that the one of this job continues; None where it is the first.

        A report on contours continues the newest one, of whatever rule, that tells of a region with the same Tracking
        UID; editors that keep none are known by the series that they go on storing in, or by giving a model's segments
        back under all of their names and still as that model's: "Nodule 1" is what everybody calls one.
        """
        same = self._jobs.predecessor(job)
        if same is not None:
            return same
        contours = _contours_of(job)
        return self._corrected(job, contours) if contours is not None else None

    def _corrected(self, job: Job, contours: Dataset) -> PriorReport | None:
        drawn = _drawn(contours)
        likely: PriorReport | None = None
        for sent in self._reports.on_same_images(job):
            try:
                told = _told(dcmread(sent.path, stop_before_pixels=True))
            except READ_FAULTS:
                continue  # what cannot be read back cannot be recognised
            if drawn.tracking_uids & told.tracking_uids:
                return sent.report
            given_back = sent.with_mask and drawn.names == told.names and drawn.algorithms & told.algorithms
            if likely is None and (given_back or drawn.series & told.series):
                likely = sent.report
        return likely


def _contours_of(job: Job) -> Dataset | None:
    """The object with contours that a job measures: the one of its last input."""
    count = Counter(one.input for one in job.inputs)
    if not job.inputs or count[job.inputs[-1].input] != 1:
        return None
    try:
        header = dcmread(job.inputs[-1].path, stop_before_pixels=True)
    except READ_FAULTS:
        return None
    return header if header.get("SOPClassUID") in CLASSES else None


def _drawn(contours: Dataset) -> _Regions:
    items = contours.get("SegmentSequence") or ()
    rois = contours.get("StructureSetROISequence") or ()
    return _Regions(
        tracking_uids=frozenset(str(item.TrackingUID) for item in items if item.get("TrackingUID")),
        names=frozenset(
            (*(str(item.get("SegmentLabel")) for item in items), *(str(roi.get("ROIName")) for roi in rois))
        ),
        series=frozenset({str(contours.get("SeriesInstanceUID"))}),
        algorithms=frozenset(str(item.SegmentAlgorithmName) for item in items if item.get("SegmentAlgorithmName")),
    )


def _told(report: Dataset) -> _Regions:
    items = list(_items(report))
    evidence = report.get("CurrentRequestedProcedureEvidenceSequence") or ()
    return _Regions(
        tracking_uids=frozenset(str(item.UID) for code, item in items if code == _UNIQUE),
        names=frozenset(str(item.TextValue) for code, item in items if code == _IDENTIFIER),
        series=frozenset(
            str(series.SeriesInstanceUID)
            for study in evidence
            for series in study.get("ReferencedSeriesSequence") or ()
            if any(one.get("ReferencedSOPClassUID") in CLASSES for one in series.get("ReferencedSOPSequence") or ())
        ),
        algorithms=frozenset(
            str(item.get("ManufacturerModelName")) for item in report.get("ContributingEquipmentSequence") or ()
        ),
    )


def _items(item: Dataset) -> Iterator[tuple[str, Dataset]]:
    """All content items below one, each with the code of its concept."""
    for child in item.get("ContentSequence") or ():
        names = child.get("ConceptNameCodeSequence") or ()
        yield str(names[0].get("CodeValue")) if names else "", child
        yield from _items(child)
