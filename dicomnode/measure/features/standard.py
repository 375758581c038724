"""The image and the mask of a region as the manual of IBSI prepares them, where that is not the way of pyradiomics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from dicomnode.measure.features.frame import Box, Frame, resegmented, trimmed

#: It carries no type information.
_sitk: Any = SimpleITK

#: As far as a voxel reaches into a cubic B-spline, see `frame`.
_MARGIN_VOXELS = 40

#: Spacings are rounded decimal strings: the 60 slices of 3 mm of the CT phantom must give 90 of 2 mm, not 91.
_DECIMALS_OF_A_SIZE = 3


def settings_of(settings: Mapping[str, Any], outliers_sigma: float | None, hounsfield: bool) -> dict[str, Any]:
    """pyradiomics' settings with those that this file adds.

    `ibsi` turns it on, `outliersSigma` is a second resegmentation, `roundIntensities` says whether intensities become
    whole after interpolation, which the manual asks for Hounsfield units.
    """
    return {**settings, "ibsi": True, "outliersSigma": outliers_sigma, "roundIntensities": hounsfield}


def framed(frame: Frame, settings: Mapping[str, Any]) -> Frame:
    """The region on a grid that has its centre where the image has its own (manual 2.4, "Interpolation").

    The mask is interpolated linearly and holds voxels of one half and more. `padDistance` voxels stay around the
    region. Its mask is empty where resampling leaves none of it.
    """
    spacing = settings.get("resampledPixelSpacing")
    if spacing is None or settings.get("interpolator") is None:
        return frame
    old = np.array(frame.spacing_mm)
    new = np.array([float(length) for length in reversed(spacing)])
    new = np.where(new == 0, old, new)
    length = np.array(frame.array.shape)
    size = np.ceil(np.round(length * old / new, _DECIMALS_OF_A_SIZE)).astype(int)
    origin_mm = (old * (length - 1) - new * (size - 1)) / 2
    pad = int(settings.get("padDistance", 5))
    starts, stops = np.array([(side.start, side.stop) for side in frame.box]).T
    first = np.maximum(np.floor(((starts - 0.5) * old - origin_mm) / new).astype(int) - pad, 0)
    last = np.minimum(np.ceil(((stops - 0.5) * old - origin_mm) / new).astype(int) + pad, size - 1)
    origin_mm = origin_mm + first * new
    part = _part(frame, origin_mm / old, (origin_mm + (last - first) * new) / old)
    begin_mm = np.array([side.start for side in part]) * old
    grid = _sitk.ResampleImageFilter()
    grid.SetOutputSpacing(new[::-1].tolist())
    grid.SetSize((last - first + 1)[::-1].tolist())
    grid.SetOutputOrigin((origin_mm - begin_mm)[::-1].tolist())
    grid.SetInterpolator(getattr(_sitk, settings["interpolator"], _sitk.sitkBSpline))
    array: NDArray[Any] = _sitk.GetArrayFromImage(grid.Execute(frame.itk(frame.block(part).astype(np.float64))))
    if settings.get("roundIntensities"):
        array = np.round(array)
    mask = np.zeros([side.stop - side.start for side in part], dtype=np.float64)
    inner = [slice(side.start - cut.start, side.stop - cut.start) for side, cut in zip(frame.box, part, strict=True)]
    mask[tuple(inner)] = frame.mask
    grid.SetInterpolator(_sitk.sitkLinear)
    found = _sitk.GetArrayFromImage(grid.Execute(frame.itk(mask))) >= 0.5
    z, y, x = (float(side) for side in new)
    whole = Frame(
        array=array,
        box=(slice(0, array.shape[0]), slice(0, array.shape[1]), slice(0, array.shape[2])),
        mask=found,
        spacing_mm=(z, y, x),
    )
    return trimmed(whole, found) if found.any() else whole


def kept(frame: Frame, settings: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The region's voxels within `resegmentRange`, and of these those within `outliersSigma` of their mean.

    Raises
    ------
    ValueError
        If at most one voxel is left.
    """
    mask = resegmented(frame, settings)
    sigmas = settings.get("outliersSigma")
    if sigmas is None:
        return mask
    image = frame.block(frame.box)
    values = image[mask].astype(np.float64)
    found: NDArray[np.bool_] = mask & (np.abs(image - values.mean()) <= sigmas * values.std())
    if np.count_nonzero(found) <= 1:
        raise ValueError(f"at most one voxel lies within {sigmas:g} standard deviations of their mean")
    return found


def anchored(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the original image: bins of a fixed size begin at the lower limit of resegmentation.

    So that a grey level means the same in every region (manual 2.7, "Fixed bin size").
    """
    limits = settings.get("resegmentRange")
    if not settings.get("ibsi") or limits is None or settings.get("resegmentMode", "absolute") != "absolute":
        return settings
    return {**settings, "binOrigin": float(min(limits))}


def _part(frame: Frame, first: NDArray[np.float64], last: NDArray[np.float64]) -> Box:
    """The voxels of the image on which those between two places depend."""
    slices, rows, columns = (
        slice(max(0, int(np.floor(low)) - _MARGIN_VOXELS), min(length, int(np.ceil(high)) + 1 + _MARGIN_VOXELS))
        for low, high, length in zip(first, last, frame.array.shape, strict=True)
    )
    return slices, rows, columns
