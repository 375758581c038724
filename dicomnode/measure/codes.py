"""The codes of what this room measures: quantities, units, derivations, methods and IBSI features."""

from __future__ import annotations

from dicomnode.domain.code import Code
from dicomnode.measure.ibsi import FEATURES

VOLUME = Code(value="118565006", scheme="SCT", meaning="Volume")
VOLUME_OF_MESH = Code(value="RNU0", scheme="IBSI", meaning="Volume of Mesh")
ATTENUATION = Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient")
APPARENT_DIFFUSION = Code(value="113041", scheme="DCM", meaning="Apparent Diffusion Coefficient")
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

_SUV = (
    ("126401", "SUVbw", "g/ml", "body weight"),
    ("126402", "SUVlbm", "g/ml", "lean body mass (James)"),
    ("126403", "SUVbsa", "cm2/ml", "body surface area"),
    ("126404", "SUVibw", "g/ml", "ideal body weight"),
    ("126405", "SUVlbm(Janma)", "g/ml", "lean body mass (Janma)"),
    ("126406", "SUVlbm(James128)", "g/ml", "lean body mass (James 128 multiplier)"),
)

#: UCUM unit of an image → what its values are and the unit as reports write it. SUV units follow CID 85; the same
#: unit with the annotation in front is how real-world value maps of PET often write it. Diffusion: CID 7277.
_QUANTITIES: dict[str, tuple[Code, Code]] = {HOUNSFIELD_UNIT.value: (ATTENUATION, HOUNSFIELD_UNIT)}
for _value, _name, _unit, _of in _SUV:
    _quantity = (
        Code(value=_value, scheme="DCM", meaning=_name),
        Code(value=f"{_unit}{{{_name}}}", scheme="UCUM", meaning=f"Standardized Uptake Value {_of}"),
    )
    _QUANTITIES |= {f"{_unit}{{{_name}}}": _quantity, f"{{{_name}}}{_unit}": _quantity}
for _unit in ("um2/s", "10-6.mm2/s", "mm2/s"):
    _QUANTITIES[_unit] = (APPARENT_DIFFUSION, Code(value=_unit, scheme="UCUM", meaning=_unit))

#: What values are where the modality alone tells.
_USUAL_UNITS = {"CT": HOUNSFIELD_UNIT.value}


def quantity(modality: str, unit: str = "") -> tuple[Code, Code] | None:
    """What the intensities of an image are, and in what unit; None where no code says it.

    Parameters
    ----------
    unit
        UCUM unit of the values; what is usual for the modality when empty.
    """
    unit = unit or _USUAL_UNITS.get(modality, NO_UNITS.value)
    if modality == "MR" and unit == NO_UNITS.value:
        return MR_SIGNAL_INTENSITY, NO_UNITS
    return _QUANTITIES.get(unit)


def image_unit(modality: str, unit: str = "") -> Code:
    """Unit of a voxel's value, arbitrary where it is not known."""
    unit = unit or _USUAL_UNITS.get(modality, NO_UNITS.value)
    known = _QUANTITIES.get(unit)
    if known:
        return known[1]
    return NO_UNITS if unit == NO_UNITS.value else Code(value=unit, scheme="UCUM", meaning=unit)


def feature(name: str, modality: str, unit: str = "") -> tuple[Code, Code] | None:
    """IBSI concept and UCUM unit of a pyradiomics feature such as `glcm_Contrast`; None where IBSI has no such feature.

    Parameters
    ----------
    name
        Class and feature without the image type.
    modality, unit
        Decide the unit of features that carry the image's own, or its square (PS3.3 C.7.3.1.1.1).
    """
    if name not in FEATURES:
        return None
    value, meaning, stated = FEATURES[name]
    code = Code(value=value, scheme="IBSI", meaning=meaning)
    if stated == "I":
        return code, image_unit(modality, unit)
    if stated == "I2":
        return code, _squared(image_unit(modality, unit))
    return code, _UNITS[stated]


def _squared(unit: Code) -> Code:
    if unit == NO_UNITS:
        return unit
    # A trailing number is an exponent in UCUM, so a compound unit is put in brackets first.
    simple = unit == HOUNSFIELD_UNIT
    return Code(
        value=f"{unit.value}2" if simple else f"({unit.value})2", scheme="UCUM", meaning=f"square {unit.meaning}"
    )
