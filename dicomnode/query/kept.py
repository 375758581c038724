"""Asks a peer by C-FIND at IMAGE level which objects of a series it has."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic

from pydicom import Dataset
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.domain.errors import DeliveryError
from dicomnode.query import find
from dicomnode.query.talk import Talk, checked, require, status_text

#: "Matches are continuing" (PS3.4 Table C.4-1).
_PENDING = (0xFF00, 0xFF01)

#: So many objects are asked for one by one, which leaves no doubt; for more, the whole series is listed.
_ONE_BY_ONE = 16

#: Dynamic series have tens of thousands of objects. Of each, a name of 64 bytes is kept in memory until it is compared.
_LONGEST_SERIES = 100_000


def kept(
    talk: Talk, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Collection[str]
) -> dict[str, str]:
    """SOP Instance UID → SOP Class UID ("" where the peer does not say) of those that the peer has.

    Raises
    ------
    PeerUnreachable
        The peer gave no answer.
    DeliveryError
        It accepts no C-FIND, or answers with a failure.
    """
    if len(sop_instance_uids) > _ONE_BY_ONE:
        # A series has more objects than are asked for where others send to it, too, or where it is asked for in parts.
        most = max(_LONGEST_SERIES, 100 * len(sop_instance_uids))
        listed = find.instances(talk, study_instance_uid, series_instance_uid, most)
        return {uid: listed[uid] for uid in sop_instance_uids if uid in listed}
    found: dict[str, str] = {}
    for uid in sop_instance_uids:
        found |= _one(talk, study_instance_uid, series_instance_uid, uid)
    return found


def _one(talk: Talk, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> dict[str, str]:
    require(talk, Find, "C-FIND (Study Root)")
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID = study_instance_uid, series_instance_uid
    query.SOPInstanceUID = sop_instance_uid
    query.SOPClassUID = ""
    found: dict[str, str] = {}
    began = monotonic()
    try:
        # Answered to the end, or the next question would meet what is left of this one.
        for status, answer in talk.association.send_c_find(query, Find):
            code = checked(talk, status, began)
            began = monotonic()
            if code not in _PENDING:
                if code != 0x0000:
                    raise DeliveryError(f"{talk.name}: {status_text('C-FIND', code)}")
            elif answer is not None and _text(answer, "SOPInstanceUID") == sop_instance_uid:
                found[sop_instance_uid] = _text(answer, "SOPClassUID")
    except RuntimeError as error:  # pynetdicom: there is no association any more
        raise talk.lost(monotonic() - began) from error
    return found


def _text(answer: Dataset, keyword: str) -> str:
    return str(answer.get(keyword) or "").strip(" \0")
