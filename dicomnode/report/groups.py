"""Measurement groups with a place in the images: segments, their outlines, and boxes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    SourceImageForRegion,
    SourceSeriesForSegmentation,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as MeasurementItem
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Detection, Findings, Plane, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids
from dicomnode.report.code import coded
from dicomnode.report.extent import Extent
from dicomnode.report.frames import frame_of
from dicomnode.report.outline import outline, rectangle
from dicomnode.report.provenance import shortened

#: A group of a segment (TID 1411), of a region on one image (TID 1410), or without a region (TID 1501).
Group = (
    VolumetricROIMeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | MeasurementsAndQualitativeEvaluations
)

#: Numbers of segments are bytes of a label map, so tracking numbers above them are free.
_FIRST_DETECTION = 256

_CERTAINTY = codes.DCM.CertaintyOfFinding
_PERCENT = codes.UCUM.Percent
_MILLIMETER = codes.UCUM.Millimeter

#: Extents of a box along (slice, row, column), from CID 7470 "Linear Measurements".
_EXTENTS = (
    Code(value="131197000", scheme="SCT", meaning="Depth"),
    Code(value="410668003", scheme="SCT", meaning="Length"),
    Code(value="103355008", scheme="SCT", meaning="Width"),
)


def segment_group(
    segment: Segment,
    items: Sequence[MeasurementItem],
    algorithm: AlgorithmIdentification,
    uids: ResultUids,
    reference: ReferencedSegment | None,
    *,
    evaluations: Sequence[QualitativeEvaluation] = (),
    time_point: TimePointContext | None = None,
) -> Group:
    """One group for one segment: TID 1411 with its mask, TID 1501 where no mask is sent.

    Parameters
    ----------
    evaluations, time_point
        What the comparison with earlier studies says of it.
    """
    described = {
        **_described(segment, uids.tracking(segment.number), segment.label),
        "algorithm_id": algorithm,
        "measurements": items,
        "qualitative_evaluations": evaluations,
        "time_point_context": time_point,
    }
    if reference is None:
        return MeasurementsAndQualitativeEvaluations(**described)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(**described, referenced_segment=reference)


def outline_groups(
    extent: Extent, source: SourceSeries, uids: ResultUids, wanted: Container[int] | None = None
) -> list[Group]:
    """For each present segment a group with its outline on the image where it is largest (TID 1410).

    It has the tracking identifiers of the segment's own group, with which viewers merge it; those that draw nothing
    but coordinates would show an empty report without (standards section 2.4).

    Parameters
    ----------
    wanted
        Numbers of the segments; all that are present by default.
    """
    groups: list[Group] = []
    for segment in extent.segments:
        if wanted is not None and segment.number not in wanted:
            continue
        index = extent.key_plane(segment.number)
        line = outline(extent.on(index, segment.number))
        described = _described(segment, uids.tracking(segment.number), segment.label)
        region = _region(line, source.planes[index])
        groups.append(PlanarROIMeasurementsAndQualitativeEvaluations(**described, referenced_region=region))
    return groups


def detection_slice(detection: Detection, source: SourceSeries) -> int:
    """Index of the plane through the middle of a box."""
    middle = (detection.low[0] + detection.high[0]) / 2
    return min(max(round(middle), 0), len(source.planes) - 1)


def detection_groups(findings: Findings, algorithm: AlgorithmIdentification, uids: ResultUids) -> list[Group]:
    """For each detection a group with its box on the image through its middle (TID 1410), certainty and size in mm."""
    return [_detection_group(detection, findings.source, algorithm, uids) for detection in findings.detections]


def _detection_group(
    detection: Detection, source: SourceSeries, algorithm: AlgorithmIdentification, uids: ResultUids
) -> Group:
    index = detection_slice(detection, source)
    row, column = source.tilt.starts[index] if source.tilt else (0.0, 0.0)
    line = rectangle(
        (detection.low[1] - row, detection.low[2] - column),
        (detection.high[1] - row, detection.high[2] - column),
        source.tilt.shape if source.tilt else source.volume.spatial_shape[1:],
    )
    items = []
    if 0 <= detection.score <= 1:
        # "The certainty that a device places on a finding", 0 to 100 (PS3.16 TID 4006, CID 6048).
        items.append(MeasurementItem(name=_CERTAINTY, value=100 * float(detection.score), unit=_PERCENT))
    for name, low, high, spacing_mm in zip(_EXTENTS, detection.low, detection.high, source.volume.spacing, strict=True):
        length_mm = float((high - low) * spacing_mm)
        items.append(MeasurementItem(name=coded(name), value=length_mm, unit=_MILLIMETER))
    label = f"{detection.segment.label} {detection.number}"
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        **_described(detection.segment, uids.tracking(_FIRST_DETECTION + detection.number), label),
        algorithm_id=algorithm,
        referenced_region=_region(line, source.planes[index]),
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


def _described(segment: Segment, tracking_uid: str, label: str) -> dict[str, Any]:
    """What every kind of group says of its finding, as arguments of highdicom's constructors."""
    site = segment.anatomic_region or (segment.type if segment.laterality else None)
    laterality = coded(segment.laterality) if segment.laterality else None
    return {
        "tracking_identifier": TrackingIdentifier(uid=tracking_uid, identifier=shortened(label)),
        "finding_type": coded(segment.type),
        "finding_category": coded(segment.category),
        "finding_sites": [FindingSite(anatomic_location=coded(site), laterality=laterality)] if site else None,
    }


def _region(line: NDArray[Any], plane: Plane) -> ImageRegion:
    """A closed polyline on a source image: SCOORD, which unlike SCOORD3D every class of report may hold."""
    source = SourceImageForRegion(
        referenced_sop_class_uid=plane.dataset.SOPClassUID,
        referenced_sop_instance_uid=plane.dataset.SOPInstanceUID,
        referenced_frame_numbers=list(frame_of(plane)) or None,
    )
    return ImageRegion(graphic_type=GraphicTypeValues.POLYLINE, graphic_data=line, source_image=source)
