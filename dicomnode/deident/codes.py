"""Coded entries: those of public schemes stay, for their meanings were written by nobody who knew the patient."""

from __future__ import annotations

from pydicom import Dataset

from dicomnode.deident.pseudonym import Pseudonyms

#: Coding schemes of PS3.16 Table 8-1 and of this node; others are private, and their codes may stand for persons.
_PUBLIC_TEXT = """\
99DICOMNODE 99SDM BARI BI C4 CD2 CPT CTCAE DCM FMA HL7 I10 I10P I11 I9 I9C IBSI ICDO3 IETF4646 ISO3166_1 ISO639_2
ITIS_TSN LN MA MDC MSH MULTUM NCIt NDC NEU NYUMCCG PUBCHEM_CID RADELEMENT RADLEX RFC3066 RO RXNORM SCT SNM3 SRT
UBERON UCUM UMLS UNS
"""
PUBLIC = frozenset(_PUBLIC_TEXT.split())

REMOVED = "removed"
_TEXTS = ("CodeMeaning", "CodeValue", "LongCodeValue", "URNCodeValue")


def is_code(item: Dataset) -> bool:
    """Whether an item is a Code Sequence Macro (PS3.3 8.8), complete or not."""
    return any(keyword in item for keyword in (*_TEXTS, "CodingSchemeDesignator"))


def clean_code(item: Dataset, pseudonyms: Pseudonyms) -> None:
    """Leave a code of a public scheme; of a private one leave what tells it from others, and no word."""
    if str(item.get("CodingSchemeDesignator", "")).strip() in PUBLIC:
        return
    value = next((str(item[keyword].value) for keyword in _TEXTS[1:] if keyword in item), "")
    for keyword in (*_TEXTS, "CodingSchemeDesignator", "CodingSchemeVersion"):
        if keyword in item:
            del item[keyword]
    # PS3.3 Table 8.8-1a: value, scheme and meaning are Type 1.
    item.CodeValue = f"P{pseudonyms.name('code', value)}"
    item.CodingSchemeDesignator = "99REMOVED"
    item.CodeMeaning = REMOVED
