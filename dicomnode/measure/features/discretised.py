"""A region's intensities put into bins, once for all feature classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics import imageoperations

from dicomnode.measure.features.texture import Texture, texture


@dataclass(frozen=True, slots=True, kw_only=True)
class Discretised:
    """One image of a region.

    Attributes
    ----------
    values
        Intensities of the region's voxels, in their order.
    found
        Their grey levels, from 1 on.
    mask
        The region in its bounding box, (slice, row, column).
    present, voxels
        The grey levels that occur, ascending, and how many voxels have each.
    texture
        What lies beside what; None where pyradiomics counts itself.
    """

    values: NDArray[Any] = field(repr=False)
    found: NDArray[np.int64] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    present: NDArray[np.int64]
    voxels: NDArray[np.int64] = field(repr=False)
    texture: Texture | None = field(repr=False, default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the bounding box, which pyradiomics asks of an image."""
        return self.mask.shape

    @property
    def levels(self) -> NDArray[np.int64]:
        """The grey levels in the bounding box, 0 outside of the region, for pyradiomics' own code."""
        block = np.zeros(self.mask.shape, dtype=np.int64)
        block[self.mask] = self.found
        return block


def discretised(
    image: NDArray[Any], mask: NDArray[np.bool_], settings: Mapping[str, Any], *, textures: bool
) -> Discretised:
    """The grey levels of a region by the settings `binWidth` or `binCount`.

    Parameters
    ----------
    textures
        Whether neighbours are wanted.
    """
    values = image[mask]
    # The edges of bins depend on the least and the greatest value alone, by width as by count.
    ends = np.array([values.min(), values.max()], dtype=values.dtype)
    found = np.digitize(values, _edges(ends, settings))
    counted = np.bincount(found)
    present = np.flatnonzero(counted)
    near = textures and list(settings.get("distances", [1])) == [1] and not settings.get("force2D", False)
    return Discretised(
        values=values,
        found=found,
        mask=mask,
        present=present,
        voxels=counted[present],
        texture=texture(found, mask, present) if near else None,
    )


def _edges(ends: NDArray[Any], settings: Mapping[str, Any]) -> NDArray[Any]:
    origin = settings.get("binOrigin")
    found: NDArray[Any]
    if origin is None or settings.get("binCount") is not None:
        found = np.asarray(imageoperations.getBinEdges(ends, **dict(settings)))
    else:
        width = settings.get("binWidth", 25)
        found = origin + width * np.arange(int((ends[1] - origin) // width) + 2)
    return found
