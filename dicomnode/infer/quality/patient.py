"""Rules about whom a model was validated for: body part, age and sex; findings name no patient's data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from itertools import chain

from dicomnode.domain.finding import SourceSeries
from dicomnode.infer.quality.outcome import Outcome, Rule, one_of
from dicomnode.infer.quality.tags import codes, items, texts

#: Days in the units of the value representation AS (PS3.5 6.2), by the Gregorian calendar's mean year.
DAYS = {"D": 1.0, "W": 7.0, "M": 365.2425 / 12, "Y": 365.2425}


def body_parts(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """Body Part Examined, or a code or meaning of Anatomic Region Sequence, is one of those named.

    `*` stands for any letters: Body Part Examined has joint terms such as CHESTABDPELVIS (PS3.16 Annex L).
    """
    regions = codes(items(source, "AnatomicRegionSequence"))
    return one_of(chain(texts(source, "BodyPartExamined"), regions), limit)


def patient_age_years(source: SourceSeries, limit: tuple[float, float]) -> Outcome:
    """The patient's age at the study lies in the range."""
    low, high = limit
    needed = f"{low:g} to {high:g} years"
    years = _age_years(source)
    if years is None:
        return Outcome(found="not stated", needed=needed, passed=None)
    # The age in whole years is what is written and what validations state: 80 holds until the next birthday.
    found = "a younger patient" if years < low else "an older patient" if years >= high + 1 else "an age in the range"
    return Outcome(found=found, needed=needed, passed=low <= years < high + 1)


def patient_sex(source: SourceSeries, limit: tuple[str, ...]) -> Outcome:
    """Patient's Sex is one of those named (M, F, O)."""
    found = texts(source, "PatientSex")
    needed = " or ".join(limit)
    if not found:
        return Outcome(found="not stated", needed=needed, passed=None)
    passed = all(sex.upper() in limit for sex in found)
    return Outcome(found="one of those needed" if passed else "another", needed=needed, passed=passed)


def _age_years(source: SourceSeries) -> float | None:
    """Age by Patient's Age, else by the dates of birth and study; None where neither can be true.

    Nobody is written as 0 years old: infants are given in days, weeks or months, and anonymisers write 000Y.
    """
    for text in texts(source, "PatientAge"):
        written = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
        if written and (written[2] != "Y" or int(written[1]) > 0):
            return int(written[1]) * DAYS[written[2]] / DAYS["Y"]
    born, seen = (_day(texts(source, keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    return (seen - born).days / DAYS["Y"] if born and seen and seen >= born else None


def _day(written: tuple[str, ...]) -> date | None:
    try:
        return date.fromisoformat(written[0]) if written else None
    except ValueError:
        return None


RULES: Mapping[str, Rule] = {rule.__name__: rule for rule in (body_parts, patient_age_years, patient_sex)}
