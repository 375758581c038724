"""Measurements and remarks as a structured report after TID 1500, the root of all results of an analysis."""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import CodedConcept, Comprehensive3DSR, QualitativeEvaluation
from pydicom import Dataset

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.model import Segment, Task
from dicomnode.domain.uid import ResultUids
from dicomnode.report.absent import absent_groups, absent_items, absent_texts
from dicomnode.report.answers import classification_group, remark_texts, remarks, score_group
from dicomnode.report.boundary import encoding
from dicomnode.report.code import coded
from dicomnode.report.compared import lines_of
from dicomnode.report.content import model_algorithm, rows
from dicomnode.report.contributions import contribution_rows
from dicomnode.report.diameter import diameter_groups, diameters
from dicomnode.report.document import Kind, document
from dicomnode.report.drawn import evidence_of, mask_reference
from dicomnode.report.extent import Extent, extent_of
from dicomnode.report.groups import (
    Group,
    detection_groups,
    detection_slice,
    outline_groups,
    segment_group,
)
from dicomnode.report.normalise import normalised
from dicomnode.report.response import (
    change_items,
    comparison_groups,
    evaluations_of,
    prior_evidence,
    prior_items,
    time_point_of,
)
from dicomnode.report.tree import measurement_report, sources_of

ROLE = "sr"

NOT_DETECTED = CodedConcept("260415000", "SCT", "Not detected")

#: Tasks whose answer is a place, so that none means that nothing was found.
_LOCATING = frozenset({Task.SEGMENT, Task.DETECT})


def write(
    findings: Findings,
    provenance: Provenance,
    uids: ResultUids,
    segmentation: Dataset | None,
    kind: Kind = Comprehensive3DSR,
    *,
    others: Sequence[Dataset] = (),
) -> Dataset:
    """A structured report with one measurement group per present segment, detection, answer and set of scores.

    Beside the group of a segment (TID 1411) stands one with its outline (TID 1410) for viewers that draw no SEG.

    Parameters
    ----------
    segmentation
        The SEG of the same findings, which the groups then refer to. None for an empty mask, when the report says
        in coded form that nothing was detected, or for a destination that gets no SEG.
    kind
        Comprehensive 3D SR (PS3.3 A.35.13), or for destinations without it Comprehensive or Enhanced SR; the tree
        is the same and legal in all.
    others
        Further objects made from the same findings, for readers who come from here to all of them.

    Raises
    ------
    EncodingError
        If the source mixes patients or series or lacks a frame of reference.
    """
    extent = extent_of(findings)
    shown = key_slices(findings, extent)
    header, *entries = normalised(findings.source, (0, *shown))
    with encoding(f"SR of series {header.SeriesInstanceUID}"):
        groups, said = _groups(findings, extent, provenance, uids, segmentation)
        return document(
            kind,
            measurement_report(
                findings,
                provenance,
                header,
                groups,
                entries,
                shown,
                said,
                others,
                derived=[
                    *comparison_groups(findings.comparison, uids),
                    *absent_groups(findings.absent, _not_found(findings, extent), uids),
                ],
                cited=prior_items(findings.comparison),
            ),
            header,
            sources_of(findings),
            provenance,
            uids,
            ROLE,
            others=[*([] if segmentation is None else [segmentation]), *evidence_of(findings), *others],
            priors=prior_evidence(findings.comparison),
            ibsi=any(name.scheme == "IBSI" for name in _names(findings)),
        )


def key_slices(findings: Findings, extent: Extent) -> tuple[int, ...]:
    """Planes for the image library: where segments are largest, of diameters, through detections, else the middle.

    The whole series stands in the evidence; listing a thousand slices with their geometry would make a report of 5 MB.
    """
    largest = {extent.key_plane(segment.number) for segment in extent.segments}
    largest |= {
        row.plane for one in extent.segments for row in diameters(findings, one.number) if row.plane is not None
    }
    largest |= {detection_slice(detection, findings.source) for detection in findings.detections}
    return tuple(sorted(largest)) or (len(findings.source.planes) // 2,)


def _groups(
    findings: Findings, extent: Extent, provenance: Provenance, uids: ResultUids, segmentation: Dataset | None
) -> tuple[list[Group], Dataset]:
    algorithm, comparison = model_algorithm(provenance), findings.comparison
    header = findings.source.datasets[0]
    groups: list[Group] = [
        segment_group(
            segment,
            [*rows(findings.measurements, segment.number), *change_items(comparison, uids.tracking(segment.number))],
            algorithm,
            uids,
            mask_reference(findings, segmentation, segment.number, extent, header),
            evaluations=[
                *evaluations_of(comparison, uids.tracking(segment.number)),
                *absent_items(findings.absent, segment.number),
            ],
            time_point=time_point_of(comparison),
        )
        for segment in extent.segments
    ]
    groups += outline_groups(extent, findings.source, uids)
    groups += diameter_groups(findings, extent, uids)
    groups += detection_groups(findings, algorithm, uids)
    answers = [
        *classification_group(findings.classifications, algorithm, uids),
        *score_group((*findings.measurements, *contribution_rows(findings)), algorithm, uids),
    ]
    located = provenance.model.task in _LOCATING
    empty = not groups if located else not answers
    groups += answers
    evaluations = _not_detected(findings, provenance) if empty and located else ()
    texts = [*remark_texts(findings, provenance, empty=empty), *lines_of(comparison), *absent_texts(findings)]
    return groups, remarks(texts, evaluations)


def _names(findings: Findings) -> list[Code]:
    return [*(row.name for row in findings.measurements), *(row.name for row in findings.absent)]


def _not_found(findings: Findings, extent: Extent) -> list[Segment]:
    """The segments of which the images show nothing."""
    shown = {segment.number for segment in extent.segments}
    layers = findings.segmentation.layers
    return [segment for layer in layers for segment in layer.segments if segment.number not in shown]


def _not_detected(findings: Findings, provenance: Provenance) -> Sequence[QualitativeEvaluation]:
    """What was sought and not found, each kind once."""
    sought = {
        segment.type.value: segment.type for segment in findings.segmentation.segments or provenance.model.segments
    }
    return [QualitativeEvaluation(name=coded(code), value=NOT_DETECTED) for code in sought.values()]
