"""pyradiomics as its documentation shows it, on the whole image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from radiomics.featureextractor import RadiomicsFeatureExtractor


def plain(
    array: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    image_types: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Values by name, in pyradiomics' order."""
    image: Any = SimpleITK.GetImageFromArray(array)
    region: Any = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    for itk in (image, region):
        itk.SetSpacing([float(length) for length in reversed(spacing_mm)])
    extractor = RadiomicsFeatureExtractor(**settings)
    extractor.disableAllImageTypes()
    for name, own in image_types.items():
        extractor.enableImageTypeByName(name, customArgs=dict(own))
    with np.errstate(all="ignore"):
        found = extractor.execute(image, region)
    return {name: float(value) for name, value in found.items() if not name.startswith("diagnostics")}
