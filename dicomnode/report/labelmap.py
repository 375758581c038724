"""The mask as a Label Map Segmentation, for destinations that list it, and its self-check."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from pydicom import Dataset, dcmread

from dicomnode.domain.errors import EncodingError
from dicomnode.domain.finding import Findings, Provenance
from dicomnode.domain.uid import ResultUids
from dicomnode.report import segmentation
from dicomnode.report.boundary import encoding
from dicomnode.report.check import deviation_mm
from dicomnode.report.extent import extent_of
from dicomnode.report.placed import check_code, check_corners, planes_of_frames

ROLE = "labelmap"

#: Number of the segment "Background", which every label map describes since all its pixel values have to be
#: described (PS3.3 C.8.20.2).
_BACKGROUND = 0


def write(findings: Findings, provenance: Provenance, uids: ResultUids, *, background: bool = True) -> Dataset | None:
    """The mask with the segment numbers of the SEG as pixel values, in RLE Lossless; None for an empty mask.

    Parameters
    ----------
    background
        Describe value 0 as a segment, too. Without it OHIF up to 3.13 finds the right colours, and the object breaks
        the rule that every value is described; Pixel Padding Value still says what 0 is.

    Raises
    ------
    EncodingError
        As `segmentation.write`.
    """
    result = segmentation.write(findings, provenance, uids, role=ROLE, labelmap=True)
    if result is not None and not background:
        result.SegmentSequence = [item for item in result.SegmentSequence if item.SegmentNumber != _BACKGROUND]
    return result


def verify(encoded: bytes, findings: Findings, *, background: bool = True) -> None:
    """Compare a label map, frame by frame where its own geometry says, with the mask that it should show.

    Parameters
    ----------
    background
        Whether its background has to be described.

    Raises
    ------
    EncodingError
        If patient, frame of reference, a code, or the place or image of a frame differs, if a frame differs from the
        mask there, if a part of the mask is in no frame, or if other segments are described.
    """
    extent = extent_of(findings)
    with encoding("label map read back"):
        found = dcmread(BytesIO(encoded))
        items = {int(item.SegmentNumber): item for item in found.SegmentSequence}
        frames = found.pixel_array.reshape(-1, found.Rows, found.Columns)
    if set(items) != {*([_BACKGROUND] if background else ()), *extent.numbers.values()}:
        raise EncodingError(f"label map: found segments {sorted(items)}, needed {sorted(extent.numbers.values())}")
    with encoding("label map read back"):
        for segment in extent.segments:
            check_code(items[extent.numbers[segment.number]], segment)
        indices = planes_of_frames("label map", found, findings)
        check_corners("label map", found, indices, findings, deviation_mm(findings))
    left = {int(index) for index in np.flatnonzero(extent.mask.any(axis=(1, 2)))}
    for number, (frame, index) in enumerate(zip(frames, indices, strict=True), start=1):
        needed = np.zeros(frame.shape, dtype=frame.dtype)
        for value, place in extent.numbers.items():
            needed[extent.mask[index] == value] = place
        if not np.array_equal(frame, needed):
            raise EncodingError(f"label map: frame {number} differs from the mask on image {index + 1}")
        left.discard(index)
    if left:
        raise EncodingError(f"label map: no frame shows the mask on {len(left)} images, first on {min(left) + 1}")
