"""Diameters of a region: the longest in a plane with its perpendicular one, and the longest in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

Points = NDArray[np.float64]

#: The surface lies half-way between a voxel's centre and its neighbour's, as that of the mesh (IBSI C0JK, L0JK).
_HALF_STEPS_2D = np.array([(0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5)])
_HALF_STEPS_3D = np.array([(0.5, 0.0, 0.0), (-0.5, 0.0, 0.0)])

#: Two pixels of one plane belong together where they share an edge or a corner.
_IN_PLANE = np.zeros((3, 3, 3), dtype=bool)
_IN_PLANE[1] = True

#: Lengths that agree to a nanometre are equal but for rounding.
_DECIMALS_OF_A_TIE = 6

#: Rows of a matrix of distances that are held at once, so that ten thousand points need no gigabyte.
_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The longest diameter in one plane and the longest one perpendicular to it.

    Attributes
    ----------
    long, short
        End points in voxels (slice, row, column), shape (2, 3).
    """

    plane: int
    long_mm: float
    short_mm: float
    long: Points
    short: Points


def axial(mask: NDArray[np.bool_], row_mm: float, column_mm: float) -> Axes | None:
    """Longest diameter over all planes, and its perpendicular one in the same plane.

    None where no plane has two pixels that touch: a single pixel tells of a size below what the image resolves.

    RECIST 1.1 (Eisenhauer et al., Eur J Cancer 45:228-247, 2009, section 3.1.1) takes the longest diameter in the
    plane of measurement, and of a node the short axis as the longest one perpendicular to it. End points lie on the
    outline half-way between pixel centres, where a reader sets callipers and where IBSI lays the mesh of L0JK:
    between centres every lesion would lose a pixel, between outer corners gain a diagonal. Both are diameters of the
    convex hull of a part that hangs together in the plane, so none runs from one part to another. Of equal ones, that
    of the first plane is taken.

    Parameters
    ----------
    mask
        bool, shape (slice, row, column).
    row_mm, column_mm
        Distance of rows and of columns.
    """
    parts, _ = ndimage.label(mask, structure=_IN_PLANE)
    boxes = [
        (number, box)
        for number, box in enumerate(ndimage.find_objects(parts), start=1)
        if (box[1].stop - box[1].start, box[2].stop - box[2].start) != (1, 1)
    ]
    # No diameter is longer than the diagonal of its box, so most parts need no hull.
    bounds = [
        float(np.hypot((rows.stop - rows.start) * row_mm, (columns.stop - columns.start) * column_mm))
        for _, (_, rows, columns) in boxes
    ]
    best = (-1.0, 0)
    outline = far = None
    for place in np.argsort(-np.array(bounds), kind="stable"):
        if bounds[place] < best[0]:
            break
        number, (at, rows, columns) = boxes[place]
        start = np.array((rows.start, columns.start))
        hull_mm = (_outline(parts[at.start, rows, columns] == number) + start) * (row_mm, column_mm)
        pair = farthest(hull_mm)
        rank = (round(_length(hull_mm[list(pair)]), _DECIMALS_OF_A_TIE), -at.start)
        if rank > best:
            best, outline, far = rank, hull_mm, pair
    if outline is None or far is None:
        return None
    plane = -best[1]
    long, short = outline[list(far)], _perpendicular(outline, *far)
    to_voxels = np.array((row_mm, column_mm))
    return Axes(
        plane=plane,
        long_mm=_length(long),
        short_mm=_length(short),
        long=_in_plane(plane, long / to_voxels),
        short=_in_plane(plane, short / to_voxels),
    )


def longest_3d(mask: NDArray[np.bool_], to_mm: NDArray[np.float64]) -> tuple[float, Points]:
    """Maximum 3D Diameter (IBSI L0JK) in mm of a mask that is not empty, and its end points in voxels, shape (2, 3).

    The farthest two vertices of the mesh are vertices of its convex hull, and those lie half a step from voxels that
    are vertices of the hull of their own plane.

    Parameters
    ----------
    to_mm
        Shape (3, 3): what a step along each axis (columns of the matrix) is in mm.
    """
    found = []
    for plane in np.flatnonzero(mask.any(axis=(1, 2))):
        outline, centres = _hull(_ends(mask[plane]))
        found.append(np.insert(outline, 0, float(plane), axis=1))
        found.append((np.insert(centres, 0, float(plane), axis=1)[:, None] + _HALF_STEPS_3D).reshape(-1, 3))
    points = np.concatenate(found)
    hull = points[np.sort(ConvexHull(points).vertices)]
    hull_mm = hull @ to_mm.T
    first, second = farthest(hull_mm)
    return _length(hull_mm[[first, second]]), hull[[first, second]]


def farthest(points: Points) -> tuple[int, int]:
    """Numbers of the two points that are farthest from each other, the first such pair; shape (n, 2 or 3), n ≥ 2."""
    best, pair = -1.0, (0, 0)
    for start in range(0, len(points), _ROWS):
        distances = cdist(points[start : start + _ROWS], points[start:])
        place = int(distances.argmax())
        row, column = divmod(place, distances.shape[1])
        if distances[row, column] > best:
            best, pair = float(distances[row, column]), (start + row, start + column)
    return pair


def _perpendicular(outline: Points, first: int, second: int) -> Points:
    """End points of the longest chord of a convex polygon perpendicular to the diameter between two of its vertices.

    The length of a chord is concave and piecewise linear along the diameter, so that the longest one passes through
    a vertex. No other vertex is level with an end of the diameter, since none is farther from the other end.
    """
    along = (outline[second] - outline[first]) / np.linalg.norm(outline[second] - outline[first])
    across = np.array((-along[1], along[0]))
    place, height = outline @ along, outline @ across
    forth = np.roll(np.arange(len(outline)), -first)
    turn = int(np.flatnonzero(forth == second)[0])
    one, other = forth[: turn + 1], np.concatenate([[first], forth[turn:][::-1]])
    levels = np.sort(place)
    upper, lower = (np.interp(levels, place[chain], height[chain]) for chain in (one, other))
    widest = int(np.abs(upper - lower).argmax())
    return np.array([levels[widest] * along + end[widest] * across for end in (upper, lower)])


def _outline(part: NDArray[np.bool_]) -> Points:
    """Vertices of the hull of a part of a plane, in order round it."""
    return _hull(_ends(part))[0]


def _ends(part: NDArray[np.bool_]) -> Points:
    """First and last pixel of every row, shape (n, 2); the others are no vertices of the hull."""
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([rows, ends], axis=1) for ends in (first, last)]).astype(np.float64)


def _hull(pixels: Points) -> tuple[Points, Points]:
    """Vertices of the hull of pixels with their half steps, in order round it, and the pixels that they stem from."""
    spread = (pixels[:, None] + _HALF_STEPS_2D).reshape(-1, 2)
    vertices = ConvexHull(spread).vertices
    return spread[vertices], pixels[np.unique(vertices // len(_HALF_STEPS_2D))]


def _length(ends: Points) -> float:
    return float(np.linalg.norm(ends[0] - ends[1]))


def _in_plane(plane: int, points: Points) -> Points:
    return np.insert(points, 0, float(plane), axis=1)
