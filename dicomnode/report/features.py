"""Radiomics features as a structured report of their own, with IBSI codes and the settings that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from highdicom.sr import AlgorithmIdentification, Comprehensive3DSR
from pydicom import Dataset

from dicomnode.domain.finding import FeatureSet, Findings, Provenance
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.absent import absent_items, texts_of
from dicomnode.report.answers import remark_texts, remarks
from dicomnode.report.boundary import encoding
from dicomnode.report.content import rows
from dicomnode.report.document import document
from dicomnode.report.drawn import evidence_of, mask_reference
from dicomnode.report.extent import extent_of
from dicomnode.report.groups import Group, outline_groups, segment_group
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
    segments = {segment.number: segment for segment in extent.segments}
    described = [each for each in findings.features if each.segment_number in numbers and each.measurements]
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
    lacking = [one for features in described for one in features.absent]
    texts += [*texts_of(lacking, extent.segments), *_on_contours(described, segments)]
    with encoding(f"radiomics SR of series {header.SeriesInstanceUID}"):
        groups: list[Group] = [
            segment_group(
                segments[features.segment_number],
                rows(features.measurements, features.segment_number),
                _algorithm(features),
                uids,
                mask_reference(findings, segmentation, features.segment_number, extent, header),
                evaluations=absent_items(features.absent, features.segment_number),
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
            others=[*([] if segmentation is None else [segmentation]), *evidence_of(findings)],
            ibsi=True,
        )


def _on_contours(described: Sequence[FeatureSet], segments: Mapping[int, Segment]) -> list[str]:
    """How much every feature depends on the contour, where that was asked for."""
    lines = []
    for features in described:
        label = segments[features.segment_number].label
        changes = "; ".join(f"{name} {change:.3g}" for name, change in features.contour_change.items())
        if changes:
            lines.append(
                f"Largest relative change of each feature of {label} with a contour one voxel wider or narrower: "
                f"{changes}"
            )
    return lines


def _algorithm(features: FeatureSet) -> AlgorithmIdentification:
    name, _, version = features.software.partition(" ")
    return AlgorithmIdentification(name=name, version=version or "unknown", parameters=[features.settings])
