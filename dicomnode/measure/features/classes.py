"""Feature classes of pyradiomics over one image of a region, which discretise it once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import radiomics
from numpy.typing import NDArray
from radiomics import imageoperations
from radiomics.featureextractor import RadiomicsFeatureExtractor
from SimpleITK import GetImageFromArray

from dicomnode.measure.features.shape import LinearShape

# pyradiomics installs a handler of its own that writes to stderr; this is its documented way to be quiet.
radiomics.setVerbosity(60)
logging.getLogger("radiomics").propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What the feature classes say of one image of a region.

    Attributes
    ----------
    values
        By class and feature, such as `glcm_Contrast`, in the order of pyradiomics.
    grey_levels
        How many of them occur after discretisation.
    constant
        Whether all voxels have the same value.
    """

    values: Mapping[str, float]
    grey_levels: int = 0
    constant: bool = False


class _Discretised:
    """Takes grey levels that were found before in place of finding them anew: six classes ask for the same ones."""

    settings: Mapping[str, Any]
    coefficients: dict[str, Any]

    def _applyBinning(self, _: NDArray[Any]) -> NDArray[np.int64]:  # noqa: N802 (pyradiomics' name)
        levels, present = self.settings["discretised"]
        self.coefficients["grayLevels"] = present
        self.coefficients["Ng"] = int(present[-1])
        found: NDArray[np.int64] = levels.copy()
        return found


@cache
def _class(name: str) -> Any:
    original = radiomics.getFeatureClasses()[name]
    ours = LinearShape if name == "shape" else _Discretised
    # With the module's name goes that of the logger.
    return type(original.__name__, (ours, original), {"__module__": original.__module__})


def defaults() -> dict[str, Any]:
    """pyradiomics' own settings."""
    found: dict[str, Any] = RadiomicsFeatureExtractor._getDefaultSettings()
    return found


@cache
def names() -> tuple[str, ...]:
    """The classes that pyradiomics computes unless told otherwise, which are all but shape2D; shape first."""
    return tuple(sorted(RadiomicsFeatureExtractor().enabledFeatures, key=lambda name: name != "shape"))


def intensity_features(
    image: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    classes: Sequence[str],
    settings: Mapping[str, Any],
) -> Computed:
    """Every feature of the classes on one image.

    Parameters
    ----------
    image, mask
        The bounding box of the region, (slice, row, column); the region is not empty.
    classes
        Of `names()` but shape.
    settings
        pyradiomics' settings for feature classes.
    """
    values = image[mask]
    # The edges of bins depend on the least and the greatest value alone, by width as by count.
    ends = np.array([values.min(), values.max()], dtype=values.dtype)
    edges = _edges(ends, settings)
    levels = np.zeros(image.shape, dtype=np.int64)
    levels[mask] = found = np.digitize(values, edges)
    present = np.flatnonzero(np.bincount(found))
    return Computed(
        values=_features(image, mask, spacing_mm, classes, {**settings, "label": 1, "discretised": (levels, present)}),
        grey_levels=len(present),
        constant=bool(ends[0] == ends[1]),
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


def shape_features(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Computed:
    """The shape of a mask in its bounding box."""
    return Computed(values=_features(mask.astype(np.uint8), mask, spacing_mm, ("shape",), {"label": 1}))


def _features(
    image: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    classes: Sequence[str],
    settings: Mapping[str, Any],
) -> dict[str, float]:
    itk_image: Any = GetImageFromArray(image)
    itk_mask: Any = GetImageFromArray(mask.astype(np.uint8))
    for itk in (itk_image, itk_mask):
        itk.SetSpacing([float(length) for length in reversed(spacing_mm)])
    found = {}
    # Flat regions divide by zero; those features come back as NaN.
    with np.errstate(all="ignore"):
        for name in classes:
            values = _class(name)(itk_image, itk_mask, **settings).execute()
            found.update({f"{name}_{feature}": float(value) for feature, value in values.items()})
    return found
