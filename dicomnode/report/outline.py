"""Outlines on one image in the pixel coordinates of a structured report."""

from __future__ import annotations

import contourpy
import numpy as np
from numpy.typing import NDArray

#: Most vertices: an FL value in Explicit VR has a length of 16 bits (PS3.5 7.1.2) and a vertex takes eight bytes.
_MOST_VERTICES = (2**16 - 2) // 8


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The outer contour of the largest connected part, a closed polyline half-way between pixels in and out.

    Parameters
    ----------
    mask
        Shape (row, column), at least one pixel True.

    Returns
    -------
    Shape (vertex, 2), each (column, row) with the corner of the first pixel at (0, 0) and its centre at (0.5, 0.5)
    (PS3.3 C.18.6.1.2); the last vertex repeats the first. Beyond what one value can hold, every second, third …
    vertex.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    lines = contourpy.contour_generator(z=box.astype(np.float32), line_type=contourpy.LineType.Separate).lines(0.5)
    longest = max((np.asarray(line) for line in lines), key=_enclosed)
    ring = _without_straight(longest[:-1])
    ring = ring[:: -(-(len(ring) + 1) // _MOST_VERTICES)]
    # A pixel of padding to the left and above, half a pixel from centre to corner.
    closed = np.concatenate([ring, ring[:1]]) + np.array([columns[0] - 0.5, rows[0] - 0.5])
    return np.asarray(closed, dtype=np.float32)


def rectangle(low: tuple[float, float], high: tuple[float, float], size: tuple[int, int]) -> NDArray[np.float32]:
    """A box as a closed polyline, cut off at the edges of the image.

    Parameters
    ----------
    low, high
        Corners as (row, column) with the centre of the first pixel at (0, 0).
    size
        Rows and columns of the image.
    """
    top, left = (float(np.clip(edge + 0.5, 0, length)) for edge, length in zip(low, size, strict=True))
    bottom, right = (float(np.clip(edge + 0.5, 0, length)) for edge, length in zip(high, size, strict=True))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return np.array(corners, dtype=np.float32)


def _enclosed(line: NDArray[np.float64]) -> float:
    """Area inside a closed line (the shoelace formula); a hole has less than what surrounds it."""
    x, y = line[:, 0], line[:, 1]
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2)


def _without_straight(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop vertices that lie on the line between their neighbours."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turning = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    kept: NDArray[np.float64] = ring[turning]
    return kept
