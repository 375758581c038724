"""Radiomics features as a structured report of their own, with IBSI codes and the settings that made them."""

from __future__ import annotations

from highdicom.sr import AlgorithmIdentification, Comprehensive3DSR
from pydicom import Dataset

from dicomnode.domain.finding import FeatureSet, Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report.answers import remark_texts, remarks
from dicomnode.report.boundary import encoding
from dicomnode.report.content import rows
from dicomnode.report.document import document
from dicomnode.report.extent import extent_of
from dicomnode.report.groups import Group, outline_groups, referenced_segment, segment_group
from dicomnode.report.measurements import key_slices
from dicomnode.report.normalise import normalised
from dicomnode.report.tree import measurement_report, sources_of

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
    extent = extent_of(findings)
    numbers = extent.numbers
    segments = {segment.number: segment for segment in findings.segmentation.segments}
    described = [features for features in findings.features if features.segment_number in numbers]
    if not described:
        return None
    shown = key_slices(findings, extent)
    header, *entries = normalised(findings.source, (0, *shown))
    texts = remark_texts(findings, provenance, empty=False)
    texts += [
        f"No features for {segments[number].label}: its region is too small for them."
        for number in numbers
        if segments[number].radiomics and number not in {features.segment_number for features in described}
    ]
    with encoding(f"radiomics SR of series {header.SeriesInstanceUID}"):
        groups: list[Group] = [
            segment_group(
                segments[features.segment_number],
                rows(features.measurements, features.segment_number),
                _algorithm(features),
                uids,
                referenced_segment(segmentation, numbers[features.segment_number], header),
            )
            for features in described
        ]
        groups += outline_groups(extent, findings.source, uids, {features.segment_number for features in described})
        return document(
            Comprehensive3DSR,
            measurement_report(findings, provenance, header, groups, entries, shown, remarks(texts)),
            header,
            sources_of(findings),
            provenance,
            uids,
            ROLE,
            others=[segmentation] if segmentation is not None else (),
            ibsi=True,
        )


def _algorithm(features: FeatureSet) -> AlgorithmIdentification:
    name, _, version = features.software.partition(" ")
    return AlgorithmIdentification(name=name, version=version or "unknown", parameters=[features.settings])
