"""One picture for people with the places of its voxels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dicomnode.report.canvas import BODY, BOTTOM
from dicomnode.report.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A finished page.

    Attributes
    ----------
    image
        RGB, shape (row, column, 3).
    places
        Where the voxels of its views lie.
    """

    title: str
    image: NDArray[np.uint8] = field(repr=False)
    places: tuple[Place, ...] = ()

    @property
    def body(self) -> NDArray[np.uint8]:
        """Without what stands above and below."""
        return self.image[BODY:BOTTOM]
