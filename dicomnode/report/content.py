"""Content items that our structured reports share: observer, procedure, algorithm, groups and remarks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as MeasurementItem
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.finding import Measurement, Provenance
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.provenance import MANUFACTURER, MODEL_NAME, device_uid, parameters, shortened
from dicomnode.report.segmentation import coded

COMMENT = CodedConcept("121106", "DCM", "Comment")

#: Either kind of measurement group: of a segment (TID 1411) or without a region (TID 1501).
Group = VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations

#: CID 100 "Quantitative Diagnostic Imaging Procedures".
_PROCEDURES = {
    "CT": CodedConcept("25045-6", "LN", "CT unspecified body region"),
    "MR": CodedConcept("25056-3", "LN", "MRI unspecified body region"),
    "PT": CodedConcept("44136-0", "LN", "PET unspecified body region"),
}
_IMAGING_PROCEDURE = CodedConcept("363679005", "SCT", "Imaging procedure")


def language() -> LanguageOfContentItemAndDescendants:
    """English of the United States (TID 1204)."""
    return LanguageOfContentItemAndDescendants(CodedConcept("en-US", "RFC5646", "English (United States)"))


def observation_context(provenance: Provenance) -> ObservationContext:
    """The model as device observer (TID 1001, TID 1004); its UID changes with the weights."""
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(provenance),
        name=provenance.station,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=provenance.station,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def procedure(header: Dataset) -> CodedConcept:
    """The imaging procedure that was analysed (CID 100), not the analysis."""
    return _PROCEDURES.get(str(header.Modality), _IMAGING_PROCEDURE)


def model_algorithm(provenance: Provenance) -> AlgorithmIdentification:
    """The network as algorithm (TID 4019)."""
    model = provenance.model
    return AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"{name}={value}" for name, value in parameters(provenance).items()],
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=model.manufacturer,
    )


def rows(measurements: Iterable[Measurement], segment_number: int) -> list[MeasurementItem]:
    """The measurements of one segment (TID 1419); values that are not finite cannot be encoded and are left out."""
    return [
        MeasurementItem(
            name=coded(row.name),
            value=float(row.value),
            unit=coded(row.unit),
            derivation=coded(row.derivation) if row.derivation else None,
            method=coded(row.method) if row.method else None,
        )
        for row in measurements
        if row.segment_number == segment_number and math.isfinite(row.value)
    ]


def segment_group(
    segment: Segment,
    items: Sequence[MeasurementItem],
    algorithm: AlgorithmIdentification,
    uids: ResultUids,
    reference: ReferencedSegment | None,
) -> Group:
    """One group for one segment: TID 1411 with its mask, TID 1501 where no mask is sent."""
    tracking = TrackingIdentifier(uid=uids.tracking(segment.number), identifier=shortened(segment.label))
    site = segment.anatomic_region or (segment.type if segment.laterality else None)
    laterality = coded(segment.laterality) if segment.laterality else None
    sites = [FindingSite(anatomic_location=coded(site), laterality=laterality)] if site else None
    if reference is None:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            finding_type=coded(segment.type),
            finding_category=coded(segment.category),
            finding_sites=sites,
            algorithm_id=algorithm,
            measurements=items,
        )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=reference,
        finding_type=coded(segment.type),
        finding_category=coded(segment.category),
        finding_sites=sites,
        algorithm_id=algorithm,
        measurements=items,
    )


def referenced_segment(segmentation: Dataset | None, number: int, header: Dataset) -> ReferencedSegment | None:
    """Reference to segment `number` of the SEG; None without SEG.

    Built directly: `ReferencedSegment.from_segmentation` fails for a SEG with one segment (highdicom 0.28).
    """
    if segmentation is None:
        return None
    return ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=number,
        source_series=SourceSeriesForSegmentation(referenced_series_instance_uid=header.SeriesInstanceUID),
    )


def remarks(
    texts: Sequence[str],
    uids: ResultUids,
    algorithm: AlgorithmIdentification,
    evaluations: Sequence[QualitativeEvaluation] = (),
) -> Group:
    """A group without region (TID 1501) with a comment per text, for what concerns the whole analysis."""
    group = MeasurementsAndQualitativeEvaluations(
        # Segments count from 1, so 0 is free for what belongs to none of them.
        tracking_identifier=TrackingIdentifier(uid=uids.tracking(0), identifier="Remarks on the analysis"),
        algorithm_id=algorithm,
        qualitative_evaluations=evaluations,
    )
    for text in texts:
        group[0].ContentSequence.append(comment(text))
    return group


def comment(text: str) -> TextContentItem:
    """A line of text for the reader."""
    return TextContentItem(name=COMMENT, value=text, relationship_type=RelationshipTypeValues.CONTAINS)
