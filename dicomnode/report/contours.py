"""The regions of a mask as closed polygons along the edges of its pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import contourpy
import numpy as np
from numpy.typing import NDArray

#: Vertices as (column, row), the corner of the first pixel at (0, 0) and its centre at (0.5, 0.5).
Polygon = NDArray[np.int32]


def polygons(mask: NDArray[np.bool_], most_vertices: int | None = None) -> list[Polygon]:
    """Closed polygons that hold the pixels of a mask and no others; their area is that of the pixels.

    Pixels that share an edge make one polygon; those that meet at a corner alone make two. A hole is joined to the
    boundary above it by a channel without width, gone through twice along the edge between two pixels (a "keyhole",
    PS3.3 C.8.8.6.3), so every polygon is a single path, no two polygons share an area, and filling by the even-odd
    and by the non-zero rule is the same. No edge passes through the centre of a pixel.

    Parameters
    ----------
    mask
        Shape (row, column).
    most_vertices
        A part with more is cut in two between its rows, as often as it takes. Unlimited by default.

    Returns
    -------
    Polygons of shape (vertex, 2), clockwise as the image is shown, the first vertex not repeated; none for an empty
    mask.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    cropped = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    shift = np.array([left, top], dtype=np.int32)
    found: list[Polygon] = []
    for polygon in _paths(cropped):
        if most_vertices is None or len(polygon) <= most_vertices or polygon[:, 1].max() - polygon[:, 1].min() < 2:
            found.append(polygon + shift)
        else:
            found += [part + shift for half in _halves(polygon) for part in polygons(half, most_vertices)]
    return found


