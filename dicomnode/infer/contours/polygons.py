"""Fills polygons on the grid of an image at the centres of its pixels: by the even-odd rule, or as parts and holes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def united(polygons: Sequence[Points], shape: Sequence[int]) -> tuple[npt.NDArray[np.bool_], bool]:
    """The pixels of contours that are no part of each other's definition (CLOSED_PLANAR, PS3.3 C.8.8.6.3).

    One that lies within another is a hole, one within that is full again; contours that merely overlap are parts of
    one region, and what they share belongs to it.

    Parameters
    ----------
    polygons, shape
        As for `filled`.

    Returns
    -------
    ndarray
        bool, (row, column).
    bool
        Whether any overlap without one lying within the other.
    """
    whole = np.zeros(tuple(shape), dtype=np.bool_)
    if len(polygons) < 2:
        return filled(polygons, shape), False
    corners = np.concatenate(polygons)
    low = np.clip(np.floor(corners.min(axis=0)), 0, shape).astype(np.int64)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, low, shape).astype(np.int64)
    masks = [filled([one - low], high - low) for one in polygons]
    # Those of one size do not lie within each other: the same pixels drawn twice are no hole.
    sizes = [int(mask.sum()) for mask in masks]
    order = sorted((number for number, size in enumerate(sizes) if size), key=lambda number: -sizes[number])
    levels: list[npt.NDArray[np.bool_]] = []
    depths: dict[int, int] = {}
    overlap = False
    for number in order:
        mask = masks[number]
        depth = 0
        for other in depths:
            shared = int((mask & masks[other]).sum())
            if shared == sizes[number] < sizes[other]:
                depth = max(depth, depths[other] + 1)
            elif 0 < shared < sizes[number]:
                overlap = True
        depths[number] = depth
        if depth == len(levels):
            levels.append(np.zeros_like(mask))
        levels[depth] |= mask
    inner = whole[low[0] : high[0], low[1] : high[1]]
    for depth, level in enumerate(levels):
        inner[level] = depth % 2 == 0
    return whole, overlap


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
