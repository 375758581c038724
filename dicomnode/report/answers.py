"""Groups without a place in the images: answers of classifiers, scores, and remarks."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Classification, Findings, Measurement, Provenance
from dicomnode.domain.model import Task
from dicomnode.domain.uid import ResultUids
from dicomnode.report.code import coded
from dicomnode.report.content import comment, rows
from dicomnode.report.provenance import disclaimer, shortened, supersedes

QUALITATIVE_EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")

#: Segments count from 1, so what is below is free for what belongs to none of them.
_SCORES, _CLASSES = -1, -2

#: What measurements about the whole series are numbered.
WHOLE_SERIES = 0


def classification_group(
    classifications: Sequence[Classification], algorithm: AlgorithmIdentification, uids: ResultUids
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Questions with their answers in code, and the probability of every answer from 0 to 1 (TID 1501)."""
    groups = []
    for index, found in enumerate(classifications):
        probabilities = [
            MeasurementItem(
                name=coded(answer), value=float(probability), unit=codes.UCUM.NoUnits, derivation=codes.DCM.Probability
            )
            for answer, probability in found.probabilities
        ]
        groups.append(
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(
                    uid=uids.tracking(_CLASSES - index), identifier=shortened(found.question.meaning)
                ),
                algorithm_id=algorithm,
                measurements=probabilities,
                qualitative_evaluations=[QualitativeEvaluation(name=coded(found.question), value=coded(found.answer))],
            )
        )
    return groups


def score_group(
    measurements: Sequence[Measurement], algorithm: AlgorithmIdentification, uids: ResultUids
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Numbers about the whole series (TID 1501); none without any."""
    items = rows(measurements, WHOLE_SERIES)
    if not items:
        return []
    tracking = TrackingIdentifier(uid=uids.tracking(_SCORES), identifier="Scores of the whole series")
    return [
        MeasurementsAndQualitativeEvaluations(tracking_identifier=tracking, algorithm_id=algorithm, measurements=items)
    ]


def remarks(texts: Sequence[str], evaluations: Sequence[QualitativeEvaluation] = ()) -> ContainerContentItem:
    """What concerns the whole analysis: "Qualitative Evaluations" of TID 1500, beside the measurements.

    Not a measurement group: OHIF 3.13 takes every group for one with coordinates and shows none at all if one has not.
    """
    container = ContainerContentItem(
        name=QUALITATIVE_EVALUATIONS, is_content_continuous=False, relationship_type=RelationshipTypeValues.CONTAINS
    )
    items = [item for evaluation in evaluations for item in evaluation]
    container.ContentSequence = ContentSequence([*items, *(comment(text) for text in dict.fromkeys(texts))])
    return container


def remark_texts(findings: Findings, provenance: Provenance, *, empty: bool) -> list[str]:
    """What the reader has to know beside the numbers: emptiness, reservations, warnings, further inputs."""
    texts = [*([nothing_found(provenance)] if empty else []), *supersedes(provenance)]
    texts += [disclaimer(provenance), *arrived(provenance)]
    texts += findings.statements
    if findings.contours is not None:
        texts.append(f"Contours: {findings.contours.author}. Measured as drawn; only the numbers are of this software.")
    texts += [f"Warning: {text}" for text in (*findings.source.warnings, *findings.warnings)]
    texts += [f"Warning: {check.text}" for check in findings.checks if not check.passed]
    for companion in findings.companions:
        header = companion.datasets[0]
        texts.append(f"Source beside the main series: {header.get('Modality') or 'series'} {header.SeriesInstanceUID}")
        texts += [f"Warning: {text}" for text in companion.warnings]
    return texts


def arrived(provenance: Provenance) -> list[str]:
    """How complete the study was, where somebody waited for it."""
    return [f"Study as received: {provenance.received}."] if provenance.received else []


def nothing_found(provenance: Provenance) -> str:
    """How an empty result reads, which nobody may take for a normal one."""
    model = provenance.model
    if model.task in (Task.SEGMENT, Task.DETECT):
        text = f"No candidate found by {model.title} {model.version}; not a normal report."
    else:
        text = f"No answer by {model.title} {model.version}; nothing is said about the images."
    return f"{text} Sensitivity: {model.sensitivity}" if model.sensitivity else text
