"""Numbers that could not be measured: in code with the reason, and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom.sr import MeasurementsAndQualitativeEvaluations, TrackingIdentifier
from highdicom.sr import Measurement as MeasurementItem

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, Findings
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.code import coded
from dicomnode.report.provenance import shortened

#: Container of groups whose numbers have no value. Not among "Imaging Measurements": there highdicom 0.28 fails on the
#: first number without a value and then reads nothing of the group (IndexError). TID 1500 is extensible.
NOT_MEASURED = Code(value="NOT-MEASURED", scheme="99DICOMNODE", meaning="Measurements without a value")

_NAMED = 6


def absent_groups(
    absences: Sequence[Absent], segments: Iterable[Segment], uids: ResultUids
) -> list[MeasurementsAndQualitativeEvaluations]:
    """A group (TID 1501) for each segment that lacks numbers, under its tracking UID."""
    groups = []
    for segment in segments:
        items = absent_items([one for one in absences if one.segment_number == segment.number])
        if items:
            groups.append(
                MeasurementsAndQualitativeEvaluations(
                    tracking_identifier=TrackingIdentifier(
                        uid=uids.tracking(segment.number), identifier=shortened(segment.label)
                    ),
                    finding_type=coded(segment.type),
                    measurements=items,
                )
            )
    return groups


def absent_items(absences: Iterable[Absent]) -> list[MeasurementItem]:
    """Numbers without a value, each with its Numeric Value Qualifier (PS3.3 C.18.1, CID 42)."""
    items = []
    for one in absences:
        item = MeasurementItem(
            name=coded(one.name),
            value=0.0,
            unit=coded(one.unit),
            qualifier=coded(one.reason),
            derivation=coded(one.derivation) if one.derivation else None,
            method=coded(one.method) if one.method else None,
        )
        # highdicom takes no number without a value; the sequence may be empty (Type 2).
        item[0].MeasuredValueSequence = []
        items.append(item)
    return items


def absent_texts(findings: Findings) -> list[str]:
    """What could not be measured and why, in words."""
    return texts_of(findings.absent, (one for layer in findings.segmentation.layers for one in layer.segments))


def texts_of(absences: Iterable[Absent], segments: Iterable[Segment]) -> list[str]:
    """The same of any numbers; segments that lack the same for the same reason share a line."""
    labels = {segment.number: segment.label for segment in segments}
    names: dict[tuple[str, str], list[str]] = {}
    for one in absences:
        names.setdefault((labels.get(one.segment_number, "the series"), one.text), []).append(one.name.meaning)
    alike: dict[tuple[str, str], list[str]] = {}
    for (label, text), listed in names.items():
        alike.setdefault((", ".join(dict.fromkeys(listed)), text), []).append(label)
    return [f"Not measured of {_few(of)}: {listed}: {text}" for (listed, text), of in alike.items()]


def _few(labels: Sequence[str]) -> str:
    """The labels, beyond some only how many more there are: a bundle may describe a hundred lesions."""
    more = len(labels) - _NAMED
    return ", ".join(labels) if more <= 1 else f"{', '.join(labels[:_NAMED])} and {more} more"
