"""The image that filters see, with normalisation and resampling of the whole image done on what is needed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from radiomics import imageoperations

Array = NDArray[Any]
Box = tuple[slice, slice, slice]

#: It carries no type information.
_sitk: Any = SimpleITK

#: The influence of a voxel on the coefficients of a cubic B-spline falls by 0.268 a voxel (Unser, IEEE Signal
#: Processing Magazine 16:22-38, 1999), under the digits of a double after 28 voxels.
_SPLINE_MARGIN_VOXELS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """pyradiomics' normalisation with the mean and the standard deviation of the whole image."""

    mean: float
    sigma: float
    scale: float
    outliers: float | None

    def __call__(self, block: Array) -> Array:
        """The block in standard deviations from the mean times `scale`, float64."""
        image = _sitk.ShiftScale(_itk(block), -self.mean, 1 / self.sigma, _sitk.sitkFloat64)
        found: Array = _sitk.GetArrayFromImage(image)
        if self.outliers is not None:
            found = np.clip(found, -self.outliers, self.outliers)
        return found * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One region in the image that filters see.

    Attributes
    ----------
    array
        The whole of that image, (slice, row, column), before `normal`.
    box, mask
        Bounding box of the region in it, and the region in the box.
    spacing_mm
        Along (slice, row, column).
    """

    array: Array = field(repr=False)
    box: Box
    mask: NDArray[np.bool_] = field(repr=False)
    spacing_mm: tuple[float, float, float]
    normal: Normalised | None = None

    def block(self, box: Box) -> Array:
        """A box of the image, a copy."""
        found = np.ascontiguousarray(self.array[box])
        return self.normal(found) if self.normal else found

    def extremes(self) -> Array:
        """Least and greatest value of the whole image, shape (1, 1, 2)."""
        ends = np.array([self.array.min(), self.array.max()], dtype=self.array.dtype).reshape(1, 1, 2)
        return self.normal(ends) if self.normal else ends

    def itk(self, array: Array) -> Any:
        """A block as pyradiomics takes it."""
        return _itk(array, self.spacing_mm)


def normalisation(array: Array, settings: Mapping[str, Any]) -> Normalised | None:
    """What the settings `normalize`, `normalizeScale` and `removeOutliers` make of a whole image."""
    if not settings.get("normalize"):
        return None
    statistics = _sitk.StatisticsImageFilter()
    statistics.Execute(_itk(array))
    return Normalised(
        mean=statistics.GetMean(),
        sigma=statistics.GetSigma(),
        scale=settings.get("normalizeScale", 1),
        outliers=settings.get("removeOutliers"),
    )


def framed(frame: Frame, settings: Mapping[str, Any]) -> Frame:
    """The region after the settings `resampledPixelSpacing`, `interpolator`, `padDistance` and `preCrop`.

    Follows `imageoperations.resampleImage` of pyradiomics 3.0.1: the grid begins at the corner of the whole image and
    is cut to the region with `padDistance` voxels around it, which then is all that filters see. The region's mask
    is empty where resampling leaves none of it.
    """
    spacing = settings.get("resampledPixelSpacing")
    pad = int(settings.get("padDistance", 5))
    if spacing is None or settings.get("interpolator") is None:
        return _cut(frame, pad) if settings.get("preCrop") else frame
    old = np.array(frame.spacing_mm)
    new = np.array([float(length) for length in reversed(spacing)])
    new = np.where(new == 0, old, new)
    new = np.where(np.array(frame.mask.shape) == 1, old, new)
    # numpy's own tolerance, as pyradiomics asks it.
    return _cut(frame, pad) if np.allclose(old, new) else _resampled(frame, new, pad, settings["interpolator"])


def trimmed(frame: Frame, mask: NDArray[np.bool_]) -> Frame:
    """The frame with a part of its region, whose box is narrower; `mask` lies in the frame's box and is not empty."""
    inner = bounding_box(mask)
    box = tuple(
        slice(outer.start + part.start, outer.start + part.stop) for outer, part in zip(frame.box, inner, strict=True)
    )
    return Frame(
        array=frame.array,
        box=(box[0], box[1], box[2]),
        mask=mask[inner],
        spacing_mm=frame.spacing_mm,
        normal=frame.normal,
    )


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """The box of a mask that is not empty."""
    sides = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    slices, rows, columns_ = (slice(int(side[0]), int(side[-1]) + 1) for side in sides)
    return slices, rows, columns_


