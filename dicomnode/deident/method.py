"""What an object says about its own de-identification."""

from __future__ import annotations

from collections.abc import Set

from pydicom import Dataset

from dicomnode import __version__
from dicomnode.domain.privacy import Keep

#: CID 7050, De-identification Method; structured content is always cleaned.
_BASIC = ("113100", "Basic Application Confidentiality Profile")
_CONTENT = ("113104", "Clean Structured Content Option")
_OPTIONS = {
    Keep.ACQUISITION: ("113105", "Clean Descriptors Option"),
    Keep.DATES: ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    Keep.PATIENT: ("113108", "Retain Patient Characteristics Option"),
    Keep.DEVICE: ("113109", "Retain Device Identity Option"),
    Keep.INSTITUTION: ("113112", "Retain Institution Identity Option"),
}


def state(ds: Dataset, keep: Set[Keep]) -> None:
    """Set the attributes of PS3.15 E.1.1 step 7 and E.3.6 (PS3.3 C.7.1.1, C.12.1)."""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = f"dicomnode {__version__}, PS3.15 2026c Table E.1-1"
    ds.DeidentificationMethodCodeSequence = [
        _code(*one) for one in (_BASIC, _CONTENT, *(_OPTIONS[option] for option in Keep if option in keep))
    ]
    ds.LongitudinalTemporalInformationModified = "MODIFIED" if Keep.DATES in keep else "REMOVED"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
