"""The lesions of one study, from the numbers that were measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dicomnode.domain.finding import Measurement, Segmentation
from dicomnode.domain.model import Subject
from dicomnode.domain.response import Lesion
from dicomnode.measure import codes


def of(
    segmentation: Segmentation, measurements: Sequence[Measurement], tracking: Callable[[int], str]
) -> tuple[Lesion, ...]:
    """A lesion for every present segment whose subject is a lesion or a lymph node, in the order of the segments.

    Parameters
    ----------
    segmentation
        With all its layers, whose numbers are unique.
    measurements
        What `size.measure` found; what it left out is None in the lesion.
    tracking
        Segment number → Tracking Unique Identifier, such as `ResultUids.tracking`.
    """
    rows = {(row.segment_number, row.name, row.method): row for row in reversed(measurements)}
    found = []
    for segment in (segment for layer in segmentation.layers for segment in layer.present()):
        if segment.subject is Subject.STRUCTURE:
            continue
        mine = {(name, method): row for (number, name, method), row in rows.items() if number == segment.number}
        axes = {name: row.value for (name, _), row in mine.items() if name in (codes.LONG_AXIS, codes.SHORT_AXIS)}
        volume = mine.get((codes.VOLUME, codes.SUM_OF_VOXELS))
        centroid = mine.get((codes.CENTROID[0], None))
        found.append(
            Lesion(
                tracking_uid=tracking(segment.number),
                label=segment.label,
                segment_number=segment.number,
                organ=segment.anatomic_region,
                longest_mm=axes.get(codes.LONG_AXIS),
                short_mm=axes.get(codes.SHORT_AXIS),
                volume_ml=volume.value if volume else None,
                centroid_mm=centroid.points_mm[0] if centroid and centroid.points_mm else None,
                lymph_node=segment.subject is Subject.LYMPH_NODE,
            )
        )
    return tuple(found)
