"""Diameters of lesions with the lines that were measured, for viewers to draw."""

from __future__ import annotations

import numpy as np
from highdicom.sr import (
    CoordinatesForMeasurement,
    FindingSite,
    GraphicTypeValues,
    MeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
from numpy.typing import NDArray

from dicomnode.domain.finding import Findings, Measurement, SourceSeries
from dicomnode.domain.model import Segment
from dicomnode.domain.uid import ResultUids, derived_uid
from dicomnode.report.code import coded
from dicomnode.report.extent import Extent
from dicomnode.report.frames import frame_of
from dicomnode.report.provenance import shortened
from dicomnode.report.rank import LONG_AXIS, SHORT_AXIS, key

Points = tuple[tuple[float, float, float], ...]


def diameters(findings: Findings, number: int) -> list[Measurement]:
    """Long and short axis of a segment, as far as their lines are known."""
    return [
        row
        for wanted in (LONG_AXIS, SHORT_AXIS)
        for row in findings.measurements
        if row.segment_number == number and key(row.name) == wanted and is_line(row)
    ]


def is_line(row: Measurement) -> bool:
    """Whether a measurement is a line on one plane of the source."""
    return row.plane is not None and len(row.points_mm) == 2


def diameter_groups(
    findings: Findings, extent: Extent, uids: ResultUids
) -> list[MeasurementsAndQualitativeEvaluations]:
    """For each lesion a group (TID 1501) of numbers inferred from their lines on the source image (TID 300, TID 320).

    It has a tracking UID of its own, derived from that of the lesion and so the same at all times: numbers of regions
    (TID 1419) hold no coordinates, and OHIF 3.13 draws only the first shape of what it takes for one finding, which is
    the outline.
    """
    groups = []
    for segment in extent.segments:
        rows = diameters(findings, segment.number)
        if rows:
            groups.append(
                MeasurementsAndQualitativeEvaluations(
                    tracking_identifier=TrackingIdentifier(
                        uid=derived_uid("diameters", uids.tracking(segment.number)),
                        identifier=f"{shortened(segment.label, 53)}: diameters",
                    ),
                    finding_type=coded(segment.type),
                    finding_sites=_sites(segment),
                    measurements=[_inferred(row, findings.source) for row in rows],
                )
            )
    return groups


def on_image(points_mm: Points, plane: int, source: SourceSeries) -> NDArray[np.float32]:
    """Points on a source image, (column, row), with the corner of the first pixel at (0, 0) (PS3.3 C.18.6.1.2).

    Parameters
    ----------
    points_mm
        LPS in mm, on plane `plane` of the source.
    """
    places = voxels(points_mm, source)[:, 1:]
    first = source.tilt.starts[plane] if source.tilt else (0.0, 0.0)
    rows, columns = source.tilt.shape if source.tilt else source.volume.spatial_shape[1:]
    corner = np.clip(places - first + 0.5, 0, (rows, columns))
    return np.asarray(corner[:, ::-1], dtype=np.float32)


def voxels(points_mm: Points, source: SourceSeries) -> NDArray[np.float64]:
    """Points in voxels of the source's volume, (slice, row, column), the centre of the first voxel at 0."""
    affine = np.asarray(source.volume.affine, dtype=np.float64)
    placed: NDArray[np.float64] = (np.array(points_mm) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    return placed


def _inferred(row: Measurement, source: SourceSeries) -> MeasurementItem:
    index = row.plane or 0
    plane = source.planes[index]
    image = SourceImageForRegion(
        referenced_sop_class_uid=plane.dataset.SOPClassUID,
        referenced_sop_instance_uid=plane.dataset.SOPInstanceUID,
        referenced_frame_numbers=list(frame_of(plane)) or None,
    )
    line = CoordinatesForMeasurement(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=on_image(row.points_mm, index, source),
        source_image=image,
    )
    return MeasurementItem(
        name=coded(row.name),
        value=float(row.value),
        unit=coded(row.unit),
        method=coded(row.method) if row.method else None,
        referenced_coordinates=[line],
    )


def _sites(segment: Segment) -> list[FindingSite] | None:
    if segment.anatomic_region is None:
        return None
    laterality = coded(segment.laterality) if segment.laterality else None
    return [FindingSite(anatomic_location=coded(segment.anatomic_region), laterality=laterality)]
