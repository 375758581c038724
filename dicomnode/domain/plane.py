"""Names the anatomical plane in which slices lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: By the direction of the slices' normal, left-right, front-back, head-foot.
PLANES = ("sagittal", "coronal", "axial")
OBLIQUE = "oblique"

#: Slices are of a plane when their normal deviates by less than 37 degrees from its axis: more than any positioning or
#: gantry tilt makes of an upright stack, and two axes cannot both be that near.
LEAST_COSINE = 0.8


def plane_of(row: Sequence[float], column: Sequence[float]) -> str:
    """The plane of slices, judged by their normal alone: a head turned within the slices leaves the plane as it is.

    Parameters
    ----------
    row, column
        Directions along a row and along a column, LPS (both halves of Image Orientation (Patient), PS3.3
        C.7.6.2.1.1), or vectors of any length along them.

    Returns
    -------
    str
        `axial`, `coronal`, `sagittal`, or `oblique` where the normal lies along no axis or there is none.
    """
    row_x, row_y, row_z = (float(value) for value in row)
    column_x, column_y, column_z = (float(value) for value in column)
    normal = (
        row_y * column_z - row_z * column_y,
        row_z * column_x - row_x * column_z,
        row_x * column_y - row_y * column_x,
    )
    length = math.hypot(*normal)
    for part, name in zip(normal, PLANES, strict=True):
        if abs(part) > LEAST_COSINE * length:
            return name
    return OBLIQUE
