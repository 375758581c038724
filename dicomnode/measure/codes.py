"""The codes of what this room measures: quantities, units, derivations, methods and IBSI features."""

from __future__ import annotations

from zlib import crc32

from dicomnode.domain.code import Code
from dicomnode.measure.ibsi import FEATURES

#: Designator of what no public scheme has; those that begin with 99 are private (PS3.16 section 8).
PRIVATE = "99DICOMNODE"

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

#: CID 7464, CID 7466 "PET Region of Interest Measurements".
PEAK = Code(value="126031", scheme="DCM", meaning="Peak Value Within ROI")
METABOLIC_VOLUME = Code(value="126032", scheme="DCM", meaning="Metabolic Volume")
TOTAL_LESION_GLYCOLYSIS = Code(value="126033", scheme="DCM", meaning="Total Lesion Glycolysis")

SUM_OF_VOXELS = Code(value="126030", scheme="DCM", meaning="Sum of segmented voxel method for volume")

#: CID 7470 "Linear Measurements", CID 7471 "Area Measurements", CID 7477 "Shape".
LONG_AXIS = Code(value="103339001", scheme="SCT", meaning="Long axis")
SHORT_AXIS = Code(value="103340004", scheme="SCT", meaning="Short axis")
SURFACE_OF_MESH = Code(value="C0JK", scheme="IBSI", meaning="Surface Area of Mesh")
SPHERICITY = Code(value="QCFX", scheme="IBSI", meaning="Sphericity")
DIAMETER_3D = Code(value="L0JK", scheme="IBSI", meaning="Maximum 3D Diameter of a Mesh")

#: Extents of a box along (slice, row, column), as detections have them.
EXTENTS = (
    Code(value="131197000", scheme="SCT", meaning="Depth"),
    Code(value="410668003", scheme="SCT", meaning="Length"),
    Code(value="103355008", scheme="SCT", meaning="Width"),
)

PRODUCT = Code(value="PRODUCT", scheme=PRIVATE, meaning="Bidimensional product")
PLEURAL_DISTANCE = Code(value="PLEURAL-DISTANCE", scheme=PRIVATE, meaning="Distance to pleura")

#: Along the patient's axes (x to the left, y to the back, z to the head).
CENTROID = (
    Code(value="CENTROID-X", scheme=PRIVATE, meaning="Centroid, x"),
    Code(value="CENTROID-Y", scheme=PRIVATE, meaning="Centroid, y"),
    Code(value="CENTROID-Z", scheme=PRIVATE, meaning="Centroid, z"),
)

#: CID 6147 "Response Criteria" names the way of measuring; planes that are not axial are said (RECIST 1.1, appendix
#: II: axial by default, another plane only if it is the one that was acquired).
RECIST = Code(value="126081", scheme="DCM", meaning="RECIST 1.1")
RECIST_IN_OTHER_PLANES = Code(value="RECIST-NOT-AXIAL", scheme=PRIVATE, meaning="RECIST 1.1, planes not axial")
WHO = Code(value="112029", scheme="DCM", meaning="WHO")
#: Of the thresholds inside a lesion: 41 % of its maximum (EANM procedure guidelines for FDG tumour PET, version 2.0,
#: Boellaard et al., Eur J Nucl Med Mol Imaging 42:328-354, 2015) and the fixed one of 2.5.
ABOVE_41_PERCENT = Code(value="ABOVE-41-PERCENT", scheme=PRIVATE, meaning="Voxels from 41 % of the maximum")
ABOVE_2_5 = Code(value="ABOVE-2-5", scheme=PRIVATE, meaning="Voxels from 2.5")
BOUNDING_BOX = Code(value="BOUNDING-BOX", scheme=PRIVATE, meaning="Bounding box along slices, rows and columns")

#: CID 42 "Numeric Value Qualifier".
NOT_A_NUMBER = Code(value="114000", scheme="DCM", meaning="Not a number")
NOT_ATTEMPTED = Code(value="114007", scheme="DCM", meaning="Measurement not attempted")
OUT_OF_RANGE = Code(value="114009", scheme="DCM", meaning="Value out of range")
INDETERMINATE = Code(value="114011", scheme="DCM", meaning="Value indeterminate")

CUBIC_CENTIMETER = Code(value="cm3", scheme="UCUM", meaning="cubic centimeter")
MILLIMETER = Code(value="mm", scheme="UCUM", meaning="millimeter")
SQUARE_MILLIMETER = Code(value="mm2", scheme="UCUM", meaning="square millimeter")
HOUNSFIELD_UNIT = Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")

_UNITS = {
    "mm": MILLIMETER,
    "mm2": SQUARE_MILLIMETER,
    "mm3": Code(value="mm3", scheme="UCUM", meaning="cubic millimeter"),
    "/mm": Code(value="/mm", scheme="UCUM", meaning="per millimeter"),
    "bit": Code(value="bit", scheme="UCUM", meaning="bit"),
    "1": NO_UNITS,
}

_LONGEST_MEANING = 64

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

_KINDS_OF_SUV = frozenset(value for value, *_ in _SUV)
_OVER_ML = {"g": "gram", "cm2": "square centimeter"}

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


def is_uptake(concept: Code) -> bool:
    """Whether a quantity is a standardised uptake value of any kind."""
    return concept.scheme == "DCM" and concept.value in _KINDS_OF_SUV


def glycolysis_unit(unit: Code) -> Code:
    """Unit of uptake times volume: what stands over `ml` in the unit of the uptake, `g` of `g/ml{SUVbw}`."""
    return Code(value=unit.value.split("/")[0], scheme="UCUM", meaning=_OVER_ML[unit.value.split("/")[0]])


def described(prefix: str, meaning: str) -> Code:
    """A private code for words that a bundle makes up: the same words have the same code, on every node.

    Parameters
    ----------
    prefix
        At most 7 characters: Code Value is a short string of 16 (PS3.3 section 8.1).
    meaning
        Cut to the 64 characters of a Code Meaning (PS3.3 section 8.3).
    """
    meaning = meaning[:_LONGEST_MEANING]
    return Code(value=f"{prefix}-{crc32(meaning.encode()):08X}", scheme=PRIVATE, meaning=meaning)


def _squared(unit: Code) -> Code:
    if unit == NO_UNITS:
        return unit
    # A trailing number is an exponent in UCUM, so a compound unit is put in brackets first.
    simple = unit == HOUNSFIELD_UNIT
    return Code(
        value=f"{unit.value}2" if simple else f"({unit.value})2", scheme="UCUM", meaning=f"square {unit.meaning}"
    )
