"""Asks a peer by C-FIND whether it has an object that it calls a duplicate."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.network import Peer

_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

#: "Matches are continuing" (PS3.4 Table C.4-1).
_PENDING = (0xFF00, 0xFF01)


def holds(peer: Peer, path: Path, *, calling_aet: str, timeouts: Timeouts) -> bool | None:
    """Whether `peer` finds the object in the file `path` at IMAGE level (PS3.4 C.6.2.1); None if it does not answer.

    The association is another than that of the storage, since many archives query at another place than they store.
    """
    header = dcmread(path, specific_tags=[*_KEYS], stop_before_pixels=True)
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    for keyword in _KEYS:
        setattr(query, keyword, header.get(keyword))
    contexts = [build_context(Find)]
    try:
        with conversation(peer, contexts, calling_aet=calling_aet, timeouts=timeouts) as talk:
            if not talk.association.is_established or not talk.association.accepted_contexts:
                return None
            return _found(talk.association.send_c_find(query, Find), str(query.SOPInstanceUID))
    except (DeliveryError, RuntimeError):
        return None


def _found(answers: object, sop_instance_uid: str) -> bool | None:
    found = False
    for status, match in answers:  # type: ignore[attr-defined]
        if "Status" not in status:
            return None
        if status.Status in _PENDING:
            found |= match is not None and str(match.get("SOPInstanceUID", "")) == sop_instance_uid
        elif status.Status != 0x0000:
            return None
    return found
