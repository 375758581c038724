"""Draws a returned SEG on the images it was made from, read as any other viewer would read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset, dcmread

from dicomnode.infer.read.volume import read_series
from dicomnode.report.pictures import outline_png

_SEG = "1.2.840.10008.5.1.4.1.1.66.4"
_COLOURS = {1: (255, 170, 60), 2: (90, 200, 255), 3: (120, 255, 120), 4: (255, 110, 200)}
#: Planes of SEG and source are the same ones if they are this close; decimal strings round positions.
_TOLERANCE_MM = 1e-3


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
    segments = hd.seg.Segmentation.from_dataset(mask)
    labels = (
        segments.get_volume(combine_segments=True, relabel=False).match_geometry(source.volume, tol=_TOLERANCE_MM).array
    )
    middle = int(np.argmax((labels > 0).sum(axis=(1, 2))))
    captions = [f"{item.SegmentLabel}" for item in mask.SegmentSequence]
    _, row, column = source.volume.spacing
    target.write_bytes(
        outline_png(
            source.volume.array[middle],
            labels[middle].astype(np.uint8),
            {int(item.SegmentNumber): _COLOURS[int(item.SegmentNumber) % 4 or 4] for item in mask.SegmentSequence},
            ["dicomnode demo; not for diagnosis", *captions],
            pixel_spacing_mm=(row, column),
        )
    )
    return target


def _sop_instance_uid(path: Path) -> str:
    return str(
        dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True, force=True).get("SOPInstanceUID")
    )
