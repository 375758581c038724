"""What the pictures of an analysis look at: each finding, and the slice that shows it best."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicomnode.domain.finding import Detection, Findings
from dicomnode.domain.model import Segment
from dicomnode.report.rank import LONG_AXIS, key

#: Category 49755003 "Morphologically Abnormal Structure" (SCT): each part of such a segment is a finding.
_LESION = "49755003"


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """One finding.

    Attributes
    ----------
    title
        What it is, with its number where there are several.
    segment, detection
        Where it comes from; a detection knows its own segment.
    centre
        Voxel (slice, row, column) through which the planes are laid.
    box
        Bounding box in voxels, half open.
    voxels
        How large it is.
    """

    title: str
    segment: Segment | None
    detection: Detection | None = None
    centre: tuple[int, int, int]
    box: tuple[slice, slice, slice] = field(repr=False)
    voxels: int = 0


def foci_of(findings: Findings) -> list[Focus]:
    """Every finding: present segments, lesions one by one from the largest, then detections by score."""
    labels = findings.segmentation.volume.array
    boxes = ndimage.find_objects(labels)
    planes = {
        row.segment_number: row.plane
        for row in findings.measurements
        if key(row.name) == LONG_AXIS and row.plane is not None
    }
    found = []
    for segment in findings.segmentation.segments:
        box = boxes[segment.number - 1] if segment.number <= len(boxes) else None
        if box is None:
            continue
        mask = labels[box] == segment.number
        parts = _parts(mask) if segment.category.value == _LESION else [(mask, (slice(None),) * 3)]
        for number, (part, within) in enumerate(parts, start=1):
            title = segment.label if len(parts) == 1 else f"{segment.label}, part {number} of {len(parts)}"
            at = _shifted(within, box, mask.shape)
            found.append(_focus(title, segment, part, at, planes.get(segment.number)))
    return found + [_detected(one, findings.source.volume.array.shape) for one in findings.detections]


def middle(findings: Findings) -> Focus:
    """The middle of the series, where there is nothing to look at."""
    shape = findings.source.volume.array.shape
    centre = (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    whole = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return Focus(title="Middle of the series", segment=None, centre=centre, box=whole)


def around(focus: Focus, shape: tuple[int, ...], margin: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    """The box of a finding, `margin` voxels wider on every side within the volume."""
    one, two, three = (
        slice(max(0, edge.start - more), min(length, edge.stop + more))
        for edge, more, length in zip(focus.box, margin, shape, strict=True)
    )
    return (one, two, three)


def _parts(mask: NDArray[np.bool_]) -> list[tuple[NDArray[np.bool_], tuple[slice, ...]]]:
    """Parts that touch at faces, edges or corners, from the largest, with their boxes in `mask`."""
    numbered, _count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    boxes = ndimage.find_objects(numbered)
    parts = [(numbered[box] == number, box) for number, box in enumerate(boxes, start=1)]
    return sorted(parts, key=lambda part: -np.count_nonzero(part[0]))


def _shifted(within: tuple[slice, ...], box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    starts = [outer.start + (inner.start or 0) for inner, outer in zip(within, box, strict=True)]
    lengths = [
        (length if inner.stop is None else inner.stop) - (inner.start or 0)
        for inner, length in zip(within, shape, strict=True)
    ]
    one, two, three = (slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
    return (one, two, three)


def _focus(
    title: str, segment: Segment, part: NDArray[np.bool_], box: tuple[slice, slice, slice], plane: int | None
) -> Focus:
    """The slice of the long axis or else of the largest area, and on it the voxel nearest to the finding's middle."""
    areas = np.count_nonzero(part, axis=(1, 2))
    best = int(np.argmax(areas))
    if plane is not None and 0 <= plane - box[0].start < len(areas) and areas[plane - box[0].start]:
        best = plane - box[0].start
    rows, columns = np.nonzero(part[best])
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    centre = (box[0].start + best, box[1].start + int(rows[nearest]), box[2].start + int(columns[nearest]))
    return Focus(title=title, segment=segment, centre=centre, box=box, voxels=int(areas.sum()))


def _detected(detection: Detection, shape: tuple[int, ...]) -> Focus:
    centre, box = [], []
    for low, high, length in zip(detection.low, detection.high, shape, strict=True):
        first = int(np.clip(np.ceil(low), 0, length - 1))
        last = int(np.clip(np.floor(high), first, length - 1))
        centre.append((first + last) // 2)
        box.append(slice(first, last + 1))
    return Focus(
        title=f"{detection.segment.label} {detection.number}",
        segment=detection.segment,
        detection=detection,
        centre=(centre[0], centre[1], centre[2]),
        box=(box[0], box[1], box[2]),
    )
