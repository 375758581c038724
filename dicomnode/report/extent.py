"""Which segments a mask holds, and how much of each lies on every plane."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings
from dicomnode.domain.model import Segment
from dicomnode.report.boundary import encoding

#: Comparing 300 slices with one number takes 10 ms, counting all numbers at once 200 ms (measured).
_FEW = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The mask as the source images show it, searched once.

    Attributes
    ----------
    mask
        Segment numbers, shape (plane, row, column).
    behind
        The same of segments that overlap those of `mask`.
    areas
        Segment number → its pixels on every plane, shape (plane,).
    segments
        The segments that the images show, by ascending number.
    """

    mask: NDArray[np.uint8]
    areas: Mapping[int, NDArray[np.int64]]
    segments: tuple[Segment, ...]
    behind: tuple[NDArray[np.uint8], ...] = ()

    def on(self, index: int, number: int) -> NDArray[np.bool_]:
        """The pixels of one segment on one plane, shape (row, column)."""
        found: NDArray[np.bool_] = self.mask[index] == number
        for mask in self.behind:
            found |= mask[index] == number
        return found

    @property
    def numbers(self) -> dict[int, int]:
        """Segment number in the mask → number in the SEG, which has to count from 1 without gaps (PS3.3 C.8.20.2)."""
        return {segment.number: place for place, segment in enumerate(self.segments, start=1)}

    def key_plane(self, number: int) -> int:
        """Index of the plane on which a segment is largest."""
        return int(self.areas[number].argmax())


def extent_of(findings: Findings) -> Extent:
    """Where the segments of the mask are.

    Raises
    ------
    EncodingError
        If the mask has other planes than the source.
    """
    source = findings.source
    masks: list[NDArray[np.uint8]] = []
    counts: dict[int, NDArray[np.int64]] = {}
    described: list[Segment] = []
    for layer in findings.segmentation.layers:
        labels = layer.volume.array
        if len(labels) != len(source.planes):
            raise EncodingError(f"mask: found {len(labels)} slices, needed one for each of {len(source.planes)} planes")
        with encoding("mask on the source images"):
            masks.append(source.on_planes(labels))
        counts |= areas(masks[-1], {segment.number for segment in layer.segments})
        described += layer.segments
    present = [segment for segment in described if counts[segment.number].any()]
    present.sort(key=lambda segment: segment.number)
    return Extent(mask=masks[0], areas=counts, segments=tuple(present), behind=tuple(masks[1:]))


def segment_numbers(findings: Findings) -> dict[int, int]:
    """Segment number in the mask → number in the SEG, for the segments that are present."""
    return extent_of(findings).numbers


def occupied(mask: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Indices of the planes that are not empty."""
    return np.flatnonzero(mask.max(axis=(1, 2)))


def areas(mask: NDArray[np.uint8], numbers: Collection[int]) -> dict[int, NDArray[np.int64]]:
    """Segment number → its pixels on every plane, shape (plane,)."""
    found = {number: np.zeros(len(mask), dtype=np.int64) for number in numbers}
    for index in occupied(mask):
        plane = mask[index]
        if len(found) > _FEW:
            counts = np.bincount(plane.ravel(), minlength=256)
            for number, area in found.items():
                area[index] = counts[number]
        else:
            for number, area in found.items():
                area[index] = np.count_nonzero(plane == number)
    return found
