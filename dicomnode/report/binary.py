"""The frames of a BINARY Segmentation, all at once: which there are, what each says of itself, and their bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.spatial import VOLUME_INDEX_CONVENTION, get_normal_vector, get_volume_positions
from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.valuerep import DS

from dicomnode.domain.finding import SourceSeries
from dicomnode.report.extent import Extent, occupied
from dicomnode.report.frames import position
from dicomnode.report.references import derive_frames

#: So many frames end on a whole byte, whatever their size, since they follow each other bit by bit (PS3.5 8.1.1).
_WHOLE_BYTES = 8

_CONTENT, _INDICES, _PLACE, _POSITION, _IDENTIFICATION, _NUMBER = (
    Tag(keyword)
    for keyword in (
        "FrameContentSequence",
        "DimensionIndexValues",
        "PlanePositionSequence",
        "ImagePositionPatient",
        "SegmentIdentificationSequence",
        "ReferencedSegmentNumber",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The frames of a mask: for every segment the planes in their order along the normal.

    Attributes
    ----------
    planes
        Indices of the planes of which there are frames, in that order.
    shown
        Index of the plane, and place of the segment from 1, of every frame.
    spacing_mm
        Between the planes from the first to the last that is not empty; None where they are not evenly apart.
    regular
        Whether the planes of which there are frames follow each other evenly in the order of the source.
    """

    planes: tuple[int, ...]
    shown: tuple[tuple[int, int], ...]
    spacing_mm: float | None
    regular: bool


def frames_of(extent: Extent, source: SourceSeries, orientation: Sequence[float], *, empty: bool) -> Frames:
    """The frames that highdicom would make of the whole mask.

    Parameters
    ----------
    orientation
        Image Orientation (Patient) of all planes.
    empty
        Whether there are frames of every segment on every plane.

    Raises
    ------
    ValueError
        If several planes lie in the same place.
    """
    filled = occupied(extent.mask)
    span = range(len(extent.mask)) if empty else range(filled[0], filled[-1] + 1)
    points = np.array([position(source.planes[index]) for index in span], dtype=float)
    normal = get_normal_vector(orientation, index_convention=VOLUME_INDEX_CONVENTION)
    _, order = np.unique(points @ normal, return_index=True)
    if len(order) < len(span):
        raise ValueError(f"{len(span)} planes in {len(order)} places")
    wanted = set(span) if empty else set(filled.tolist())
    planes = tuple(span[index] for index in order if span[index] in wanted)
    shown = [
        (index, place)
        for place, segment in enumerate(extent.segments, start=1)
        for index in planes
        if empty or extent.areas[segment.number][index]
    ]
    inside = points[[index - span.start for index in sorted(wanted)]].tolist()
    steady, _ = get_volume_positions(inside, orientation, sort=False) if len(inside) > 1 else (None, None)
    return Frames(
        planes=planes,
        shown=tuple(shown),
        spacing_mm=get_volume_positions(points.tolist(), orientation)[0],
        regular=steady is not None and steady > 0,
    )


def describe(result: Dataset, frames: Frames, source: SourceSeries) -> None:
    """Write Multi-frame Functional Groups and Dimension (PS3.3 C.7.6.16, C.7.6.17) as highdicom does.

    Parameters
    ----------
    result
        The object with a frame of each segment on one plane; changed in place.
    """
    # Items that say the same are one, since nobody changes what was made.
    segments = {place: _identification(place) for place in {place for _, place in frames.shown}}
    several = len(segments) > 1
    places = {index: _sequence(_PLACE, _place(source, index)) for index in frames.planes}
    ranks = {index: rank for rank, index in enumerate(frames.planes, start=1)}
    items = []
    for index, place in frames.shown:
        indices = Dataset({_INDICES: DataElement(_INDICES, "UL", [place, ranks[index]], already_converted=True)})
        item = Dataset({_CONTENT: _sequence(_CONTENT, indices), _PLACE: places[index]})
        if several:
            item[_IDENTIFICATION] = segments[place]
        items.append(item)
    derive_frames(items, [source.planes[index] for index, _ in frames.shown])
    result.PerFrameFunctionalGroupsSequence = Items(items)
    result.NumberOfFrames = len(items)
    if frames.regular and not several:
        result.DimensionOrganizationType = "3D"


def packed(extent: Extent, frames: Frames) -> bytes:
    """Pixel Data of one bit per pixel, the first pixel lowest."""
    size = extent.mask[0].size
    together = _WHOLE_BYTES if size % _WHOLE_BYTES else 1
    bits = np.empty((together, size), dtype=np.bool_)
    found = []
    for start in range(0, len(frames.shown), together):
        some = frames.shown[start : start + together]
        for (plane, place), frame in zip(some, bits, strict=False):
            np.equal(extent.mask[plane].ravel(), extent.segments[place - 1].number, out=frame)
        found.append(np.packbits(bits[: len(some)], bitorder="little").data)
    return b"".join(found)


def _place(source: SourceSeries, index: int) -> Dataset:
    point = [DS(coordinate, auto_format=True) for coordinate in position(source.planes[index])]
    return Dataset({_POSITION: DataElement(_POSITION, "DS", point)})


def _identification(place: int) -> DataElement:
    number = DataElement(_NUMBER, "US", place)
    return _sequence(_IDENTIFICATION, Dataset({_NUMBER: number}))


def _sequence(tag: int, item: Dataset) -> DataElement:
    return DataElement(tag, "SQ", Items([item]), already_converted=True)
