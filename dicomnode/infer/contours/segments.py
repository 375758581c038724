"""Reads the segments of a SEG as voxels of the images: binary, fractional above one half, or a label map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom.seg import Segmentation as SegObject
from highdicom.seg import segread
from pydicom import Dataset
from scipy import ndimage

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.contours.frame import require_frame
from dicomnode.infer.contours.frames import Spot, spots
from dicomnode.infer.contours.naming import by_codes
from dicomnode.infer.contours.region import Mask, Region
from dicomnode.infer.read.faults import reading

#: Probability or share of a voxel from which it counts as inside: the value at which both sides weigh the same.
_INSIDE = 0.5

#: Coordinates of images and of frames are often written with two decimals; both may be off by half of one.
_ROUNDING_MM = 0.01

#: DCM "Background", which label maps describe as segment 0.
_BACKGROUND = "125040"


def segments(path: Path, source: SourceSeries) -> tuple[list[Region], list[str]]:
    """The segments that have a voxel in the images, and in words what was unusual.

    Raises
    ------
    Unsuitable
        If it cannot be read, lies in another frame of reference than the images, or nowhere.
    """
    subject = "SEG"
    with reading(subject, "needed a readable SEG"):
        seg = segread(str(path))
        require_frame(subject, str(seg.get("FrameOfReferenceUID") or ""), source)
        items = [item for item in seg.SegmentSequence if not _is_background(item)]
        where = spots(seg, source)
        remarks = list(_remarks(seg, where, source))
        regions: list[Region] = []
        for item in items:
            number = int(item.SegmentNumber)
            segment = by_codes(item)
            box_and_mask = _resampled(seg, number, source) if where is None else _copied(seg, number, where, source)
            if box_and_mask is None:
                remarks.append(f"{segment.label}: left out, it has no voxel in the images")
                continue
            gaps = int((~box_and_mask[1].any(axis=(1, 2))).sum())
            if gaps:
                length = len(box_and_mask[1])
                remarks.append(f"{segment.label}: empty on {gaps} of the {length} images from its first to its last")
            regions.append(
                Region(
                    segment=segment,
                    number=number,
                    box=box_and_mask[0],
                    mask=box_and_mask[1],
                    tracking_uid=str(item.get("TrackingUID") or ""),
                    algorithm=str(item.get("SegmentAlgorithmType") or ""),
                )
            )
    return regions, remarks


def _is_background(item: Dataset) -> bool:
    kinds: Sequence[Dataset] = item.get("SegmentedPropertyTypeCodeSequence") or ()
    return int(item.SegmentNumber) == 0 or (bool(kinds) and kinds[0].get("CodeValue") == _BACKGROUND)


def _remarks(seg: SegObject, where: Sequence[Spot] | None, source: SourceSeries) -> Iterator[str]:
    if seg.SegmentationType == "FRACTIONAL":
        kind = str(seg.get("SegmentationFractionalType") or "fractional").lower()
        yield f"the SEG is fractional ({kind}); voxels of {_INSIDE:g} or more count as inside"
    if where is None:
        yield "the SEG has another grid than the images; it was resampled to theirs by nearest neighbour"
        return
    slices_mm, rows_mm, columns_mm = source.volume.spacing
    across_mm = max(spot.off[0] for spot in where) * slices_mm
    along_mm = max(spot.off[1] for spot in where) * max(rows_mm, columns_mm)
    if source.tilt is None and max(across_mm, along_mm) > _ROUNDING_MM:
        yield f"the SEG lies up to {max(across_mm, along_mm):.2f} mm off the voxels of the images; the nearest count"
    depth = len(source.planes)
    beyond = sum(not 0 <= spot.slice < depth for spot in where)
    if beyond:
        yield f"{beyond} frames of the SEG lie beyond the images and were left out"


def _inside(seg: SegObject) -> Callable[[npt.NDArray[np.generic], int], Mask]:
    """How a stored frame becomes a mask of one segment."""
    if seg.SegmentationType == "LABELMAP":
        return lambda stored, number: np.asarray(stored == number)
    if seg.SegmentationType == "FRACTIONAL":
        least = _INSIDE * float(seg.MaximumFractionalValue)
        return lambda stored, _number: np.asarray(stored.astype(np.float64) >= least)
    return lambda stored, _number: np.asarray(stored != 0)


def _copied(
    seg: SegObject, number: int, where: Sequence[Spot], source: SourceSeries
) -> tuple[tuple[slice, slice, slice], Mask] | None:
    """The voxels of a segment, each frame where it lies."""
    depth, rows, columns = source.volume.spatial_shape
    inside = _inside(seg)
    planes: dict[int, Mask] = {}
    for spot in where:
        if spot.segment not in (0, number) or not 0 <= spot.slice < depth:
            continue
        mask = inside(seg.get_stored_frame(spot.number), number)
        top, left = max(0, -spot.row), max(0, -spot.column)
        bottom, right = min(mask.shape[0], rows - spot.row), min(mask.shape[1], columns - spot.column)
        part = mask[top:bottom, left:right] if bottom > top and right > left else mask[:0]
        if part.any():
            plane = planes.setdefault(spot.slice, np.zeros((rows, columns), dtype=np.bool_))
            plane[spot.row + top : spot.row + bottom, spot.column + left : spot.column + right] |= part
    if not planes:
        return None
    first, last = min(planes), max(planes)
    whole = np.zeros((last - first + 1, rows, columns), dtype=np.bool_)
    for index, plane in planes.items():
        whole[index - first] = plane
    return _cropped(whole, (first, 0, 0))


def _resampled(seg: SegObject, number: int, source: SourceSeries) -> tuple[tuple[slice, slice, slice], Mask] | None:
    """The voxels of the images whose centres lie in a voxel of the segment."""
    try:
        volume = seg.get_volume(segment_numbers=[number], rescale_fractional=False)
    except (ValueError, RuntimeError) as error:
        raise Unsuitable("SEG: frames that lie neither on the images nor on a grid of their own") from error
    array = np.asarray(volume.array)[..., 0]
    if seg.SegmentationType == "FRACTIONAL":
        mask = _inside(seg)(array, number)
    else:
        mask = array != 0
    to_seg = np.linalg.inv(np.asarray(volume.affine)) @ np.asarray(source.volume.affine)
    corners = np.stack(np.meshgrid(*((-0.5, size - 0.5) for size in mask.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    back = np.linalg.inv(to_seg)
    ends = corners @ back[:3, :3].T + back[:3, 3]
    low = np.maximum(np.ceil(ends.min(axis=0)), 0).astype(int)
    high = np.minimum(np.floor(ends.max(axis=0)) + 1, source.volume.spatial_shape).astype(int)
    if (high <= low).any():
        return None
    found = ndimage.affine_transform(
        mask.astype(np.uint8),
        to_seg[:3, :3],
        offset=to_seg[:3, :3] @ low + to_seg[:3, 3],
        output_shape=tuple(high - low),
        order=0,
        mode="grid-constant",
    )
    return _cropped(found.astype(np.bool_), (int(low[0]), int(low[1]), int(low[2])))


def _cropped(mask: Mask, corner: tuple[int, int, int]) -> tuple[tuple[slice, slice, slice], Mask] | None:
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes or boxes[0] is None:
        return None
    inner = boxes[0]
    places = [slice(side.start + first, side.stop + first) for side, first in zip(inner, corner, strict=True)]
    return (places[0], places[1], places[2]), mask[inner].copy()
