"""Content items of reports and acquisition contexts, by what they are about and what kind of value they have."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from pydicom import Dataset

from dicomnode.deident.codes import REMOVED
from dicomnode.deident.pseudonym import Pseudonyms
from dicomnode.deident.words import cleaned
from dicomnode.domain.privacy import Keep

#: What is said about the patient as a person: age, sex, size, weight (TID 1007, CID 7455, TID 5001, TID 10013).
_PERSONAL = frozenset(
    {
        ("DCM", "121032"), ("DCM", "121033"), ("SCT", "424144002"), ("SCT", "397669002"), ("LN", "30525-0"),
        ("SCT", "27113001"), ("LN", "29463-7"), ("SCT", "50373000"), ("LN", "8302-2"), ("LN", "3141-9"),
        ("LN", "3137-7"), ("SCT", "248152002"), ("LN", "46098-0"), ("SCT", "263495000"), ("SCT", "60621009"),
        ("LN", "39156-5"),
    }
)  # fmt: skip

#: Names that were given to devices and programs (TID 1004, TID 4019).
_DEVICE = frozenset({("DCM", "121013"), ("DCM", "121016"), ("DCM", "121017"), ("DCM", "113012")})

#: What a program or a maker is called (TID 1004, TID 4019); its parameters are free text.
_TECHNICAL = frozenset(
    {("DCM", "111001"), ("DCM", "111003"), ("DCM", "121014"), ("DCM", "121015"), ("DCM", "121196"), ("DCM", "122404")}
)

#: Tells one thing in the images from another, here and in later reports, so the same has to stay the same.
_TRACKING = ("DCM", "112039")

UNKNOWN: Final = ("261665006", "SCT", "Unknown")


def clean_item(item: Dataset, pseudonyms: Pseudonyms, keep: Set[Keep]) -> None:
    """Take persons out of one content item (PS3.3 C.17.3); dates, UIDs and codes are the business of whoever walks on.

    What remains has a value of the same type, so that templates that ask for the item still find one.
    """
    concept, kind = _concept(item), str(item.get("ValueType", ""))
    if kind == "PNAME":
        item.PersonName = "REMOVED"
    elif kind == "TEXT":
        item.TextValue = _text(concept, str(item.get("TextValue", "") or ""), pseudonyms, keep)
    elif concept in _PERSONAL and Keep.PATIENT not in keep:
        if kind == "NUM":
            item.MeasuredValueSequence = []  # Type 2: a measurement without a value (PS3.3 C.18.1)
        elif kind == "CODE":
            code = Dataset()
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = UNKNOWN
            item.ConceptCodeSequence = [code]


def _text(concept: tuple[str, str], text: str, pseudonyms: Pseudonyms, keep: Set[Keep]) -> str:
    if concept in _TECHNICAL or (concept in _DEVICE and Keep.DEVICE in keep):
        return text
    if concept == _TRACKING:
        return pseudonyms.name("tracking", text) if text else ""
    return cleaned(text) or REMOVED


def _concept(item: Dataset) -> tuple[str, str]:
    for code in item.get("ConceptNameCodeSequence") or []:
        return str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeValue", ""))
    return "", ""
