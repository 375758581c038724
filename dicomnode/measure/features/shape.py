"""Shape features of pyradiomics, whose mesh and diameters take linear time on large regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import cShape
from scipy.spatial import ConvexHull
from SimpleITK import GetArrayViewFromImage

from dicomnode.measure.mesh import mesh_surface

#: pyradiomics compares every vertex with every other: 3 000 take it 0.02 s (measured), as long as it takes here, 10 000
#: ten times that.
MOST_VERTICES_IN_C = 3_000

#: Fewer points than this are compared with each other sooner than their hull is found.
_FEW = 32

#: Rounding of the upper bound below which a plane is not looked at: some units in the last place of a double.
_ROUNDING = 1e-12

Points = NDArray[np.int64]


class LinearShape:
    """Goes before pyradiomics' `RadiomicsShape`, whose mesh and diameters it finds another way.

    Diameters and axes are those of pyradiomics to the last bit. Area and volume of a mesh of more than
    `MOST_VERTICES_IN_C` vertices are summed in another order, which changes their last digits (1e-12 of the value,
    measured on random surfaces); smaller ones come from pyradiomics itself.
    """

    inputImage: Any  # noqa: N815 (as the next, pyradiomics' name)
    inputMask: Any  # noqa: N815
    label: int

    def _initSegmentBasedCalculation(self) -> None:  # noqa: N802 (pyradiomics' name)
        mask: NDArray[np.bool_] = GetArrayViewFromImage(self.inputMask) == self.label
        self.pixelSpacing = np.array(self.inputImage.GetSpacing()[::-1])
        self.maskArray = np.pad(mask, 1)
        self.labelledVoxelCoordinates = np.nonzero(self.maskArray)
        self.SurfaceArea, self.Volume, self.diameters = coefficients(self.maskArray, self.pixelSpacing)
        place = np.array(self.labelledVoxelCoordinates, dtype=np.int64).T * self.pixelSpacing
        place -= np.mean(place, axis=0)
        place /= np.sqrt(len(place))
        eigenvalues = np.linalg.eigvals(np.dot(place.T.copy(), place))
        # pyradiomics' limit: a flat region has an eigenvalue of zero, which rounding may make negative.
        eigenvalues[(eigenvalues < 0) & (eigenvalues > -1e-10)] = 0
        self.eigenValues = np.sort(eigenvalues)


def coefficients(mask: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> tuple[float, float, tuple[float, ...]]:
    """Area in mm², volume in mm³ and diameters in mm (in slice, row and column planes, and in space) of the mesh.

    Parameters
    ----------
    mask
        bool, shape (slice, row, column), the bounding box with a border of one empty voxel.
    """
    vertices = _vertices(mask)
    if len(vertices) <= MOST_VERTICES_IN_C:
        area, volume, diameters = cShape.calculate_coefficients(np.ascontiguousarray(mask), spacing_mm)
        return float(area), float(volume), tuple(float(value) for value in diameters)
    area, volume = mesh_surface(mask[1:-1, 1:-1, 1:-1], [float(length) for length in spacing_mm])
    planes = [_in_planes(vertices, axis, spacing_mm) for axis in range(3)]
    ends = _ends(vertices, 0, 1, 2)
    squared = [*planes, _farthest(ends[ConvexHull(ends).vertices], spacing_mm)]
    return area, volume, tuple(float(np.sqrt(value)) for value in squared)


def _vertices(mask: NDArray[np.bool_]) -> Points:
    """Vertices of the mesh in half voxels, shape (n, 3): half-way between a voxel inside and a neighbour outside."""
    found = []
    for axis in range(3):
        steps = np.argwhere(np.diff(mask, axis=axis)) * 2
        steps[:, axis] += 1
        found.append(steps)
    return np.concatenate(found)


def _ends(points: Points, plane: int, line: int, along: int) -> Points:
    """The first and the last point on every line; no other is a vertex of a hull. Sorted by plane."""
    ordered = points[np.lexsort((points[:, along], points[:, line], points[:, plane]))]
    changes = np.flatnonzero(np.diff(ordered[:, plane]) | np.diff(ordered[:, line]))
    kept = np.unique(np.concatenate([[0], changes + 1, changes, [len(ordered) - 1]]))
    found: Points = ordered[kept]
    return found


def _in_planes(vertices: Points, axis: int, spacing_mm: NDArray[np.float64]) -> float:
    """Square of the largest distance of two vertices of one plane."""
    line, along = (other for other in range(3) if other != axis)
    ends = _ends(vertices, axis, line, along)
    planes = np.split(ends, np.flatnonzero(np.diff(ends[:, axis])) + 1)
    bounds = np.array([float((((np.ptp(plane, axis=0) / 2) * spacing_mm) ** 2).sum()) for plane in planes])
    best = 0.0
    for number in np.argsort(-bounds):
        if bounds[number] < best * (1 - _ROUNDING):
            break
        plane = planes[number]
        flat = plane[:, [line, along]]
        if len(plane) > _FEW and (np.ptp(flat, axis=0) > 0).all() and not _collinear(flat):
            plane = plane[ConvexHull(flat).vertices]
        best = max(best, _farthest(plane, spacing_mm))
    return best


def _collinear(points: Points) -> bool:
    first, second = points[0], points[-1]
    to = points - first
    return not np.any(to[:, 0] * (second - first)[1] - to[:, 1] * (second - first)[0])


def _farthest(points: Points, spacing_mm: NDArray[np.float64]) -> float:
    """Largest squared distance, rounded as pyradiomics rounds it: place by place, and added in the order of axes."""
    place = points / 2 * spacing_mm
    best = 0.0
    for start in range(0, len(place), _FEW):
        apart: Any = (place[start : start + _FEW, None] - place[None, start:]) ** 2
        best = max(best, float((apart[..., 0] + apart[..., 1] + apart[..., 2]).max()))
    return best
