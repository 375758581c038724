"""Codes as the encoding libraries take them."""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.sr.coding import Code as DictionaryCode

from dicomnode.domain.code import Code
from dicomnode.report.provenance import shortened


def coded(code: Code | DictionaryCode) -> CodedConcept:
    """A code item (PS3.3 section 8) from a code of this node or of pydicom's dictionary."""
    if isinstance(code, Code):
        return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=shortened(code.meaning))
    return CodedConcept.from_code(code)
