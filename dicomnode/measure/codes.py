"""The codes of what this room measures: quantities, units, derivations, methods and IBSI features."""

from __future__ import annotations

from dicomnode.domain.code import Code
from dicomnode.measure.ibsi import FEATURES

VOLUME = Code(value="118565006", scheme="SCT", meaning="Volume")
VOLUME_OF_MESH = Code(value="RNU0", scheme="IBSI", meaning="Volume of Mesh")
ATTENUATION = Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient")
MR_SIGNAL_INTENSITY = Code(value="110852", scheme="DCM", meaning="MR signal intensity")

#: CID 7464 "General Region of Interest Measurement Modifiers".
MEAN = Code(value="373098007", scheme="SCT", meaning="Mean")
STANDARD_DEVIATION = Code(value="386136009", scheme="SCT", meaning="Standard Deviation")
MINIMUM = Code(value="255605001", scheme="SCT", meaning="Minimum")
MAXIMUM = Code(value="56851009", scheme="SCT", meaning="Maximum")
MEDIAN = Code(value="373099004", scheme="SCT", meaning="Median")

SUM_OF_VOXELS = Code(value="126030", scheme="DCM", meaning="Sum of segmented voxel method for volume")

CUBIC_CENTIMETER = Code(value="cm3", scheme="UCUM", meaning="cubic centimeter")
HOUNSFIELD_UNIT = Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")

_UNITS = {
    "mm": Code(value="mm", scheme="UCUM", meaning="millimeter"),
    "mm2": Code(value="mm2", scheme="UCUM", meaning="square millimeter"),
    "mm3": Code(value="mm3", scheme="UCUM", meaning="cubic millimeter"),
    "/mm": Code(value="/mm", scheme="UCUM", meaning="per millimeter"),
    "bit": Code(value="bit", scheme="UCUM", meaning="bit"),
    "1": NO_UNITS,
}

_IMAGE_UNITS = {"CT": HOUNSFIELD_UNIT}
_SQUARED_IMAGE_UNITS = {"CT": Code(value="[hnsf'U]2", scheme="UCUM", meaning="square Hounsfield unit")}


def image_unit(modality: str) -> Code:
    """Unit of a voxel's rescaled value: Hounsfield units for CT, else arbitrary."""
    return _IMAGE_UNITS.get(modality, NO_UNITS)


def feature(name: str, modality: str) -> tuple[Code, Code] | None:
    """IBSI concept and UCUM unit of a pyradiomics feature such as `glcm_Contrast`; None where IBSI has no such feature.

    Parameters
    ----------
    name
        Class and feature without the image type.
    modality
        Decides the unit of features that carry the image's own (PS3.3 C.7.3.1.1.1).
    """
    if name not in FEATURES:
        return None
    value, meaning, unit = FEATURES[name]
    code = Code(value=value, scheme="IBSI", meaning=meaning)
    if unit == "I":
        return code, image_unit(modality)
    if unit == "I2":
        return code, _SQUARED_IMAGE_UNITS.get(modality, NO_UNITS)
    return code, _UNITS[unit]
