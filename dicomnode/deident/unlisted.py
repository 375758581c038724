"""Attributes that the table does not name: of those in which people write only technical ones stay."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydicom import DataElement
from pydicom.valuerep import PersonName

#: Free texts that say how an image came about. The Basic Profile keeps all that it does not name; here whatever is not
#: in this list is replaced, since people write names into every field that takes them.
_TECHNICAL_TEXT = """\
AlgorithmName AlgorithmNameCodeSequence AlgorithmVersion AttenuationCorrectionMethod AttenuationCorrectionSource
CodeMeaning CodeValue CodingSchemeDesignator CodingSchemeName CodingSchemeRegistry CodingSchemeVersion
CollimatorGridName ContextIdentifier ConvolutionKernel DecayCorrection DimensionDescriptionLabel EnergyWindowName
FilterMaterial FilterType GridAbsorbingMaterial GridSpacingMaterial LUTExplanation LongCodeValue Manufacturer
ManufacturerModelName MappingResourceName OscillationAmplitude PulseSequenceName Radiopharmaceutical
RandomsCorrectionMethod ReceiveCoilManufacturerName ReceiveCoilName ReconstructionAlgorithm ReconstructionMethod
RescaleType ScatterCorrectionMethod SegmentAlgorithmName SequenceName SoftwareVersions TransmitCoilManufacturerName
TransmitCoilName TypeOfDetectorMotion VersionedAlgorithm WindowCenterWidthExplanation
"""
TECHNICAL = frozenset(_TECHNICAL_TEXT.split())

#: Words that the standard defines for attributes in which people may write others (PS3.3 C.7.4.1.1.2).
DEFINED = frozenset({"SLIDE_CORNER"})

#: Bytes that are pixels, tables or curves; other bytes could be anything.
_BYTES_TEXT = """\
AlphaPaletteColorLookupTableData BlendingLookupTableData BluePaletteColorLookupTableData FileMetaInformationVersion
FrameOfInterest GreenPaletteColorLookupTableData HistogramData ICCProfile LUTData PixelData
RedPaletteColorLookupTableData SegmentedBluePaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
SegmentedRedPaletteColorLookupTableData ZoneMap
"""
BYTES = frozenset(_BYTES_TEXT.split())

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_AGE = re.compile(r"\d{3}[DWMY]")
#: UIDs that name kinds of things, also when a vendor coined them.
_KINDS = re.compile(
    r".*(SOPClassUID|SOPClassesInStudy|TransferSyntaxUID|CodingSchemeUID|ContextUID|MappingResourceUID|ContextGroupExtensionCreatorUID"
    r"|ImplementationClassUID|SOPClassesSupported)"
)
_DICOM = "1.2.840.10008."


def of_the_standard(uid: str) -> bool:
    """Whether a UID names something of DICOM itself, such as a SOP class or a well-known frame of reference."""
    return uid.startswith(_DICOM)


def names_a_kind(element: DataElement) -> bool:
    """Whether the UIDs of an attribute name kinds of things and no things."""
    return bool(_KINDS.fullmatch(element.keyword))


def each(value: Any, change: Callable[[str], str]) -> Any:
    """A text changed, or each of several."""
    if value is None:
        return None
    # A person name can be iterated over, letter by letter.
    if isinstance(value, str | PersonName) or not hasattr(value, "__iter__"):
        return change(str(value))
    return [change(str(one)) for one in value]


def is_number(element: DataElement) -> bool:
    """Whether a value of VR IS or DS is a number, and not words that somebody put there."""
    values = (
        element.value if hasattr(element.value, "__iter__") and not isinstance(element.value, str) else [element.value]
    )
    return all(one is None or _NUMBER.fullmatch(str(one)) or str(one).strip() == "" for one in values)


def is_age(text: str) -> bool:
    """Whether a text has VR AS (PS3.5 6.2)."""
    return bool(_AGE.fullmatch(text))
