"""Reads a written SEG back by another way than it was made and holds it against the mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.tag import Tag

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings
from dicomnode.domain.model import Segment
from dicomnode.report.boundary import encoding
from dicomnode.report.extent import segment_numbers
from dicomnode.report.frames import attribute, position
from dicomnode.report.placed import (
    MEASURES,
    ORIENTATION,
    PLACE,
    POSITION,
    SEGMENT,
    TOLERANCE_MM,
    Groups,
    check_code,
    planes_of_frames,
    shown,
    vector,
)

_NUMBER = Tag("ReferencedSegmentNumber")

#: Vectors in mm to the next row and to the next column.
_Steps = tuple[NDArray[np.float64], NDArray[np.float64]]

_COSINE_TOLERANCE = 2e-4
#: Deviations from an even stack that reading accepts: of a slice along the normal, and of rounded cosines; beside
#: them a shear of half a pixel.
_IRREGULAR_MM = 0.1
_IRREGULAR_OF_SPACING = 0.01
_COSINE_ROUNDING = 2e-3


@dataclass(slots=True, kw_only=True)
class _Measured:
    """Voxel count, sum of voxel centres and corners of the planes' bounding boxes, in LPS mm."""

    voxels: int = 0
    total_mm: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    low_mm: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.inf))
    high_mm: NDArray[np.float64] = field(default_factory=lambda: np.full(3, -np.inf))

    def add(self, plane: NDArray[Any], origin: NDArray[Any], row: NDArray[Any], column: NDArray[Any]) -> None:
        """Add the pixels of a plane of 0 and 1; `row` and `column` are the steps of one index in mm."""
        # 16 bits hold the pixels of a row or column (PS3.3 C.7.6.3), and are summed four times as fast as 64.
        by_row, by_column = (plane.sum(axis=axis, dtype=np.uint16).astype(np.int64) for axis in (1, 0))
        voxels = int(by_row.sum())
        if not voxels:
            return
        rows, columns = np.flatnonzero(by_row), np.flatnonzero(by_column)
        self.voxels += voxels
        self.total_mm += voxels * origin + (by_row[rows] @ rows) * row + (by_column[columns] @ columns) * column
        down, across = rows[[0, -1], None] * row, columns[[0, -1], None] * column
        self.low_mm = np.minimum(self.low_mm, origin + down.min(axis=0) + across.min(axis=0))
        self.high_mm = np.maximum(self.high_mm, origin + down.max(axis=0) + across.max(axis=0))

    @property
    def centroid_mm(self) -> NDArray[np.float64]:
        """Mean position."""
        return self.total_mm / max(self.voxels, 1)


def verify(encoded: bytes, findings: Findings) -> None:
    """Compare a SEG, frame by frame from its own plane positions, with the mask that it should show.

    The writer goes through highdicom and the source's headers; this goes through the bits of the file and the
    volume's affine, so a flip, a shift or swapped segments on either way shows.

    Parameters
    ----------
    encoded
        The complete file.

    Raises
    ------
    EncodingError
        At the first segment whose code, orientation, voxel count, centroid or extent differs; and for a file that
        cannot be read or has other segments.
    """
    with encoding("SEG read back"):
        seg = dcmread(BytesIO(encoded))
        items = {int(item.SegmentNumber): item for item in seg.SegmentSequence}
    numbers = segment_numbers(findings)
    if set(items) != set(numbers.values()):
        raise EncodingError(f"SEG: found segments {sorted(items)}, needed {sorted(numbers.values())}")
    segments = {segment.number: segment for segment in findings.segmentation.segments}
    for number, place in numbers.items():
        check_code(items[place], segments[number])
    with encoding("SEG read back"):
        slack_mm = deviation_mm(findings)
        planes_of_frames("SEG", seg, findings)
        steps = list(_steps(seg))
        _check_orientation(steps, seg, findings, slack_mm)
        written = _written(steps, seg)
    for number, place in numbers.items():
        _compare(segments[number], written.get(place, _Measured()), _needed(findings, number), slack_mm)


def deviation_mm(findings: Findings) -> float:
    """How far the corners of the source images, by their own headers, lie from the grid that the mask is compared on.

    Scanners write positions with one decimal and cosines with three, and a slight shear is accepted at reading; the
    SEG repeats the headers. Deviations beyond those would mean that the volume was read wrongly. Where a tilted
    stack was rectified, half a voxel of rounding comes on top.
    """
    source, volume = findings.source, findings.source.volume
    affine = np.asarray(volume.affine)
    rows, columns = source.tilt.shape if source.tilt else volume.spatial_shape[1:]
    corners = np.array([(i, j) for i in (0, rows - 1) for j in (0, columns - 1)])
    normal = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
    reach = max(volume.spacing[1] * rows, volume.spacing[2] * columns) * _COSINE_ROUNDING
    along_limit = max(_IRREGULAR_MM, _IRREGULAR_OF_SPACING * volume.spacing[0]) + reach + TOLERANCE_MM
    aside_limit = min(volume.spacing[1:]) / 2 + reach + TOLERANCE_MM
    slack = 0.0
    for index, plane in enumerate(source.planes):
        cosines = np.array(attribute(plane, "ImageOrientationPatient"), float)
        spacing = np.array(attribute(plane, "PixelSpacing"), float)
        steps = np.stack([cosines[3:] * spacing[0], cosines[:3] * spacing[1]])
        headers = np.array(position(plane), float) + corners @ steps
        start = np.array(source.tilt.starts[index] if source.tilt else (0.0, 0.0))
        grid = affine[:3, 3] + index * affine[:3, 0] + (corners + start) @ affine[:3, [1, 2]].T
        apart = headers - grid
        along = apart @ normal
        aside = np.linalg.norm(apart - np.outer(along, normal), axis=1)
        if np.abs(along).max() > along_limit or aside.max() > aside_limit:
            raise EncodingError(
                f"source: image {index + 1} lies {np.abs(along).max():.2f} mm along and {aside.max():.2f} mm aside "
                f"of its place in the volume, needed at most {along_limit:.2f} mm and {aside_limit:.2f} mm"
            )
        # The nearest voxels of a rectified volume are up to half a voxel off those of the image.
        rounding = np.abs(np.round(start) - start) @ np.abs(affine[:3, [1, 2]]).T
        slack = max(slack, float(np.abs(apart).max() + rounding.max()))
    return slack


