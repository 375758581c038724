"""Feature classes of pyradiomics over one image of a region, which discretise it and count its neighbours once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import radiomics
from numpy.typing import NDArray
from radiomics.featureextractor import RadiomicsFeatureExtractor
from SimpleITK import GetImageFromArray

from dicomnode.measure.features.cooccurrence import CoOccurrence
from dicomnode.measure.features.discretised import discretised
from dicomnode.measure.features.firstorder import FirstOrder
from dicomnode.measure.features.matrices import OfTexture, SizeZone, counting
from dicomnode.measure.features.shape import LinearShape

# pyradiomics installs a handler of its own that writes to stderr; this is its documented way to be quiet.
radiomics.setVerbosity(60)
logging.getLogger("radiomics").propagate = False


#: pyradiomics' name of a class → what goes before it.
_BEFORE: dict[str, type] = {
    "shape": LinearShape,
    "firstorder": FirstOrder,
    "glcm": CoOccurrence,
    "glszm": SizeZone,
    "gldm": OfTexture,
    "glrlm": OfTexture,
    "ngtdm": OfTexture,
}

#: pyradiomics copies the image for every class, which takes its intensities from the discretised region.
_NOTHING = np.zeros((1, 1, 1), dtype=np.uint8)


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


@cache
def _class(name: str) -> Any:
    original = radiomics.getFeatureClasses()[name]
    features = original.getFeatureNames()
    # With the module's name goes that of the logger; the names of features are looked up anew for every image.
    own: dict[str, Any] = {"__module__": original.__module__, "getFeatureNames": classmethod(lambda _: features)}
    before = _BEFORE[name]
    if issubclass(before, OfTexture):
        original = type(original.__name__, (original,), {**own, "_calculateMatrix": counting(original)})
    return type(original.__name__, (before, original), own)


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
    region = discretised(image, mask, settings, textures=any(issubclass(_BEFORE[name], OfTexture) for name in classes))
    return Computed(
        values=_features(_NOTHING, _NOTHING, spacing_mm, classes, {**settings, "label": 1, "discretised": region}),
        grey_levels=len(region.present),
        constant=bool(region.values.min() == region.values.max()),
    )


def shape_features(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Computed:
    """The shape of a mask in its bounding box."""
    voxels = mask.astype(np.uint8)
    return Computed(values=_features(voxels, voxels, spacing_mm, ("shape",), {"label": 1}))


def _features(
    image: NDArray[Any],
    mask: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    classes: Sequence[str],
    settings: Mapping[str, Any],
) -> dict[str, float]:
    itk_image: Any = GetImageFromArray(image)
    itk_mask: Any = GetImageFromArray(mask)
    for itk in (itk_image, itk_mask):
        itk.SetSpacing([float(length) for length in reversed(spacing_mm)])
    found = {}
    # Flat regions divide by zero; those features come back as NaN.
    with np.errstate(all="ignore"):
        for name in classes:
            values = _class(name)(itk_image, itk_mask, **settings).execute()
            found.update({f"{name}_{feature}": float(value) for feature, value in values.items()})
    return found
