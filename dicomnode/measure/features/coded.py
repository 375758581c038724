"""Values of features as coded measurements, and those that are none with the reason."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Absent, Measurement
from dicomnode.measure import codes
from dicomnode.measure.features.classes import Computed

#: How pyradiomics begins the names of features of the unfiltered image.
ORIGINAL = "original"

#: IBSI's consensus divides the covariance of n voxels by n - 1 (measured on its digital phantom), pyradiomics by n.
_AXES = ("shape_MajorAxisLength", "shape_MinorAxisLength", "shape_LeastAxisLength")

#: For these pyradiomics gives a number by convention (0, 1 or a million) where their definition divides by zero: where
#: all voxels have one value, and where all have one grey level.
_CONVENTIONS_OF_A_CONSTANT = ("firstorder_Skewness", "firstorder_Kurtosis")
_CONVENTIONS_OF_ONE_LEVEL = (
    "glcm_Correlation",
    "glcm_Imc1",
    "glcm_Imc2",
    "glcm_MCC",
    "ngtdm_Busyness",
    "ngtdm_Coarseness",
    "ngtdm_Contrast",
    "ngtdm_Strength",
)

_PREFIX = "RAD"
_HARMONISED = "RADHARM"
_IBSI = "IBSI"

#: Units of features that IBSI does not define and that are no plain numbers.
_UNITS = {"firstorder_TotalEnergy": Code(value="mm3", scheme="UCUM", meaning="cubic millimeter")}


def concept(
    image: str, feature: str, modality: str, unit: str, settings: Mapping[str, Any]
) -> tuple[Code, Code] | None:
    """What a feature is called and its unit; None where it has no code.

    The code of IBSI (PS3.16 CID 7477 and others) stands for a feature of the unfiltered image with settings whose
    values agree with IBSI's consensus (docs/ibsi.md). With other settings, and of a filtered image, it has a private
    code, whose meaning is pyradiomics' name.

    Parameters
    ----------
    image, feature
        The parts of pyradiomics' name before and after the first `_`.
    """
    # Neither the values of a filtered nor those of a normalised image have the unit of the image.
    arbitrary = image != ORIGINAL or settings.get("normalize")
    known = codes.feature(feature, *(("", codes.NO_UNITS.value) if arbitrary else (modality, unit)))
    if image == ORIGINAL and (known is None or not _not_ibsi(feature, settings)):
        return known
    return codes.described(_PREFIX, f"{image}_{feature}"), known[1] if known else _UNITS.get(feature, codes.NO_UNITS)


def on_other_scale(image: str, feature: str) -> tuple[Code, Code]:
    """What a harmonised feature is called, and its unit: it is no longer what was measured of this image.

    ComBat moves and stretches values, so that none of them is in the unit of the image or obeys IBSI's definition.
    """
    return codes.described(_HARMONISED, f"ComBat {image}_{feature}"), codes.NO_UNITS


def group(image: str) -> tuple[Code, Code]:
    """Stands for all features of an image where none could be had; an empty name for all of all images."""
    return codes.described(_PREFIX, " ".join(["Radiomics features", image]).strip()), codes.NO_UNITS


def measurements(
    number: int,
    named: Mapping[tuple[str, str], float],
    modality: str,
    unit: str,
    settings: Mapping[str, Any],
    voxels: int,
    harmonised: Collection[tuple[str, str]] = (),
) -> Iterator[Measurement]:
    """The values that have a code; where that is IBSI's, by its definition.

    Parameters
    ----------
    voxels
        Of the region whose shape is told, two or more.
    harmonised
        Features whose values were brought to the scale of another scanner, which no definition gives.
    """
    for (image, feature), value in named.items():
        if (image, feature) in harmonised:
            name, of = on_other_scale(image, feature)
            yield Measurement(segment_number=number, name=name, value=value, unit=of)
            continue
        coded = concept(image, feature, modality, unit, settings)
        if coded:
            told = _by_ibsi(feature, value, voxels) if coded[0].scheme == _IBSI else value
            yield Measurement(segment_number=number, name=coded[0], value=told, unit=coded[1])


def undefined(computed: Computed) -> Iterator[tuple[str, Code, str]]:
    """Features that an image does not define, each with the reason."""
    for feature, value in computed.values.items():
        if math.isnan(value):
            yield feature, codes.NOT_A_NUMBER, "its definition has no value for this region"
        elif math.isinf(value):
            yield feature, codes.OUT_OF_RANGE, "its value is infinite for this region"
        elif computed.constant and feature in _CONVENTIONS_OF_A_CONSTANT:
            yield feature, codes.INDETERMINATE, "not defined where all voxels have one intensity"
        elif computed.grey_levels == 1 and feature in _CONVENTIONS_OF_ONE_LEVEL:
            yield feature, codes.INDETERMINATE, "not defined where all voxels have one grey level"


def absent(number: int, coded: tuple[Code, Code], reason: Code, text: str) -> Absent:
    """One number that is none."""
    return Absent(segment_number=number, name=coded[0], unit=coded[1], reason=reason, text=text)


def _by_ibsi(feature: str, value: float, voxels: int) -> float:
    """IBSI's number from that of pyradiomics."""
    if feature == "firstorder_Kurtosis":
        # IPH6 is excess kurtosis, which is 0 for a normal distribution.
        return value - 3.0
    return value * math.sqrt(voxels / (voxels - 1)) if feature in _AXES else value


def _not_ibsi(feature: str, settings: Mapping[str, Any]) -> bool:
    """Whether no agreement with IBSI's consensus was measured for a feature with these settings."""
    resampled = settings.get("resampledPixelSpacing") is not None and settings.get("interpolator") is not None
    if resampled and not settings.get("ibsi"):
        # The grid begins at the corner and the mask takes the nearest voxel: one feature in six agrees.
        return True
    if settings.get("normalize") and not feature.startswith("shape_"):
        return True
    if feature.startswith(("glcm_", "glrlm_")) and settings.get("weightingNorm") not in (None, "no_weighting"):
        return True
    if feature.startswith(("glcm_", "gldm_", "ngtdm_")) and list(settings.get("distances", [1])) != [1]:
        return True
    if feature.startswith("gldm_") and settings.get("gldm_a", 0):
        return True
    if feature in ("firstorder_Energy", "firstorder_RootMeanSquared"):
        return bool(settings.get("voxelArrayShift", 0))
    # IBSI's matrix is symmetric (reference manual 3.6).
    return feature.startswith("glcm_") and not settings.get("symmetricalGLCM", True)
