"""Asks a peer by C-FIND for the studies of a day and what it says of their series."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicomnode.domain.header import Header
from dicomnode.query.find import SERIES_KEYS, _answers, _is_uid, _query, _text
from dicomnode.query.talk import Talk

#: Asked for at STUDY level in any case; nothing of the patient.
_STUDY_KEYS = (
    "StudyInstanceUID", "StudyTime", "ModalitiesInStudy", "StudyDescription", "NumberOfStudyRelatedInstances",
)  # fmt: skip

#: Days with more studies than this are rather an archive that has not understood the question.
_MOST_STUDIES = 20_000


def studies_of(talk: Talk, day: date, keywords: Collection[str]) -> dict[str, Header]:
    """Study Instance UID → what a peer says of the studies of a day (PS3.4 C.6.2.1).

    Only the day is asked for: where a study has no Study Time, a range of times would leave it out.

    Parameters
    ----------
    keywords
        Attributes to ask for beside the usual ones; peers leave out what they do not keep.

    Raises
    ------
    PeerUnreachable, DeliveryError
        The peer gave no answer, or a failure.
    """
    query = _query("STUDY", (*_STUDY_KEYS, *_askable(keywords, _STUDY_KEYS)))
    query.StudyDate = f"{day:%Y%m%d}"
    query.SpecificCharacterSet = "ISO_IR 192"
    found = {}
    for answer in _answers(talk, query, _MOST_STUDIES):
        uid = _text(answer, "StudyInstanceUID")
        if _is_uid(uid) and _text(answer, "StudyDate") == f"{day:%Y%m%d}":
            found[uid] = Header.of(answer.to_json_dict(suppress_invalid_tags=True))
    return found


def series_of(talk: Talk, study_instance_uid: str, keywords: Collection[str]) -> dict[str, Header]:
    """Series Instance UID → what a peer says of the series of a study. Parameters and errors as of `studies_of`."""
    query = _query("SERIES", ("SeriesInstanceUID", *SERIES_KEYS, *_askable(keywords, SERIES_KEYS)))
    query.StudyInstanceUID = study_instance_uid
    query.SpecificCharacterSet = "ISO_IR 192"
    found = {}
    for answer in _answers(talk, query):
        uid = _text(answer, "SeriesInstanceUID")
        if _is_uid(uid) and _text(answer, "StudyInstanceUID") in {"", study_instance_uid}:
            found[uid] = Header.of(answer.to_json_dict(suppress_invalid_tags=True))
    return found


def _askable(keywords: Collection[str], known: Collection[str]) -> list[str]:
    """What can be asked for by an empty value: attributes of the dictionary that are no sequences."""
    wanted = dict.fromkeys(one for one in keywords if one not in {*known, "StudyDate", "SeriesInstanceUID"})
    return [one for one in wanted if tag_for_keyword(one) is not None and dictionary_VR(one) != "SQ"]
