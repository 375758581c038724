"""Radiomics features as a structured report of their own, with IBSI codes and the settings that made them."""

from __future__ import annotations

from highdicom.sr import AlgorithmIdentification, Comprehensive3DSR, MeasurementReport
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import FeatureSet, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.boundary import encoding
from dicomnode.report.content import (
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
from dicomnode.report.measurements import key_slices
from dicomnode.report.normalise import normalised
from dicomnode.report.provenance import DISCLAIMER
from dicomnode.report.segmentation import segment_numbers

ROLE = "radiomics"


def write(findings: Findings, provenance: Provenance, uids: ResultUids, segmentation: Dataset | None) -> Dataset | None:
    """A Comprehensive 3D SR after TID 1500 with one group per feature set.

    The algorithm of a group is the radiomics software with all its settings (TID 4019); that of the mask is named with
    the remarks. A report apart, so that a hundred features do not bury the sizes that a radiologist reads.

    Returns
    -------
    The object, or None without features.

    Raises
    ------
    EncodingError
        If the source mixes patients or series or lacks a frame of reference.
    """
    numbers = segment_numbers(findings)
    segments = {segment.number: segment for segment in findings.segmentation.segments}
    described = [features for features in findings.features if features.segment_number in numbers]
    if not described:
        return None
    headers = normalised(findings.source)
    texts = [DISCLAIMER, *(f"Warning: {text}" for text in findings.warnings)]
    texts += [
        f"No features for {segments[number].label}: its region is too small for them."
        for number in numbers
        if segments[number].radiomics and number not in {features.segment_number for features in described}
    ]
    with encoding(f"radiomics SR of series {headers[0].SeriesInstanceUID}"):
        groups = [
            segment_group(
                segments[features.segment_number],
                rows(features.measurements, features.segment_number),
                _algorithm(features),
                uids,
                referenced_segment(segmentation, numbers[features.segment_number], headers[0]),
            )
            for features in described
        ]
        report = MeasurementReport(
            observation_context=observation_context(provenance),
            procedure_reported=procedure(headers[0]),
            imaging_measurements=[*groups, remarks(texts, uids, model_algorithm(provenance))],
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
            ibsi=True,
        )


def _algorithm(features: FeatureSet) -> AlgorithmIdentification:
    name, _, version = features.software.partition(" ")
    return AlgorithmIdentification(name=name, version=version or "unknown", parameters=[features.settings])
