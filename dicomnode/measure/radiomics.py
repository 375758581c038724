"""Radiomics features of chosen segments with pyradiomics, coded after IBSI."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import radiomics
from highdicom import Volume
from numpy.typing import NDArray
from radiomics.featureextractor import RadiomicsFeatureExtractor
from SimpleITK import GetImageFromArray

from dicomnode.domain.errors import ModelError
from dicomnode.domain.finding import FeatureSet, Measurement, Segmentation
from dicomnode.measure import codes
from dicomnode.measure.region import Region, regions

#: Settings of pyradiomics (its documentation, "Customizing the Extraction"); what is not named keeps its default.
SETTINGS: Mapping[str, Any] = {"binWidth": 25}

#: With this much around the segment, features of the original image equal those of the whole image to the last
#: bit, at a fiftieth of the time.
MARGIN_VOXELS = 8

#: IBSI's IPH6 is excess kurtosis; pyradiomics gives the plain one.
_OFFSETS = {"firstorder_Kurtosis": -3.0}

# pyradiomics installs a handler of its own that writes to stderr; this is its documented way to be quiet.
radiomics.setVerbosity(60)
logging.getLogger("radiomics").propagate = False


def measure(
    volume: Volume, segmentation: Segmentation, segment_numbers: Sequence[int], modality: str = "CT", unit: str = ""
) -> tuple[FeatureSet, ...]:
    """Original features of the named segments that are present, all classes but shape2D.

    Features for which IBSI has no code and values that are not finite are left out. A segment for which pyradiomics
    defines no features, such as a single voxel or a line of voxels, gets no feature set.

    Parameters
    ----------
    volume
        Rescaled intensities on the grid of `segmentation`.
    segment_numbers
        Numbers of the segments to describe.
    modality, unit
        Decide the unit of features that carry the image's own; `unit` is `SourceSeries.unit`.

    Raises
    ------
    ModelError
        If pyradiomics fails on a segment large enough for it, or the mask does not lie on the grid of `volume`.
    """
    wanted = set(segment_numbers)
    extractor = RadiomicsFeatureExtractor(**SETTINGS)
    settings = _settings(extractor)
    found = []
    for region in regions(volume, segmentation, margin=MARGIN_VOXELS):
        if region.segment.number not in wanted or not _large_enough(region.mask):
            continue
        values = _extract(extractor, volume, region)
        found.append(
            FeatureSet(
                segment_number=region.segment.number,
                measurements=_coded(region.segment.number, values, modality, unit),
                software=f"pyradiomics {version('pyradiomics')}",
                settings=settings,
            )
        )
    return tuple(found)


def _large_enough(mask: NDArray[np.bool_]) -> bool:
    """Whether the segment extends along two axes at least, pyradiomics' `minimumROIDimensions`."""
    axes = (mask.any(axis=(1, 2)), mask.any(axis=(0, 2)), mask.any(axis=(0, 1)))
    return sum(int(np.count_nonzero(axis)) > 1 for axis in axes) >= 2


def _extract(extractor: Any, volume: Volume, region: Region) -> dict[str, float]:
    """Values by class and feature, such as `glcm_Contrast`."""
    image = _itk_image(region.of(volume), volume)
    mask = _itk_image(region.mask.astype(np.uint8), volume)
    try:
        # Flat regions divide by zero; those features come back as NaN and are dropped by the caller.
        with np.errstate(all="ignore"):
            features = extractor.execute(image, mask)
    except (ValueError, RuntimeError, ArithmeticError, IndexError, MemoryError, np.linalg.LinAlgError) as error:
        raise ModelError(
            f"segment {region.segment.number} ({region.segment.label}): pyradiomics failed with {error!s} on "
            f"{int(region.mask.sum())} voxels, needed a region whose features are defined"
        ) from error
    prefix = "original_"
    return {name.removeprefix(prefix): float(value) for name, value in features.items() if name.startswith(prefix)}


def _itk_image(array: NDArray[Any], volume: Volume) -> Any:
    """An image with the volume's spacing; features do not depend on where its axes point, so that stays out."""
    image: Any = GetImageFromArray(array)
    image.SetSpacing([float(length) for length in reversed(volume.spacing)])
    return image


def _coded(number: int, values: Mapping[str, float], modality: str, unit: str) -> tuple[Measurement, ...]:
    found = []
    for name, value in values.items():
        coded = codes.feature(name, modality, unit)
        if coded is None or not math.isfinite(value):
            continue
        concept, of_feature = coded
        found.append(
            Measurement(segment_number=number, name=concept, value=value + _OFFSETS.get(name, 0.0), unit=of_feature)
        )
    return tuple(found)


def _settings(extractor: Any) -> str:
    """All settings as JSON, for the algorithm parameters of the report (TID 4019)."""
    return json.dumps(
        {
            "settings": extractor.settings,
            "imageTypes": extractor.enabledImagetypes,
            "featureClasses": sorted(extractor.enabledFeatures),
            "cropMarginVoxels": MARGIN_VOXELS,
        },
        sort_keys=True,
    )
