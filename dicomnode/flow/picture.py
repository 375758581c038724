"""Draws a returned SEG on the images it was made from, read as any other viewer would read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.read.volume import read_series
from dicomnode.report.pictures import outline_png

_SEG = "1.2.840.10008.5.1.4.1.1.66.4"
_COLOURS = {1: (255, 170, 60), 2: (90, 200, 255), 3: (120, 255, 120), 4: (255, 110, 200)}


def draw(paths: Sequence[Path], datasets: Sequence[Dataset], target: Path) -> Path | None:
    """Draw the first SEG among `datasets` on the largest of its slices among the files `paths`.

    Returns the file written, or None if there is no SEG.
    """
    mask = next((ds for ds in datasets if ds.SOPClassUID == _SEG), None)
    if mask is None:
        return None
    used = {
        str(item.ReferencedSOPInstanceUID)
        for series in mask.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    source = read_series([path for path in paths if _sop_instance_uid(path) in used])
    labels = on_planes(hd.seg.Segmentation.from_dataset(mask), source)
    middle = int(np.argmax((labels > 0).sum(axis=(1, 2))))
    image = _image(source, middle)
    captions = [f"{item.SegmentLabel}" for item in mask.SegmentSequence]
    _, row, column = source.volume.spacing
    target.write_bytes(
        outline_png(
            image,
            labels[middle],
            {int(item.SegmentNumber): _COLOURS[int(item.SegmentNumber) % 4 or 4] for item in mask.SegmentSequence},
            ["dicomnode demo; not for diagnosis", *captions],
            pixel_spacing_mm=(row, column),
        )
    )
    return target


def on_planes(mask: hd.seg.Segmentation, source: SourceSeries) -> NDArray[np.uint8]:
    """Segment numbers of a SEG, (plane, row, column), by the images that the frames of the SEG refer to."""
    uids = [str(plane.dataset.SOPInstanceUID) for plane in source.planes]
    frames = [plane.frame_number for plane in source.planes if plane.frame_number is not None]
    if frames:
        labels = mask.get_pixels_by_source_frame(
            uids[0], frames, combine_segments=True, relabel=False, assert_missing_frames_are_empty=True
        )
    else:
        labels = mask.get_pixels_by_source_instance(
            uids, combine_segments=True, relabel=False, assert_missing_frames_are_empty=True
        )
    return np.asarray(labels, dtype=np.uint8)


def _image(source: SourceSeries, index: int) -> NDArray[np.generic]:
    """One plane as it was sent, also where the stack was made upright."""
    image: NDArray[np.generic] = source.volume.array[index]
    if source.tilt is None:
        return image
    (rows, columns), (row, column) = source.tilt.shape, source.tilt.starts[index]
    return image[round(row) : round(row) + rows, round(column) : round(column) + columns]


def _sop_instance_uid(path: Path) -> str:
    return str(
        dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True, force=True).get("SOPInstanceUID")
    )
