"""One input on its way to the network: values, their grid, and the masks found on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import ModelError
from dicomnode.infer.prepare.grid import Grid
from dicomnode.infer.prepare.interpolate import continued, slabs, taken
from dicomnode.infer.prepare.resized import resized
from dicomnode.infer.prepare.separable import Apart

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Values on a grid.

    Attributes
    ----------
    array
        (slice, row, column); of the source's type until a step needs float32.
    masks
        By name (`body`, `lungs`, `foreground`), on the same grid.
    owned
        Whether no one else holds `array`, so that steps may write into it: a second copy of a large volume is more
        than the memory that preparing may take.
    """

    array: Array = field(repr=False)
    grid: Grid
    masks: Mapping[str, Mask] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    owned: bool = False

    def mapped(self, function: Callable[[Floats], Any]) -> Image:
        """Every value as `function` makes it, which is given float32 a few slices at a time and may not change it."""
        result = (
            self.array
            if self.owned and self.array.dtype == np.float32
            else np.empty(self.array.shape, dtype=np.float32)
        )
        for part in slabs(self.grid.shape, 1 << 20):
            result[part] = function(self.array[part].astype(np.float32, copy=False))
        return self.holding(result)

    def holding(self, array: Array) -> Image:
        """Other values on the same grid, which the caller gives away."""
        return replace(self, array=array, owned=True)

    def floats(self) -> Floats:
        """The values as float32."""
        found: Floats = self.array.astype(np.float32, copy=False)
        return found

    def onto(
        self, grid: Grid, *, outside: float | None = None, interpolation: str = "linear", floats: bool = False
    ) -> Image:
        """Values and masks at the voxels of another grid; `outside` is the lowest value where it is None.

        With `floats` a new array of values is float32.
        """
        value = float(self.array.min()) if outside is None else outside
        array = taken(self.array, self.grid, grid, outside=value, interpolation=interpolation, floats=floats)
        masks = {
            name: taken(mask, self.grid, grid, outside=0.0, interpolation="nearest")
            for name, mask in self.masks.items()
        }
        owned = self.owned or not np.may_share_memory(array, self.array)
        return Image(array=array, grid=grid, masks=MappingProxyType(masks), owned=owned)

    def resized(self, grid: Grid, *, interpolation: str, apart: Apart | None) -> Image:
        """Values at the voxels of a grid of other counts over the same extent (`resized`), masks nearest."""
        array = resized(self.array, grid.shape, interpolation=interpolation, apart=apart)
        masks = self.onto(grid, outside=0.0, interpolation="nearest").masks if self.masks else self.masks
        return Image(array=array, grid=grid, masks=masks, owned=self.owned or array is not self.array)

    def continued(self, grid: Grid, *, interpolation: str) -> Image:
        """Values at the voxels of a grid with the same axes, beyond whose ends the outermost go on, masks nearest."""
        if self.grid.same_as(grid):
            return self
        masks = self.onto(grid, outside=0.0, interpolation="nearest").masks if self.masks else self.masks
        array = continued(self.array, self.grid, grid, interpolation)
        return Image(array=array, grid=grid, masks=masks, owned=True)

    def with_mask(self, name: str, mask: Mask) -> Image:
        """The same with one mask more."""
        return replace(self, masks=MappingProxyType({**self.masks, name: mask}))

    def keeping(self, names: Collection[str]) -> Image:
        """The same with these of its masks only."""
        return replace(self, masks=MappingProxyType({name: self.masks[name] for name in self.masks if name in names}))

    def mask(self, name: str) -> Mask:
        """A mask that an earlier step found, or `foreground`: what was not 0 when a step first asked, or is not now.

        Raises
        ------
        ModelError
            If none did: the order of the bundle's steps is wrong.
        """
        if name not in self.masks and name == "foreground":
            foreground: Mask = self.array != 0
            return foreground
        if name not in self.masks:
            found = ", ".join(self.masks) or "none"
            raise ModelError(
                f"preparation: mask {name} is asked for, found {found}, needed a step that makes it before"
            )
        return self.masks[name]
