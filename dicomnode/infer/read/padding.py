"""Pixels that stand for no pixel at all: where they are, and whether their value could as well be tissue."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.infer.read.faults import reading
from dicomnode.infer.read.frame import Frame
from dicomnode.infer.read.rescale import Rescale

Values = npt.NDArray[Any]

#: (row, column); None where every pixel is one.
Outside = npt.NDArray[np.bool_] | None

#: What fills a body and its surroundings in CT: emphysema ends above -950 HU, dense bone and teeth below 3000 HU.
#: Where padding lies between, as the 0 that careless writers state in images stored in HU, it cannot be told from them.
TISSUE_HU = (-900.0, 3000.0)


def padding_of(frame: Frame, values: Values) -> Outside:
    """Where stored values stand for no pixel at all (PS3.3 C.7.5.1.1.2), (row, column); None where none does."""
    outside = None
    if values.dtype.kind in "iu":
        ends = _ends(frame, values.dtype)
        if ends is not None:
            low, high = ends
            outside = values == low if low == high else (values >= low) & (values <= high)
    elif values.dtype.kind == "f":
        outside = ~np.isfinite(values)
        padding = frame.first("FloatPixelPaddingValue", frame.first("DoubleFloatPixelPaddingValue"))
        if padding is not None:
            outside |= values == values.dtype.type(padding)
    return outside if outside is not None and outside.any() else None


def tissue_hu(frame: Frame, rescale: Rescale) -> tuple[float, float] | None:
    """Both ends of a CT image's padding in HU where it could be tissue; None where it could not, or there is none."""
    image = frame.image
    ends = None
    if image.kind != "f":
        ends = _ends(frame, np.dtype(f"{image.kind}{image.bits_allocated // 8}"))
    if ends is None:
        return None
    looked_up = rescale.looked_up(np.array(ends, dtype=np.int64))
    low, high = sorted((looked_up.astype(np.float64) * rescale.slope + rescale.intercept).tolist())
    # A range that goes beyond the densest tissue is what lies above a scale's end, as 4000 to 4095.
    return (low, high) if TISSUE_HU[0] < high < TISSUE_HU[1] else None


def _ends(frame: Frame, kind: np.dtype[Any]) -> tuple[int, int] | None:
    """The least and the greatest stored value that are padding."""
    with reading(frame.subject, "needed readable padding values", frame.image.dataset):
        padding, limit = frame.first("PixelPaddingValue"), frame.first("PixelPaddingRangeLimit")
        if not isinstance(padding, int):
            return None
        # Writers take the wrong one of two value representations here; the bits are right either way.
        ends = np.array([padding, padding if limit is None else int(limit)], dtype=np.int64).astype(kind)
    return int(ends.min()), int(ends.max())
