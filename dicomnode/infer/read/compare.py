"""Tells whether two files show the same pixels, whatever their transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from dicomnode.infer.read.faults import READ_FAULTS


def same_pixels(first: Path, second: Path) -> bool:
    """Whether both files decode to identical pixels; False when either cannot be decoded, since nobody can tell."""
    try:
        one, other = (pixel_array(dcmread(path), raw=True) for path in (first, second))
    except READ_FAULTS:
        return False
    return one.dtype == other.dtype and np.array_equal(one, other)
