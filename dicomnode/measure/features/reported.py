"""The settings of an extraction as IBSI's reporting guidelines ask for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from dicomnode.domain.measuring import RadiomicsSpec
from dicomnode.measure.features.filters import LOG_MARGIN_SIGMAS, LOG_TOLERANCE
from dicomnode.measure.features.standard import anchored

_PACKAGES = ("pyradiomics", "SimpleITK", "PyWavelets", "numpy")


def settings_text(
    spec: RadiomicsSpec, settings: Mapping[str, Any], classes: tuple[str, ...], spacing_mm: tuple[float, float, float]
) -> str:
    """All settings as JSON, for the algorithm parameters of the report (TID 4019).

    Beside pyradiomics' own names stand the items of the IBSI reference manual's reporting guidelines (version 11,
    chapter 5 "Radiomics reporting guidelines and nomenclature") in its words.

    Parameters
    ----------
    settings
        Those of the spec completed with pyradiomics' own.
    spacing_mm
        Of the image before any resampling, along (slice, row, column).
    """
    return json.dumps(
        {
            "settings": settings,
            "imageTypes": {name: dict(own) for name, own in spec.image_types.items()},
            "featureClasses": sorted(classes),
            "reporting": _guidelines(spec, settings, spacing_mm),
            "stability": dict(spec.stability) or "unknown",
        },
        sort_keys=True,
    )


def _guidelines(spec: RadiomicsSpec, settings: Mapping[str, Any], spacing_mm: tuple[float, float, float]) -> Any:
    resampled = settings.get("resampledPixelSpacing") is not None and settings.get("interpolator") is not None
    found = {
        "software": {package: version(package) for package in _PACKAGES},
        "originalVoxelSpacingMm": [round(length, 6) for length in spacing_mm],
        "interpolation": _interpolation(settings) if resampled else "none",
        "normalisation": _normalisation(settings),
        "resegmentation": _resegmentation(settings),
        "discretisation": _discretisation(settings),
        "textureAggregation": _aggregation(settings),
        "textureDistance": f"Chebyshev, {', '.join(str(step) for step in settings.get('distances', [1]))} voxels",
        "dependenceCoarseness": settings.get("gldm_a", 0),
    }
    if "LoG" in spec.image_types:
        found["laplacianOfGaussian"] = (
            f"recursive, on the region with {LOG_MARGIN_SIGMAS:g} sigma around it: within {LOG_TOLERANCE:g} of the "
            "largest magnitude on the whole image"
        )
    return found


def _interpolation(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "image": settings["interpolator"],
        "mask": "linear, voxels of one half and more" if settings.get("ibsi") else "sitkNearestNeighbor",
        "spacingMm": list(reversed([float(length) for length in settings["resampledPixelSpacing"]])),
        "grid": f"aligned with the {'centre' if settings.get('ibsi') else 'corner'} of the image",
        "intensityRounding": _rounding(settings),
    }


def _rounding(settings: Mapping[str, Any]) -> str:
    if not settings.get("ibsi"):
        return "to the type of the image: integers for an image of integers"
    return "to integers" if settings["roundIntensities"] else "none"


def _normalisation(settings: Mapping[str, Any]) -> str:
    if not settings.get("normalize"):
        return "none"
    outliers = settings.get("removeOutliers")
    limited = "" if outliers is None else f", limited to {outliers} standard deviations"
    return f"by mean and standard deviation of the whole image{limited}, times {settings.get('normalizeScale', 1)}"


def _resegmentation(settings: Mapping[str, Any]) -> str:
    limits, sigmas = settings.get("resegmentRange"), settings.get("outliersSigma")
    steps = []
    if limits is not None:
        steps.append(f"{settings.get('resegmentMode', 'absolute')} range {list(limits)}")
    if sigmas is not None:
        steps.append(f"within {sigmas:g} standard deviations of the mean")
    if not steps:
        return "none"
    of_shape = "intensity and shape" if settings.get("resegmentShape") else "intensity alone"
    return f"{', then '.join(steps)}, of {of_shape}"


def _discretisation(settings: Mapping[str, Any]) -> str:
    if settings.get("binCount") is not None:
        return f"fixed bin number, {settings['binCount']}"
    origin = anchored(settings).get("binOrigin")
    edges = "edges at its multiples"
    if origin is not None:
        edges = f"from {origin:g} on (filtered images: {edges})"
    return f"fixed bin size, {settings.get('binWidth', 25)}, {edges}"


def _aggregation(settings: Mapping[str, Any]) -> str:
    if settings.get("weightingNorm") == "no_weighting":
        return "2.5D: directions merged" if settings.get("force2D") else "3D: directions merged"
    if settings.get("weightingNorm") is not None:
        return f"matrices of all directions merged with weights by {settings['weightingNorm']} distance"
    if settings.get("force2D"):
        return "2.5D: neighbours within the plane alone, matrices over all planes, GLCM and GLRLM averaged by direction"
    return "3D: GLCM and GLRLM averaged over 13 directions without merging, the others volumetric"
