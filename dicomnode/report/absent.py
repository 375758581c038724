"""Numbers that could not be measured: in code with the reason, and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContentSequence,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TrackingIdentifier,
)

from dicomnode.domain.finding import Absent, Findings
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.code import coded
from dicomnode.report.provenance import shortened

_NAMED = 6

_DERIVATION = CodedConcept("121401", "DCM", "Derivation")
_METHOD = CodedConcept("370129005", "SCT", "Measurement Method")


def absent_groups(
    absences: Sequence[Absent], segments: Iterable[Segment], uids: ResultUids
) -> list[MeasurementsAndQualitativeEvaluations]:
    """A group (TID 1501) for each of the segments that lacks numbers, under its tracking UID."""
    groups = []
    for segment in segments:
        items = absent_items(absences, segment.number)
        if items:
            groups.append(
                MeasurementsAndQualitativeEvaluations(
                    tracking_identifier=TrackingIdentifier(
                        uid=uids.tracking(segment.number), identifier=shortened(segment.label)
                    ),
                    finding_type=coded(segment.type),
                    qualitative_evaluations=items,
                )
            )
    return groups


def absent_items(absences: Iterable[Absent], number: int) -> list[QualitativeEvaluation]:
    """What a segment lacks: the quantity, and as its answer the reason out of CID 42 "Numeric Value Qualifier".

    Not numbers without a value, although PS3.3 C.18.1 has them: highdicom up to 0.28.2 cannot open a report that holds
    one at any place (IndexError in `NumContentItem.from_dataset`).
    """
    items = []
    for one in absences:
        if one.segment_number == number:
            item = QualitativeEvaluation(name=coded(one.name), value=coded(one.reason))
            modifiers = [
                CodeContentItem(name=name, value=coded(code), relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD)
                for name, code in ((_METHOD, one.method), (_DERIVATION, one.derivation))
                if code
            ]
            if modifiers:
                item[0].ContentSequence = ContentSequence(modifiers)
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