def _cut(frame: Frame, pad: int) -> Frame:
    """The image cut to the region with a margin, which is all that filters then see."""
    outer = [
        slice(max(0, side.start - pad), min(length, side.stop + pad))
        for side, length in zip(frame.box, frame.array.shape, strict=True)
    ]
    box = tuple(
        slice(side.start - cut.start, side.stop - cut.start) for side, cut in zip(frame.box, outer, strict=True)
    )
    return Frame(
        array=frame.block((outer[0], outer[1], outer[2])),
        box=(box[0], box[1], box[2]),
        mask=frame.mask,
        spacing_mm=frame.spacing_mm,
    )


def _resampled(frame: Frame, new: NDArray[np.float64], pad: int, interpolator: str) -> Frame:
    old = np.array(frame.spacing_mm)
    ratio = old / new
    starts = np.array([side.start for side in frame.box])
    stops = np.array([side.stop for side in frame.box])
    lower = np.maximum(np.floor((starts - 0.5) * ratio - pad), 0)
    upper = np.minimum(np.ceil((stops - 0.5) * ratio + pad), np.ceil(np.array(frame.array.shape) * ratio) - 1)
    size = (upper - lower + 1).astype(int)
    origin_mm = (0.5 * (new - old) / old + lower / ratio) * old
    # Only the far end is cut off: another origin would change the last digits of where a voxel lies, and whole values
    # with them where the image is of integers.
    needed = np.ceil((origin_mm + (size - 1) * new) / old).astype(int) + _SPLINE_MARGIN_VOXELS
    ends = np.minimum(needed, frame.array.shape)
    part = (slice(0, int(ends[0])), slice(0, int(ends[1])), slice(0, int(ends[2])))
    grid = _sitk.ResampleImageFilter()
    grid.SetOutputSpacing(new[::-1].tolist())
    grid.SetSize(size[::-1].tolist())
    grid.SetOutputOrigin(origin_mm[::-1].tolist())
    grid.SetInterpolator(getattr(_sitk, interpolator, _sitk.sitkBSpline))
    array: Array = _sitk.GetArrayFromImage(grid.Execute(frame.itk(frame.block(part))))
    mask = np.zeros(tuple(int(end) for end in ends), dtype=np.uint8)
    mask[frame.box] = frame.mask
    grid.SetInterpolator(_sitk.sitkNearestNeighbor)
    found = _sitk.GetArrayFromImage(grid.Execute(frame.itk(mask))).astype(bool)
    z, y, x = (float(length) for length in new)
    whole = Frame(
        array=array,
        box=(slice(0, array.shape[0]), slice(0, array.shape[1]), slice(0, array.shape[2])),
        mask=found,
        spacing_mm=(z, y, x),
    )
    return trimmed(whole, found) if found.any() else whole


def _itk(array: Array, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Any:
    """An image with its spacing; features do not depend on where its axes point, so that stays out."""
    image: Any = _sitk.GetImageFromArray(array)
    image.SetSpacing([float(length) for length in reversed(spacing_mm)])
    return image


def resegmented(frame: Frame, settings: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The region's voxels within `resegmentRange` by `resegmentMode`, in the frame's box; all where none is set.

    Raises
    ------
    ValueError
        If at most one voxel is left.
    """
    if settings.get("resegmentRange") is None:
        return frame.mask
    image, mask = frame.itk(frame.block(frame.box)), frame.itk(frame.mask.astype(np.uint8))
    found = _sitk.GetArrayFromImage(imageoperations.resegmentMask(image, mask, **dict(settings)))
    kept: NDArray[np.bool_] = found == settings.get("label", 1)
    return kept
