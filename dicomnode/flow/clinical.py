"""Facts about the patient that a model wants beside the images, as numbers from the headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.valuerep import DA

from dicomnode.domain.condition import NUMBER_VRS
from dicomnode.domain.finding import SourceSeries

#: Parts of a year by the letter of an Age String (PS3.5 6.2, VR AS).
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}

_SEX = {"M": 1.0, "F": 0.0}


def clinical(names: Sequence[str], sources: Sequence[SourceSeries]) -> dict[str, float]:
    """The features among `names` that the headers of a model's inputs give, by DICOM keyword.

    PatientAge in years (by Patient's Birth Date and Study Date where it is absent), PatientSex 1 for M and 0 for F,
    PatientSize in m, PatientWeight in kg (PS3.3 C.7.2.2), and any other keyword of a number. What is absent, or no
    keyword, is left out: the model says what it misses.
    """
    found: dict[str, float] = {}
    # A weight is stated with PET images, seldom with the CT beside them.
    for header in (source.datasets[0] for source in sources):
        for name in names:
            value = _number(header, name)
            if value is not None:
                found.setdefault(name, value)
    return found


def _number(header: Dataset, name: str) -> float | None:
    if name == "PatientAge":
        return _age_years(header)
    value = header.get(name)
    if name == "PatientSex":
        return _SEX.get(str(value))
    tag = tag_for_keyword(name)
    if tag is None or not NUMBER_VRS & set(dictionary_VR(tag).split(" or ")):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _age_years(header: Dataset) -> float | None:
    age = re.fullmatch(r"(\d{3})([DWMY])", str(header.get("PatientAge") or ""))
    if age:
        return int(age[1]) / _PER_YEAR[age[2]]
    born, seen = _day(header, "PatientBirthDate"), _day(header, "StudyDate")
    return (seen - born).days / _PER_YEAR["D"] if born and seen else None


def _day(header: Dataset, keyword: str) -> date | None:
    try:
        return DA(header.get(keyword) or None)
    except ValueError:
        return None
