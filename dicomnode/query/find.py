"""Asks a peer by C-FIND for a patient's earlier studies, their series and their objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from time import monotonic

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.domain.errors import DeliveryError, Unsuitable
from dicomnode.domain.header import Header
from dicomnode.query.talk import Talk, checked, require, status_text

_DATE = "%Y%m%d"

#: "Matches are continuing" (PS3.4 Table C.4-1).
_PENDING = (0xFF00, 0xFF01)

#: An archive that answers more to a query by Patient ID, or by UID, and has not announced it, has not understood it.
_MOST_ANSWERS = 5000

#: What would match more than one patient (PS3.4 C.2.2.2.4), or cannot stand in a value of VR LO (PS3.5 6.2).
_NO_KEY = re.compile(r"[*?\\\x00-\x1f\x7f]")
_LONGEST_ID = 64

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_LONGEST_UID = 64

#: Asked for at SERIES level: what rules and bundles put conditions on. Peers leave out what they do not keep.
SERIES_KEYS = (
    "Modality", "SeriesDescription", "SeriesNumber", "BodyPartExamined", "ProtocolName", "Manufacturer",
    "NumberOfSeriesRelatedInstances", "PerformedProcedureStepDescription", "StationName", "SeriesDate",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundStudy:
    """One study as a peer describes it; `modalities` is empty where it does not say."""

    study_instance_uid: str
    study_date: date
    modalities: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """One series as a peer describes it; `instances` is 0 where it does not say."""

    series_instance_uid: str
    instances: int
    header: Header = field(repr=False)

    @property
    def modality(self) -> str:
        """Its Modality, "" where the peer does not say."""
        return str(self.header.first("Modality", ""))


def contexts() -> list[PresentationContext]:
    """What to propose for a query."""
    return [build_context(Find)]


def fit_key(patient_id: str) -> str:
    """The Patient ID as the key of a query.

    Raises
    ------
    Unsuitable
        It is empty or could match other patients: the standard knows no way to escape a wildcard.
    """
    if not patient_id.strip():
        raise Unsuitable("the study has no Patient ID, and nothing is asked for without one")
    if _NO_KEY.search(patient_id) or len(patient_id) > _LONGEST_ID:
        raise Unsuitable(
            "the Patient ID is no safe key: it is too long, or holds a wildcard, a backslash or a control character"
        )
    return patient_id.strip()


def studies(talk: Talk, patient_id: str, first: date, last: date) -> list[FoundStudy]:
    """The studies of a patient in a range of dates, both included (PS3.4 C.6.2.1).

    What a peer answers beside the question is dropped: another Patient ID, a date out of range, no UID.

    Raises
    ------
    Unsuitable
        The Patient ID cannot be asked for.
    PeerUnreachable, DeliveryError
        The peer gave no answer, or a failure.
    """
    key = fit_key(patient_id)
    query = _query("STUDY", ("StudyInstanceUID", "ModalitiesInStudy", "IssuerOfPatientID", "StudyDescription"))
    query.PatientID = key
    query.StudyDate = f"{first.strftime(_DATE)}-{last.strftime(_DATE)}"
    if not key.isascii():
        query.SpecificCharacterSet = "ISO_IR 192"
    found = {}
    for answer in _answers(talk, query):
        uid, day = _text(answer, "StudyInstanceUID"), _day(_text(answer, "StudyDate"))
        if _text(answer, "PatientID") == key and _is_uid(uid) and day is not None and first <= day <= last:
            modalities = frozenset(filter(None, _text(answer, "ModalitiesInStudy").split("\\")))
            found[uid] = FoundStudy(study_instance_uid=uid, study_date=day, modalities=modalities)
    return list(found.values())


def described(talk: Talk, study_instance_uid: str, keywords: tuple[str, ...]) -> list[Header]:
    """What a peer says of one study at STUDY level, once for each answer; none where it has no such study.

    Raises as `studies`.
    """
    query = _query("STUDY", keywords)
    query.StudyInstanceUID = study_instance_uid
    # The values are not known yet: a peer that writes what it is asked in can then write any of them.
    query.SpecificCharacterSet = "ISO_IR 192"
    return [
        Header.of(answer.to_json_dict(suppress_invalid_tags=True))
        for answer in _answers(talk, query) if _text(answer, "StudyInstanceUID") == study_instance_uid
    ]  # fmt: skip


def series(talk: Talk, study_instance_uid: str) -> list[FoundSeries]:
    """The series of a study. Raises as `studies`."""
    query = _query("SERIES", ("SeriesInstanceUID", *SERIES_KEYS))
    query.StudyInstanceUID = study_instance_uid
    found = {}
    for answer in _answers(talk, query):
        uid = _text(answer, "SeriesInstanceUID")
        if _is_uid(uid) and _text(answer, "StudyInstanceUID") in {"", study_instance_uid}:
            header = Header.of(answer.to_json_dict(suppress_invalid_tags=True))
            count = _text(answer, "NumberOfSeriesRelatedInstances")
            found[uid] = FoundSeries(
                series_instance_uid=uid, instances=int(count) if count.isdecimal() else 0, header=header
            )
    return list(found.values())


def instances(talk: Talk, study_instance_uid: str, series_instance_uid: str, announced: int = 0) -> dict[str, str]:
    """SOP Instance UID → SOP Class UID ("" where the peer does not say) of a series. Raises as `studies`.

    Parameters
    ----------
    announced
        How many the peer said the series has (`FoundSeries.instances`): dynamic series have tens of thousands.
    """
    query = _query("IMAGE", ("SOPInstanceUID", "SOPClassUID"))
    query.StudyInstanceUID, query.SeriesInstanceUID = study_instance_uid, series_instance_uid
    found = {}
    for answer in _answers(talk, query, max(_MOST_ANSWERS, announced)):
        uid, sop_class = _text(answer, "SOPInstanceUID"), _text(answer, "SOPClassUID")
        if _is_uid(uid) and _text(answer, "SeriesInstanceUID") in {"", series_instance_uid}:
            found[uid] = sop_class if _is_uid(sop_class) else ""
    return found


def _query(level: str, keys: tuple[str, ...]) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword in keys:
        query.add(DataElement(keyword, dictionary_VR(keyword), None, validation_mode=IGNORE))
    return query


def _answers(talk: Talk, query: Dataset, most: int | None = None) -> Iterator[Dataset]:
    require(talk, Find, "C-FIND (Study Root)")
    began, count, limit = monotonic(), 0, most or _MOST_ANSWERS
    try:
        answers = talk.association.send_c_find(query, Find)
        for status, answer in answers:
            code = checked(talk, status, began)
            began = monotonic()
            if code not in _PENDING:
                if code != 0x0000:
                    raise DeliveryError(f"{talk.name}: {status_text('C-FIND', code)}")
                return
            count += 1
            if count > limit:
                talk.association.abort()
                raise DeliveryError(
                    f"{talk.name}: more than {limit} answers to a query of level {query.QueryRetrieveLevel}"
                )
            if answer is not None:
                yield answer
    except RuntimeError as error:  # pynetdicom: there is no association any more
        raise talk.lost(monotonic() - began) from error


def _text(answer: Dataset, keyword: str) -> str:
    """The value as text without padding; "" where it is absent or cannot be read."""
    with suppress(ValueError, TypeError, NotImplementedError):
        value = answer.get(keyword)
        if value is None:
            return ""
        many = value if isinstance(value, list) or hasattr(value, "append") else [value]
        return "\\".join(str(one).strip(" \0") for one in many)
    return ""


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, _DATE).date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None


def _is_uid(text: str) -> bool:
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None
