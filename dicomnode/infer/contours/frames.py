"""Puts the frames of a SEG onto the planes of the images, each where its position says, without a change of grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation as SegObject
from pydicom import Dataset

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries

#: Up to here the nearest voxel of a pixel is its own, so that copying is what resampling would give.
_HALF = 0.5

#: Positions are often written with two decimals, so two of one place may differ by one of the last.
_SAME_MM = 0.01

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where one frame lies in the volume.

    Attributes
    ----------
    number
        Of the frame, from 1.
    segment
        Segment Number; 0 for a frame of a label map, which shows all.
    slice, row, column
        Voxel of its first pixel; may be negative.
    depth
        Where its first pixel lies along the slices, in voxels.
    off
        How far its pixels are from the centres of the voxels at most, (slice, in plane) in voxels.
    on_image
        Whether it names an image of the series.
    """

    number: int
    segment: int
    slice: int
    row: int
    column: int
    depth: float
    off: tuple[float, float]
    on_image: bool


def spots(seg: SegObject, source: SourceSeries) -> list[Spot] | None:
    """Where the frames lie; None where the grid of the SEG is another, so that it has to be resampled.

    Raises
    ------
    Unsuitable
        If a frame says no place in the patient.
    """
    to_index: Affine = np.linalg.inv(np.asarray(source.volume.affine, dtype=np.float64))
    uids = {str(dataset.SOPInstanceUID) for dataset in source.datasets}
    found = [_spot(frame, number, seg, to_index, uids) for number, frame in enumerate(_groups(seg), start=1)]
    if any(max(spot.off) >= _HALF for spot in found):
        return None
    if _finer(found, _SAME_MM / float(source.volume.spacing[0])):
        return None
    depths = np.unique([spot.slice for spot in found])
    sparse = len(depths) > 1 and int(np.diff(depths).min()) > 1
    # Slices of its own that are thicker than those of the images: each stands for several of them.
    return None if sparse and not all(spot.on_image for spot in found) else found


def _finer(found: Sequence[Spot], same: float) -> bool:
    """Whether slices of its own are thinner than those of the images, so that several lie within one of these."""
    first: dict[int, float] = {}
    return any(abs(first.setdefault(spot.slice, spot.depth) - spot.depth) > same for spot in found)


def _groups(seg: SegObject) -> Sequence[Dataset]:
    frames: Sequence[Dataset] = seg.get("PerFrameFunctionalGroupsSequence") or ()
    if len(frames) != int(seg.get("NumberOfFrames") or 1) or not frames:
        raise Unsuitable(f"SEG: {len(frames)} functional groups, needed one for each frame")
    return frames


def _spot(frame: Dataset, number: int, seg: SegObject, to_index: Affine, uids: set[str]) -> Spot:
    place = _macro(frame, seg, "PlanePositionSequence")
    plane = _macro(frame, seg, "PlaneOrientationSequence")
    measures = _macro(frame, seg, "PixelMeasuresSequence")
    position = np.array(place.ImagePositionPatient, dtype=np.float64)
    cosines = np.array(plane.ImageOrientationPatient, dtype=np.float64)
    down_mm, right_mm = (float(value) for value in measures.PixelSpacing)
    corners = np.array([[0, 0], [seg.Rows - 1, 0], [0, seg.Columns - 1], [seg.Rows - 1, seg.Columns - 1]])
    # Rows follow each other along the direction of a column, and the other way round (PS3.3 C.7.6.2.1.1).
    points = position + corners[:, :1] * down_mm * cosines[3:] + corners[:, 1:] * right_mm * cosines[:3]
    at = points @ to_index[:3, :3].T + to_index[:3, 3]
    first = np.array([round(float(value)) for value in at[0]])
    wanted = first + np.column_stack([np.zeros(4), corners])
    off = np.abs(at - wanted)
    named = frame.get("SegmentIdentificationSequence") or seg.SharedFunctionalGroupsSequence[0].get(
        "SegmentIdentificationSequence"
    )
    return Spot(
        number=number,
        segment=int(named[0].ReferencedSegmentNumber) if named else 0,
        slice=int(first[0]),
        row=int(first[1]),
        column=int(first[2]),
        depth=float(at[0, 0]),
        off=(float(off[:, 0].max()), float(off[:, 1:].max())),
        on_image=bool(uids.intersection(_sources(frame))),
    )


def _macro(frame: Dataset, seg: SegObject, keyword: str) -> Dataset:
    shared = (seg.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    items = frame.get(keyword) or shared.get(keyword)
    if not items:
        raise Unsuitable(f"SEG: a frame without {keyword}, needed its place in the patient")
    item: Dataset = items[0]
    return item


def _sources(frame: Dataset) -> Iterator[str]:
    for derivation in frame.get("DerivationImageSequence") or ():
        for image in derivation.get("SourceImageSequence") or ():
            yield str(image.get("ReferencedSOPInstanceUID") or "")
