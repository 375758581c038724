"""Measurements and remarks as a structured report after TID 1500, the root of all results of an analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.sr import CodedConcept, Comprehensive3DSR, MeasurementReport, QualitativeEvaluation
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.content import (
    Group,
    language,
    model_algorithm,
    observation_context,
    procedure,
    referenced_segment,
    remarks,
    rows,
    segment_group,
)
from dicomnode.report.document import document
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import DISCLAIMER
from dicomnode.report.segmentation import coded, segment_numbers

ROLE = "sr"

NOT_DETECTED = CodedConcept("260415000", "SCT", "Not detected")


def write(findings: Findings, provenance: Provenance, uids: ResultUids, segmentation: Dataset | None) -> Dataset:
    """A Comprehensive 3D SR (PS3.3 A.35.13) with one measurement group per present segment.

    Parameters
    ----------
    segmentation
        The SEG of the same findings, which the groups then refer to. None for an empty mask, when the report says
        in coded form that nothing was detected, or for a destination that gets no SEG.

    Raises
    ------
    EncodingError
        If the source mixes patients or series or lacks a frame of reference.
    """
    headers = normalised(findings.source)
    with encoding(f"SR of series {headers[0].SeriesInstanceUID}"):
        report = MeasurementReport(
            observation_context=observation_context(provenance),
            procedure_reported=procedure(headers[0]),
            imaging_measurements=_groups(findings, provenance, uids, segmentation, headers[0]),
            title=codes.DCM.ImagingMeasurementReport,
            language_of_content_item_and_descendants=language(),
            referenced_images=[headers[index] for index in key_slices(findings)],
        )
        return document(
            Comprehensive3DSR,
            report,
            headers,
            provenance,
            uids,
            ROLE,
            others=[segmentation] if segmentation is not None else (),
            ibsi=any(row.name.scheme == "IBSI" for row in findings.measurements),
        )


def key_slices(findings: Findings) -> tuple[int, ...]:
    """Indices of the slices for the image library: where each segment is largest, else the middle one.

    The whole series stands in the evidence; listing a thousand slices with their geometry would make a report of 5 MB.
    """
    array = findings.segmentation.volume.array
    largest = {int(np.argmax(np.count_nonzero(array == number, axis=(1, 2)))) for number in segment_numbers(findings)}
    return tuple(sorted(largest)) or (len(array) // 2,)


def _groups(
    findings: Findings, provenance: Provenance, uids: ResultUids, segmentation: Dataset | None, header: Dataset
) -> list[Group]:
    algorithm = model_algorithm(provenance)
    numbers = segment_numbers(findings)
    groups = [
        segment_group(
            segment,
            rows(findings.measurements, segment.number),
            algorithm,
            uids,
            referenced_segment(segmentation, numbers[segment.number], header),
        )
        for segment in findings.segmentation.segments
        if segment.number in numbers
    ]
    texts = [DISCLAIMER]
    evaluations: Sequence[QualitativeEvaluation] = ()
    if not numbers:
        model = provenance.model
        texts.insert(0, f"No finding by {model.title} {model.version}. This is not a normal report.")
        sought = {segment.type.value: segment.type for segment in findings.segmentation.segments}
        evaluations = [QualitativeEvaluation(name=coded(code), value=NOT_DETECTED) for code in sought.values()]
    texts += [f"Warning: {text}" for text in (*findings.source.warnings, *findings.warnings)]
    return [*groups, remarks(texts, uids, algorithm, evaluations)]