def filled(rings: list[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside an odd number of polygons' windings (the even-odd rule).

    Parameters
    ----------
    rings
        Vertices as (column, row) with the centre of the first pixel at (0.5, 0.5); closed or not.
    shape
        Rows and columns; what lies outside is cut off.
    """
    crossed = np.zeros((shape[0], shape[1] + 1), dtype=bool)
    for ring in rings:
        _cross(crossed, ring)
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def _cross(crossed: NDArray[np.bool_], ring: NDArray[np.float64]) -> None:
    """Flip, in every row that an edge passes, the first pixel to the right of it."""
    start, end = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # The centre of row i, at i + 0.5, is passed by edges with low <= centre < high: each vertex counts once.
    first = np.clip(np.ceil(low - 0.5), 0, len(crossed)).astype(np.intp)
    last = np.clip(np.ceil(high - 0.5), 0, len(crossed)).astype(np.intp)
    counts = last - first
    edge = np.repeat(np.arange(len(ring)), counts)
    if not len(edge):
        return
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    along = (row + 0.5 - start[edge, 1]) / (end[edge, 1] - start[edge, 1])
    column = start[edge, 0] + along * (end[edge, 0] - start[edge, 0])
    place = np.clip(np.ceil(column - 0.5), 0, crossed.shape[1] - 1).astype(np.intp)
    np.logical_xor.at(crossed, (row, place), True)


def _halves(polygon: Polygon) -> Iterator[NDArray[np.bool_]]:
    """The upper and the lower half of the pixels inside, each on a grid that begins at the origin."""
    inside = filled([polygon.astype(np.float64)], (int(polygon[:, 1].max()), int(polygon[:, 0].max())))
    middle = (int(polygon[:, 1].min()) + int(polygon[:, 1].max())) // 2
    for part in (slice(None, middle), slice(middle, None)):
        half = np.zeros_like(inside)
        half[part] = inside[part]
        yield half


def _paths(mask: NDArray[np.bool_]) -> Iterator[Polygon]:
    """One path for every part of a mask."""
    steps, offsets = _traced(mask)
    starts, lengths = offsets[:-1], np.diff(offsets)
    before, after = np.arange(len(steps)) - 1, np.arange(len(steps)) + 1
    before[starts], after[offsets[1:] - 1] = offsets[1:] - 1, starts
    x, y = steps[:, 0].astype(np.int64), steps[:, 1].astype(np.int64)
    # Twice the area by the shoelace formula; positive is clockwise with rows counted downwards.
    areas = np.add.reduceat(x[before] * y - x * y[before], starts)
    keys = y * (mask.shape[1] + 1) + x
    # The leftmost of the uppermost corners; a ring comes by there once.
    tops = np.flatnonzero(keys == np.repeat(np.minimum.reduceat(keys, starts), lengths))
    holes = np.flatnonzero(areas < 0)
    hooks = _hooks(steps, tops[holes], mask.shape)
    keep = (steps - steps[before] != steps[after] - steps).any(axis=1)
    keep[tops[holes]] = keep[hooks] = True
    places = np.concatenate([[0], np.cumsum(keep)])
    vertices, begins = steps[keep], places[offsets].tolist()
    above = np.searchsorted(starts, hooks, side="right") - 1
    hung: dict[int, list[tuple[int, int]]] = {}
    for ring, place, hole in sorted(zip(above.tolist(), places[hooks].tolist(), holes.tolist(), strict=True)):
        hung.setdefault(ring, []).append((place, hole))
    first = dict(zip(holes.tolist(), places[tops[holes]].tolist(), strict=True))

    def around(ring: int) -> Iterator[slice | int]:
        begin, end, detours = begins[ring], begins[ring + 1], hung.get(ring, [])
        if ring in first:
            yield from _walk(first[ring], end, detours)
            yield from _walk(begin, first[ring] + 1, detours)
        else:
            yield from _walk(begin, end, detours)

    for ring in np.flatnonzero(areas > 0).tolist():
        spans: list[slice] = []
        # A stack of our own, as holes hang on holes as often as an image has rows.
        pending = [around(ring)]
        while pending:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
            elif isinstance(step, slice):
                spans.append(step)
            else:
                pending.append(around(step))
        yield np.concatenate([vertices[span] for span in spans])


def _hooks(steps: Polygon, tops: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Index of the corner straight above the top of each hole where its part ends, the first met going up.

    Both pixels below that corner belong to the part, so the boundary is the part's own, and no second one touches it
    there.
    """
    if not len(tops):
        return tops
    owner = np.full((shape[0] + 1, shape[1] + 1), -1, dtype=np.intp)
    owner[steps[:, 1], steps[:, 0]] = np.arange(len(steps))
    rows = np.where(owner >= 0, np.arange(len(owner))[:, None], -1)
    nearest = np.maximum.accumulate(rows, axis=0)
    columns = steps[tops, 0]
    found: NDArray[np.intp] = owner[nearest[steps[tops, 1] - 1, columns], columns]
    return found


def _walk(begin: int, end: int, detours: Sequence[tuple[int, int]]) -> Iterator[slice | int]:
    """Spans of vertices from `begin` to before `end`; where a hole hangs, its number between two that share a vertex.

    Parameters
    ----------
    detours
        Vertex and hole, by rising vertex.
    """
    for place, hole in detours:
        if begin <= place < end:
            yield slice(begin, place + 1)
            yield hole
            begin = place
    yield slice(begin, end)


def _traced(mask: NDArray[np.bool_]) -> tuple[Polygon, NDArray[np.intp]]:
    """Every boundary by unit steps, shape (step, 2), one after the other, and where each begins; last, the end.

    contourpy's line at half height passes every edge between a pixel in and a pixel out at its middle. Two such edges
    in a row share a corner, which is the step. Where pixels meet at a corner alone it keeps them apart, as their mean
    is not above half height. Inside lies to the right, of outer boundaries and of holes.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    generator = contourpy.contour_generator(z=padded, line_type=contourpy.LineType.ChunkCombinedOffset)
    # One chunk, as none is asked for; the library's annotations do not follow the type of line.
    lines: Any = generator.lines(0.5)
    (points,), (offsets,) = lines
    middles, ends = np.asarray(points), np.asarray(offsets, dtype=np.intp)
    last = np.zeros(len(middles), dtype=bool)
    last[ends[1:] - 1] = True
    following = np.roll(middles, -1, axis=0)
    # An edge between neighbours in a row has its middle at a half column; the corner shared by one of each kind lies at
    # the half column of one and at the half row of the other, and that of two of a kind midway between them.
    half = middles % 1 != 0
    half_next = following % 1 != 0
    corner = np.where(half & ~half_next, middles, np.where(half_next & ~half, following, (middles + following) / 2))
    # Padding by one pixel, half a pixel from centre to corner.
    steps = np.rint(corner[~last] - 0.5).astype(np.int32)
    return steps, ends - np.arange(len(ends))
