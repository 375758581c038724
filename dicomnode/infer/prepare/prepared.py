"""What the network sees, and the way from its grid back to the voxels of the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.model import NetworkSpec
from dicomnode.infer.prepare.grid import Affine, Grid, Shape
from dicomnode.infer.prepare.interpolate import taken
from dicomnode.infer.prepare.separable import Apart, apart_axis

Floats = npt.NDArray[np.float32]

#: Slices that come back at a time; bounds the memory for probabilities on the source grid to 16 slices per channel.
SLAB = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Volumes as the network wants them, and where they came from.

    Attributes
    ----------
    array
        float32, (input, slice, row, column).
    grid
        Where the voxels of `array` lie.
    source
        The grid to go back to: all of the first volume.
    spacings_mm
        Along the axes of `array`, as the last step `respace` found it and as its bundle asked for; empty without one.
    """

    array: Floats = field(repr=False)
    grid: Grid
    source: Grid
    spacings_mm: tuple[tuple[float, float, float], ...] = ()

    def apart(self, network: NetworkSpec) -> Apart | None:
        """The axis that is interpolated on its own on the way back."""
        if not self.spacings_mm:
            return None
        before, after = self.spacings_mm
        axis = apart_axis(after, before, network.apart_above)
        return None if axis is None else Apart(axis=axis, interpolation=network.apart)

    @property
    def affine(self) -> Affine:
        """From indices (slice, row, column) of `array` to LPS mm, (4, 4)."""
        return self.grid.affine

    @property
    def shape(self) -> Shape:
        """Voxels of the prepared grid along (slice, row, column)."""
        return self.grid.shape

    def on_source(
        self,
        probabilities: npt.NDArray[Any],
        *,
        slab: int = SLAB,
        exclusive: bool = False,
        outside: tuple[float, float] = (0.0, 1.0),
        apart: Apart | None = None,
    ) -> Iterator[tuple[slice, Floats]]:
        """Probabilities at the voxels of the source, a few slices at a time and in order.

        Parameters
        ----------
        probabilities
            (channel, slice, row, column) on the grid of `array`, of any floating type, in memory or mapped from a
            file; channel 0 is the background. Only what a slab needs is converted.
        slab
            Source slices at a time.
        exclusive
            Whether channels add up to one (softmax): the background is then what the others leave, which saves
            interpolating it.
        outside
            Values beyond the prepared grid, of the labels and of the background.
        apart
            An axis of the prepared grid that is interpolated on its own.

        Yields
        ------
        slice, ndarray of float32
            A range of source slices and their probabilities, (channel, slice, row, column): copied where the voxels
            of both grids coincide, else interpolated linearly.
        """
        slices, rows, columns = self.source.shape
        for start in range(0, slices, slab):
            stop = min(start + slab, slices)
            part = self.source.part(((start, stop), (0, rows), (0, columns)))
            found = np.empty((len(probabilities), *part.shape), dtype=np.float32)
            for number, channel in enumerate(probabilities):
                if not (exclusive and number == 0):
                    found[number] = taken(channel, self.grid, part, outside=outside[number == 0], apart=apart)
            if exclusive:
                found[0] = 1
                for channel in found[1:]:
                    found[0] -= channel
            yield slice(start, stop), found

    def index_to_source(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Places in voxels of `array`, (n, 3) as (slice, row, column), in voxels of the source."""
        matrix = self.source.from_(self.grid)
        found: npt.NDArray[np.float64] = points @ matrix[:3, :3].T + matrix[:3, 3]
        return found
