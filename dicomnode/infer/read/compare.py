"""Tells whether two files show the same pixels, whatever their transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from dicomnode.infer.read.faults import READ_FAULTS

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def same_pixels(first: Path, second: Path) -> bool:
    """Whether both files decode to identical pixels, or have none; False when one cannot be decoded, too.

    Raises
    ------
    OSError
        The disk fails, or the process may open no more files: nothing is known of the pixels.
    """
    try:
        objects = [dcmread(path) for path in (first, second)]
        if not any(keyword in ds for ds in objects for keyword in _PIXELS):
            return True
        one, other = (pixel_array(ds, raw=True) for ds in objects)
    except READ_FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return False
    return one.dtype == other.dtype and np.array_equal(one, other)