def _check_orientation(steps: Sequence[_Steps], seg: Dataset, findings: Findings, slack_mm: float) -> None:
    volume = findings.segmentation.volume
    affine = np.asarray(volume.affine)
    # Over the whole image a cosine that is off by this moves the far corner by the slack.
    tolerance = _COSINE_TOLERANCE + slack_mm / (min(seg.Rows, seg.Columns) * min(volume.spacing[1:]))
    for row, column in {id(pair): pair for pair in steps}.values():
        for found, needed, what in ((column, affine[:3, 2], "column"), (row, affine[:3, 1], "row")):
            if np.abs(found / np.linalg.norm(found) - needed / np.linalg.norm(needed)).max() > tolerance:
                raise EncodingError(f"SEG: found next {what} at {shown(found)} mm, needed {shown(needed)} mm")


def _written(steps: Sequence[_Steps], seg: Dataset) -> dict[int, _Measured]:
    """Segment number in the SEG → what its frames show."""
    measured: dict[int, _Measured] = {}
    groups, frames = Groups(seg), seg.PerFrameFunctionalGroupsSequence
    for frame, plane, (row, column) in zip(frames, _planes(seg), steps, strict=True):
        number = int(groups.of(frame, SEGMENT)[_NUMBER].value)
        origin = vector(groups.of(frame, PLACE)[POSITION].value)
        measured.setdefault(number, _Measured()).add(plane, np.array(origin), row, column)
    return measured


def _planes(seg: Dataset) -> Iterator[NDArray[np.uint8]]:
    """Frames of 0 and 1, shape (row, column); bits are packed from the least significant on (PS3.5 8.1.1)."""
    if seg.BitsAllocated != 1:
        raise ValueError(f"{seg.BitsAllocated} bits per pixel, needed 1")
    packed = np.frombuffer(seg.PixelData, dtype=np.uint8)
    rows, columns = seg.Rows, seg.Columns
    size = rows * columns
    for index in range(int(seg.NumberOfFrames)):
        start = index * size
        bits = np.unpackbits(packed[start // 8 : -(-(start + size) // 8)], bitorder="little")
        yield bits[start % 8 : start % 8 + size].reshape(rows, columns)


def _steps(seg: Dataset) -> Iterator[_Steps]:
    """For every frame the vectors in mm to the next row and to the next column (PS3.3 C.7.6.2.1.1)."""
    groups, shared = Groups(seg), None
    for frame in seg.PerFrameFunctionalGroupsSequence:
        own = ORIENTATION in frame or MEASURES in frame
        if shared is None or own:
            cosines = np.array(vector(groups.of(frame, ORIENTATION).ImageOrientationPatient))
            spacing = vector(groups.of(frame, MEASURES).PixelSpacing)
            pair = (cosines[3:] * spacing[0], cosines[:3] * spacing[1])
            if not own:
                shared = pair
            yield pair
        else:
            yield shared


def _needed(findings: Findings, number: int) -> _Measured:
    volume = findings.segmentation.volume
    affine = np.asarray(volume.affine)
    measured = _Measured()
    tilt = findings.source.tilt
    rows, columns = tilt.shape if tilt else volume.spatial_shape[1:]
    for index, plane in enumerate(volume.array):
        # Of a rectified volume only what an image covers can be shown on it.
        top, left = (round(start) for start in tilt.starts[index]) if tilt else (0, 0)
        origin = affine[:3, 3] + affine[:3, :3] @ (index, top, left)
        covered = plane[top : top + rows, left : left + columns]
        measured.add(covered == number, origin, affine[:3, 1], affine[:3, 2])
    return measured


def _compare(segment: Segment, found: _Measured, needed: _Measured, slack_mm: float) -> None:
    if found.voxels != needed.voxels:
        raise EncodingError(f"{_named(segment)}: found {found.voxels} voxels in the SEG, needed {needed.voxels}")
    for what, is_, should in (
        ("centroid", found.centroid_mm, needed.centroid_mm),
        ("lowest corner", found.low_mm, needed.low_mm),
        ("highest corner", found.high_mm, needed.high_mm),
    ):
        if np.abs(is_ - should).max() > TOLERANCE_MM + slack_mm:
            raise EncodingError(f"{_named(segment)}: found {what} at {shown(is_)} mm, needed {shown(should)} mm")


def _named(segment: Segment) -> str:
    return f"segment {segment.number} ({segment.label})"
