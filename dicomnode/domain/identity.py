"""Whose study it is, as its objects or an archive say, and what an archive has corrected of that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomnode.domain.header import Header, tag_of

#: Of the patient (PS3.3 C.7.1.1) and of the study (PS3.3 C.7.2.1): by what an archive files, and a reader knows whose
#: it is.
_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
KEYWORDS = (*_PATIENT, "AccessionNumber", "StudyID", "StudyDate")

#: Archives fill these in where a modality leaves them empty, and mean nobody else by it.
_FILLED_IN = frozenset({"IssuerOfPatientID", "StudyID", "StudyDate"})

_DATES = frozenset({"PatientBirthDate", "StudyDate"})

#: What else a header may say about the patient that it was made for, and is not told of another one.
_ALSO_OF_THE_PATIENT = (
    "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthTime", "PatientBirthName",
    "PatientMotherBirthName", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "ReferencedPatientSequence",
    "ReferencedPatientPhotoSequence", "PatientAddress", "PatientTelephoneNumbers", "MedicalRecordLocator",
)  # fmt: skip
_ALSO_OF_THE_ORDER = ("IssuerOfAccessionNumberSequence",)

#: Of a name in ideographic or phonetic characters the groups after the first (PS3.5 6.2.1).
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_LOST = re.compile(r"[^\x00-\x7e]|\?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyIdentity:
    """Keyword → value as text without padding, "" where it is not said; a name with its groups, between `=`."""

    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, header: Header) -> StudyIdentity:
        """What the header of an object says, or an answer to a query."""
        return cls(values={keyword: _text(header, keyword) for keyword in KEYWORDS})

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> StudyIdentity:
        """The same of a data set."""
        return cls(values={keyword: str(dataset.get(keyword) or "").strip(" \0") for keyword in KEYWORDS})

    def deviations(self, archive: StudyIdentity) -> tuple[str, ...]:
        """Keywords of which an archive says something else.

        What it does not say is agreement, since it need not answer every key (PS3.4 C.2.2.1.3), and so are differences
        of spelling that mean nothing: padding, the case of a name, characters that its character set lacks.
        """
        pairs = ((keyword, self.values.get(keyword, ""), archive.values.get(keyword, "")) for keyword in KEYWORDS)
        return tuple(
            keyword for keyword, ours, theirs in pairs
            if _plain(keyword, theirs) and not _same(keyword, ours, theirs)
            and (_plain(keyword, ours) or keyword not in _FILLED_IN)
        )  # fmt: skip

    def corrected(self, archive: StudyIdentity) -> dict[str, str]:
        """Keyword → the value that an object has to bear in place of this one's; "" takes it away.

        Under another Patient ID nothing of the patient before is kept that the archive does not say, too.
        """
        other = "PatientID" in self.deviations(archive)
        found = {}
        for keyword in KEYWORDS:
            ours, theirs = self.values.get(keyword, ""), archive.values.get(keyword, "")
            if (theirs or (other and keyword in _PATIENT)) and not _same(keyword, ours, theirs):
                found[keyword] = theirs
        return found

    def vouches_for(self, other: StudyIdentity) -> bool:
        """Whether an object that says `other` is meant, too: the same Patient ID, and nothing else that it denies."""
        if not _same("PatientID", self.values.get("PatientID", ""), other.values.get("PatientID", "")):
            return False
        pairs = ((keyword, self.values.get(keyword, ""), other.values.get(keyword, "")) for keyword in KEYWORDS)
        return all(not theirs or _same(keyword, ours, theirs) for keyword, ours, theirs in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What an archive says in place of what objects say: they are taken to say that."""

    before: StudyIdentity
    after: StudyIdentity


def corrected_header(header: Header, corrections: Sequence[Correction]) -> Header:
    """The header with what archives have corrected."""
    values = _corrected(StudyIdentity.of(header), corrections) if corrections else {}
    if not values:
        return header
    own = {tag_of(keyword): _element(keyword, value) for keyword, value in values.items()}
    return Header(header.series, {**header.own, **own, **{tag_of(one): {} for one in _gone(values)}})


def correct(dataset: Dataset, corrections: Sequence[Correction]) -> None:
    """Put what archives have corrected into a data set; its elements are replaced, since others may share them."""
    values = _corrected(StudyIdentity.of_dataset(dataset), corrections) if corrections else {}
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        if value or keyword != "IssuerOfPatientID":
            dataset[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE)
        else:
            dataset.pop(tag, None)
    for keyword in _gone(values):
        dataset.pop(keyword, None)


def _corrected(said: StudyIdentity, corrections: Sequence[Correction]) -> dict[str, str]:
    # One that is met exactly goes before one that an object with gaps would meet, too.
    meant = sorted((one for one in corrections if one.before.vouches_for(said)), key=lambda one: one.before != said)
    return said.corrected(meant[0].after) if meant else {}


def _gone(values: Mapping[str, str]) -> tuple[str, ...]:
    return (
        *(_ALSO_OF_THE_PATIENT if "PatientID" in values else ()),
        *(_ALSO_OF_THE_ORDER if "AccessionNumber" in values else ()),
    )


def _element(keyword: str, value: str) -> dict[str, object]:
    vr = dictionary_VR(keyword)
    if not value:
        return {"vr": vr}
    if vr == "PN":
        groups = zip(_GROUPS, value.split("="), strict=False)
        return {"vr": vr, "Value": [{group: text for group, text in groups if text}]}
    return {"vr": vr, "Value": [value]}


def _text(header: Header, keyword: str) -> str:
    values = header.element(keyword).get("Value") or ()
    return "\\".join(_joined(value) for value in values).strip(" \0")


def _joined(value: object) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group) or "").strip() for group in _GROUPS).rstrip("=")
    return "" if value is None else str(value).strip(" \0")


def _same(keyword: str, ours: str, theirs: str) -> bool:
    if keyword == "PatientName":
        pairs = list(zip(ours.split("="), theirs.split("="), strict=False))
        told = [(one, other) for one, other in pairs if _plain(keyword, one) and _plain(keyword, other)]
        if told:
            # Who keeps a name in one script only says nothing about the others.
            return all(_alike(keyword, *pair) for pair in told)
    return _alike(keyword, ours, theirs)


def _alike(keyword: str, ours: str, theirs: str) -> bool:
    one, other = _plain(keyword, ours), _plain(keyword, theirs)
    if one == other or not _FOREIGN.search(ours):
        return one == other
    # What an archive cannot write it leaves out, or shows as a question mark (U+FFFD where it says so in Unicode).
    lossy = not _FOREIGN.search(theirs.replace("\ufffd", "?"))
    return lossy and _plain(keyword, _LOST.sub("", ours)) == _plain(keyword, _LOST.sub("", theirs))


def _plain(keyword: str, text: str) -> str:
    """A value without the differences of spelling that mean nothing, as it stands in a result."""
    text = text.strip(" \0")
    if keyword == "PatientName":
        return re.sub(r"\^+(?=$|=)", "", re.sub(r"\s+", " ", re.sub(r"\s*\^\s*", "^", text))).casefold()
    if keyword == "PatientSex":
        sex = text.upper()
        return sex if sex in ("M", "F", "O", "") else "O"
    if keyword in _DATES:
        return _day(text)
    # What is longer is cut where a result is written (PS3.5 Table 6.2-1, SH).
    return text[:16].strip() if keyword in ("AccessionNumber", "StudyID") else text


def _day(text: str) -> str:
    try:
        return datetime.strptime(text.replace(".", ""), "%Y%m%d").strftime("%Y%m%d")  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return ""
