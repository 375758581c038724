"""Planes through a volume, and where their left, right, top and bottom lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import Volume
from numpy.typing import NDArray

#: Letters of PS3.3 C.7.6.1.1.1 along the LPS axes, (towards more, towards less).
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_PLANES = ("sagittal", "coronal", "axial")

#: Sine of the turn from which a second letter is given: an angle that a reader can see at the edge of a picture.
_OBLIQUE = float(np.sin(np.deg2rad(5)))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One plane of voxels as it is looked at.

    Attributes
    ----------
    axes
        Axes of the volume that run down and to the right.
    flips
        Whether these run against the indices.
    axis, index
        The axis that the plane stands on, and its place along it.
    spacing_mm
        Downwards and to the right.
    letters
        Of the left, right, top and bottom edge.
    plane
        `axial`, `oblique coronal` ….
    """

    axes: tuple[int, int]
    flips: tuple[bool, bool]
    axis: int
    index: int
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    letters: tuple[str, str, str, str]
    plane: str

    def of(self, array: NDArray[Any]) -> NDArray[Any]:
        """The plane of an array on the volume's grid, (down, right)."""
        plane = np.take(array, self.index, axis=self.axis)
        if self.axes[0] > self.axes[1]:
            plane = plane.T
        shown: NDArray[Any] = plane[:: -1 if self.flips[0] else 1, :: -1 if self.flips[1] else 1]
        return shown

    def span(self, low: tuple[float, ...], high: tuple[float, ...]) -> tuple[float, float, float, float]:
        """A box of the volume in this plane: top, left, bottom, right in voxels from the upper left corner.

        Parameters
        ----------
        low, high
            Corners in voxel indices, edges included: the first voxel begins at -0.5.
        """
        edges = []
        for axis, flip, length in zip(self.axes, self.flips, self.shape, strict=True):
            first, last = low[axis] + 0.5, high[axis] + 0.5
            edges.append((length - last, length - first) if flip else (first, last))
        return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def along_slices(volume: Volume, index: int) -> View:
    """Slice `index` as it is stored, the way every viewer shows it."""
    return _view(volume, 0, index, (1, 2), (False, False))


def across(volume: Volume, axis: int, index: int) -> View:
    """A plane at a right angle to the slices, turned as radiologists look at it.

    Head or front is above, the patient's right side or front to the left.
    """
    directions = _directions(volume)
    first, second = (other for other in range(3) if other != axis)
    # Whatever runs most along the body stands upright; in an axial plane that is front to back.
    upright = np.abs(directions[:, 2]) * 2 + np.abs(directions[:, 1])
    down, right = (first, second) if upright[first] >= upright[second] else (second, first)
    return _view(volume, axis, index, (down, right), (_upwards(directions[down]), _against(directions[right])))


def letters_of(direction: NDArray[np.float64]) -> str:
    """The side of the patient that a direction points to; a second letter where it is oblique."""
    order = np.argsort(-np.abs(direction), kind="stable")
    told = [axis for place, axis in enumerate(order[:2]) if place == 0 or abs(direction[axis]) >= _OBLIQUE]
    return "".join(_LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in told)


def _view(volume: Volume, axis: int, index: int, axes: tuple[int, int], flips: tuple[bool, bool]) -> View:
    directions = _directions(volume)
    down, right = (directions[one] * (-1 if flip else 1) for one, flip in zip(axes, flips, strict=True))
    normal = np.cross(right, down)
    name = _PLANES[int(np.argmax(np.abs(normal)))]
    spacing, shape = volume.spacing, volume.shape
    return View(
        axes=axes,
        flips=flips,
        axis=axis,
        index=index,
        shape=(int(shape[axes[0]]), int(shape[axes[1]])),
        spacing_mm=(float(spacing[axes[0]]), float(spacing[axes[1]])),
        letters=(letters_of(-right), letters_of(right), letters_of(-down), letters_of(down)),
        plane=name if np.sort(np.abs(normal))[-2] < _OBLIQUE else f"oblique {name}",
    )


def _directions(volume: Volume) -> NDArray[np.float64]:
    """Unit vectors of the axes in LPS, one row each."""
    columns = np.asarray(volume.affine, dtype=float)[:3, :3].T
    return np.asarray(columns / np.linalg.norm(columns, axis=1, keepdims=True))


def _upwards(direction: NDArray[np.float64]) -> bool:
    """Whether an axis that is to run downwards runs towards the head, or towards the front in an axial plane."""
    axis = int(np.argmax(np.abs(direction)))
    return bool(direction[axis] > 0) if axis == 2 else bool(direction[axis] < 0)


def _against(direction: NDArray[np.float64]) -> bool:
    """Whether an axis that is to run to the right runs towards the patient's right, the front or the feet."""
    axis = int(np.argmax(np.abs(direction)))
    return bool(direction[axis] < 0)
