"""Findings as SEG and report by highdicom alone, in the way that its documentation shows."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Findings


def segmentation(findings: Findings) -> Segmentation:
    """BINARY, of the whole label map and the headers of all images."""
    algorithm = AlgorithmIdentificationSequence(name="bench", version="1.0.0", family=codes.DCM.ArtificialIntelligence)
    return Segmentation(
        source_images=list(findings.source.datasets),
        pixel_array=findings.segmentation.volume.array,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=segment.number,
                segment_label=segment.label,
                segmented_property_category=_coded(segment.category),
                segmented_property_type=_coded(segment.type),
                algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
            for segment in findings.segmentation.segments
        ],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
    )


def report(findings: Findings, seg: Dataset, library: Sequence[Dataset]) -> ComprehensiveSR:
    """TID 1500 with a group for each segment of the SEG (TID 1411), all images as evidence.

    Parameters
    ----------
    library
        Images to list with their geometry (TID 1600).
    """
    device = DeviceObserverIdentifyingAttributes(uid=generate_uid(), name="bench", model_name="bench")
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[
            VolumetricROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=TrackingIdentifier(uid=generate_uid(), identifier=segment.label),
                referenced_segment=ReferencedSegment(
                    sop_class_uid=seg.SOPClassUID,
                    sop_instance_uid=seg.SOPInstanceUID,
                    segment_number=segment.number,
                    source_series=SourceSeriesForSegmentation(findings.source.datasets[0].SeriesInstanceUID),
                ),
                finding_type=_coded(segment.type),
                finding_category=_coded(segment.category),
                algorithm_id=AlgorithmIdentification(name="bench", version="1.0.0"),
                measurements=_measurements(findings, segment.number),
            )
            for segment in findings.segmentation.segments
        ],
        referenced_images=list(library),
    )
    return ComprehensiveSR(
        evidence=[*findings.source.datasets, seg],
        content=content,
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        is_complete=True,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
    )


def to_bytes(dataset: Dataset) -> bytes:
    """The file."""
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def _measurements(findings: Findings, number: int) -> list[Measurement]:
    return [
        Measurement(
            name=_coded(one.name),
            value=one.value,
            unit=_coded(one.unit),
            derivation=_coded(one.derivation) if one.derivation else None,
            method=_coded(one.method) if one.method else None,
        )
        for one in findings.measurements
        if one.segment_number == number
    ]


def _coded(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)
