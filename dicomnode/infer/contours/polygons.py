"""Fills polygons on the grid of an image by the even-odd rule, at the centres of its pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def filled(polygons: Iterable[Points], shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    """The pixels whose centres lie inside an odd number of the polygons.

    So a contour in a contour is a hole and one in that is full again, and a channel that joins an outer with an inner
    contour (a keyhole, PS3.3 C.8.8.6.3) has no width. What lies beyond the image is cut off.

    Parameters
    ----------
    polygons
        Corners (row, column) in pixels, shape (n, 2); the last is joined with the first. Pixel i has its centre at i.
    shape
        Rows and columns.

    Returns
    -------
    ndarray
        bool, (row, column). A centre on an edge belongs to the region at larger row and column, so that two regions
        that share an edge share no pixel.
    """
    rows, columns = shape
    crossings = np.zeros((rows, columns + 1), dtype=np.int32)
    for corners in polygons:
        ends = np.roll(corners, -1, axis=0)
        low, high = np.minimum(corners[:, 0], ends[:, 0]), np.maximum(corners[:, 0], ends[:, 0])
        first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
        last = np.clip(np.ceil(high), 0, rows).astype(np.int64)
        counts = last - first
        edges = np.repeat(np.arange(len(corners)), counts)
        if not len(edges):
            continue
        # The rows that each edge crosses, one after the other: first, first + 1, …
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        at = first[edges] + np.arange(len(edges)) - starts
        begin, end = corners[edges], ends[edges]
        # An edge gives the same place whichever way it is walked, or the two sides of a keyhole would leave a crack.
        swap = begin[:, 0] > end[:, 0]
        begin[swap], end[swap] = end[swap], begin[swap].copy()
        share = (at - begin[:, 0]) / (end[:, 0] - begin[:, 0])
        place = begin[:, 1] + share * (end[:, 1] - begin[:, 1])
        np.add.at(crossings, (at, np.clip(np.ceil(place), 0, columns).astype(np.int64)), 1)
    return (np.cumsum(crossings[:, :columns], axis=1) & 1).astype(np.bool_)
