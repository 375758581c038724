"""Draws the mask of a stored result on the one image that shows most of it, without reading the rest of the series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.picture import on_planes
from dicomnode.infer.read.faults import reading
from dicomnode.infer.read.volume import read_series
from dicomnode.report.preview import preview_png

#: A picture beside a table is not worth more of the machine than this: bytes of either file, voxels of the mask.
_MOST_BYTES = 256 << 20
_MOST_VOXELS = 1 << 28

#: Modalities whose images hold letters only where they say so; others may show a name without saying it.
_WITHOUT_LETTERS = frozenset({"CT", "MR", "PT", "NM"})


def preview(mask: Path, sources: Mapping[str, Path], *, sees_names: bool) -> bytes:
    """A PNG of one slice with the outlines of a SEG or Label Map.

    Parameters
    ----------
    mask
        The stored result.
    sources
        SOP Instance UID → file of the images that it was made from.
    sees_names
        Whether images may be shown that could have a name burnt into them.

    Raises
    ------
    Unsuitable
        There is no mask, its image is not here, is too large, may name the patient, or cannot be read.
    """
    _require_small(mask)
    with reading("preview", "needed a mask that can be drawn"):
        ds = dcmread(mask)
        uid = _fullest(ds)
        if uid not in sources:
            raise Unsuitable("preview: the image that the mask was drawn on is not here any more")
        _require_small(sources[uid])
        source = read_series([sources[uid]])
        if not sees_names and _may_name(source.datasets[0]):
            raise Unsuitable("preview: the image may have the patient's name burnt into it")
        labels = on_planes(hd.seg.Segmentation.from_dataset(ds), source)
        index = int(np.argmax(np.count_nonzero(labels, axis=(1, 2))))
        names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in ds.SegmentSequence}
        return preview_png(source, index, labels[index], names)


def _fullest(ds: Dataset) -> str:
    """SOP Instance UID of the image with most voxels of the mask."""
    if int(ds.NumberOfFrames) * int(ds.Rows) * int(ds.Columns) > _MOST_VOXELS:
        raise Unsuitable("preview: the mask is too large to be drawn here")
    frames = ds.pixel_array.reshape(-1, int(ds.Rows), int(ds.Columns))
    sizes = Counter[str]()
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        for derivation in groups.get("DerivationImageSequence", ()):
            for item in derivation.get("SourceImageSequence", ()):
                sizes[str(item.ReferencedSOPInstanceUID)] += int(np.count_nonzero(frame))
    if not sizes:
        raise Unsuitable("preview: the mask names no image")
    return sizes.most_common(1)[0][0]


def _require_small(path: Path) -> None:
    if not path.is_file():
        raise Unsuitable("preview: the file is not here any more")
    if path.stat().st_size > _MOST_BYTES:
        raise Unsuitable("preview: the file is too large to be drawn here")


def _may_name(ds: Dataset) -> bool:
    burnt = str(ds.get("BurnedInAnnotation") or "").strip().upper()
    return burnt == "YES" or (burnt != "NO" and str(ds.get("Modality") or "") not in _WITHOUT_LETTERS)
