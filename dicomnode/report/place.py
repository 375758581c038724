"""Where voxels lie in a picture, and the colours of what is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnode.report.view import View

BLACK, WHITE, GREY = (0, 0, 0), (255, 255, 255), (150, 150, 150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where voxels of a view lie in a picture.

    Attributes
    ----------
    view
        The plane shown.
    crop
        The part shown, in voxels of the view: top, left, bottom, right.
    corner
        Pixel of the upper left corner, (x, y).
    size
        Of the part in pixels, (width, height).
    """

    view: View
    crop: tuple[int, int, int, int]
    corner: tuple[int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels per voxel, (x, y)."""
        top, left, bottom, right = self.crop
        return self.size[0] / (right - left), self.size[1] / (bottom - top)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(x, y) in the picture of (down, right) in the view, where the first voxel goes from 0 to 1."""
        scale = self.scale
        x = self.corner[0] + (points[:, 1] - self.crop[1]) * scale[0]
        y = self.corner[1] + (points[:, 0] - self.crop[0]) * scale[1]
        return np.stack([x, y], axis=1)
