"""From the source grid to the network's grid, and the exact way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from highdicom import Volume

from dicomnode.domain.model import Step

Affine = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Shape = tuple[int, int, int]

#: A grid that divides the extent evenly but for rounding gets no extra plane.
ROUNDING_OF_VOXEL = 1e-3

#: Slices that come back at a time; bounds the memory for probabilities on the source grid to 16 slices per channel.
SLAB = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A volume as the network wants it, and where it came from.

    Attributes
    ----------
    array
        float32 in [0, 1]; its axes (slice, row, column) run towards head, posterior and patient-left.
    affine
        From its indices to LPS mm, (4, 4).
    source_shape, source_affine
        The grid to go back to.
    """

    array: Floats = field(repr=False)
    affine: Affine
    source_shape: Shape
    source_affine: Affine

    def labels_on_source(self, probabilities: Floats, *, exclusive: bool) -> npt.NDArray[np.uint8]:
        """The most probable channel at every voxel of the source.

        Parameters
        ----------
        probabilities
            (channel, slice, row, column) on the grid of `array`; channel 0 is the background.
        exclusive
            Whether channels add up to one (softmax), so that the background need not be interpolated.

        Returns
        -------
        ndarray of uint8, (slice, row, column)
            Numbers of channels on the source grid. Equal probabilities give the lower number; source voxels beyond
            the prepared grid are background.
        """
        channels = [image_of(channel, self.affine) for channel in probabilities[1:]]
        background = None if exclusive else image_of(probabilities[0], self.affine)
        labels = np.zeros(self.source_shape, dtype=np.uint8)
        for start in range(0, self.source_shape[0], SLAB):
            slab = labels[start : start + SLAB]
            affine = self.source_affine.copy()
            affine[:3, 3] += start * affine[:3, 0]
            maps = [resampled(channel, slab.shape, affine, outside=0.0) for channel in channels]
            if background is None:
                best = np.ones(slab.shape, dtype=np.float32)
                for probability in maps:
                    best -= probability
            else:
                best = resampled(background, slab.shape, affine, outside=1.0)
            for number, probability in enumerate(maps, start=1):
                slab[probability > best] = number
                np.maximum(best, probability, out=best)
        return labels


def prepare(volume: Volume, steps: Sequence[Step]) -> Prepared:
    """Bring a volume into the orientation, spacing and intensity range that a network expects.

    Parameters
    ----------
    volume
        Source intensities, axes (slice, row, column), affine in LPS mm.
    """
    array: Any = volume.array
    affine = np.array(volume.affine)
    for step in steps:
        match step.name:
            case "resample":
                shape, grid = patient_grid(array.shape, affine, step.options["spacing_mm"])
                array = resampled(image_of(array, affine), shape, grid, outside=step.options["outside"])
                affine = grid
            case "clip":
                low, high = step.options["range"]
                array = np.clip(array, np.float32(low), np.float32(high), dtype=np.float32)
            case "scale":
                low, high = step.options["range"]
                array = (array - np.float32(low)) / np.float32(high - low)
    return Prepared(
        array=array.astype(np.float32, copy=False),
        affine=affine,
        source_shape=volume.spatial_shape,
        source_affine=np.array(volume.affine),
    )


def patient_grid(shape: Shape, affine: Affine, spacing_mm: tuple[float, float, float]) -> tuple[Shape, Affine]:
    """The grid along the patient axes that covers a volume: its shape and its affine.

    Parameters
    ----------
    shape, affine
        Of the source, (slice, row, column) to LPS mm.
    spacing_mm
        Of the new grid along (slice, row, column), which run along (z, y, x).
    """
    count = np.array(shape)
    centre = affine[:3, :3] @ ((count - 1) / 2) + affine[:3, 3]
    extent = np.abs(affine[:3, :3]) @ count
    spacing = np.array(spacing_mm)
    size = np.maximum(np.ceil(extent[::-1] / spacing - ROUNDING_OF_VOXEL), 1).astype(int)
    grid = np.zeros((4, 4))
    grid[[2, 1, 0], [0, 1, 2]] = spacing
    grid[:3, 3] = centre - ((size - 1) / 2 * spacing)[::-1]
    grid[3, 3] = 1
    return (int(size[0]), int(size[1]), int(size[2])), grid


def image_of(array: npt.NDArray[Any], affine: Affine) -> Any:
    """A SimpleITK image of an array (slice, row, column), lying where `affine` says.

    SimpleITK counts (x, y, z) with x fastest, which is (column, row, slice) of the same memory: the axes of the
    geometry are reversed here and the array stays as it is. `Volume.to_simpleitk` turns the array instead; the two do
    not mix (DESIGN 11.2).
    """
    image: Any = SimpleITK.GetImageFromArray(array)
    spacing, direction, origin = _itk_geometry(affine)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetOrigin(origin)
    return image


def resampled(image: Any, shape: tuple[int, ...], affine: Affine, *, outside: float) -> Floats:
    """Linear interpolation of an image of `image_of` on another grid, float32, (slice, row, column)."""
    spacing, direction, origin = _itk_geometry(affine)
    size = [int(count) for count in reversed(shape)]
    identity = SimpleITK.Transform()  # type: ignore[no-untyped-call]
    linear, pixel = SimpleITK.sitkLinear, SimpleITK.sitkFloat32
    result = SimpleITK.Resample(image, size, identity, linear, origin, spacing, direction, float(outside), pixel)
    array: Floats = SimpleITK.GetArrayFromImage(result)
    return array


def _itk_geometry(affine: Affine) -> tuple[list[float], list[float], list[float]]:
    """Spacing, row-major direction matrix and origin for axes (column, row, slice)."""
    vectors = affine[:3, 2::-1]
    spacing = np.linalg.norm(vectors, axis=0)
    # Denormal cosines, as rotation matrices leave behind, break the inversion in ITK, which then samples the wrong
    # place without a word; rounded like this a point moves by less than a nanometre.
    direction = np.round(vectors / spacing, 12)
    return spacing.tolist(), direction.ravel().tolist(), affine[:3, 3].tolist()
