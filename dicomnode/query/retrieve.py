"""Fetches series from a peer: C-MOVE to this node's own AE title, or C-GET over the association itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog
from pydicom import Dataset
from pynetdicom import build_context, build_role, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet as Get,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove as Move,
)

from dicomnode.domain.errors import DeliveryError, OutOfResources, Refused
from dicomnode.query.talk import Talk, checked, require, status_text

_log = structlog.get_logger(__name__)

_PENDING = 0xFF00

#: "Sub-operations complete, one or more failures" (PS3.4 Tables C.4-2 and C.4-3): some came, and what lacks is seen.
_SOME_FAILED = 0xB000

#: Odd identifiers from 1 to 255 (PS3.8 9.3.2.2), one of them for C-GET itself, two for each storage class.
_MOST_CLASSES = 63

#: SOP classes that a prior may consist of, where the peer does not name them: images of volumes, what was drawn on
#: them, reports.
USUAL_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
    "1.2.840.10008.5.1.4.1.1.128",  # PET
    "1.2.840.10008.5.1.4.1.1.130",  # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1",  # Legacy Converted Enhanced PET
    "1.2.840.10008.5.1.4.1.1.20",  # NM
    "1.2.840.10008.5.1.4.1.1.1",  # CR
    "1.2.840.10008.5.1.4.1.1.1.1",  # DX for presentation
    "1.2.840.10008.5.1.4.1.1.1.2",  # mammography for presentation
    "1.2.840.10008.5.1.4.1.1.13.1.3",  # breast tomosynthesis
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
)

_PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One object that a peer has stored to us during a C-GET; the file at `path` vanishes when it is answered."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def move_contexts() -> list[PresentationContext]:
    """What to propose for C-MOVE."""
    return [build_context(Move)]


def get_contexts(classes: Iterable[str], syntaxes: Sequence[str]) -> list[PresentationContext]:
    """What to propose for C-GET: storage of these SOP classes, and of the usual ones as far as there is room.

    Each class has a context for what needs no decoder and one for everything else that is readable, so that the peer
    need not decompress what it keeps compressed.
    """
    wanted = list(dict.fromkeys((*classes, *USUAL_CLASSES)))[:_MOST_CLASSES]
    compressed = [syntax for syntax in syntaxes if syntax not in _PLAIN]
    contexts = [build_context(Get)]
    for sop_class in wanted:
        contexts.append(build_context(sop_class, list(_PLAIN)))
        if compressed:
            contexts.append(build_context(sop_class, compressed))
    return contexts


def get_roles(contexts: Iterable[PresentationContext]) -> list[SCP_SCU_RoleSelectionNegotiation]:
    """The roles to propose with them: the peer stores, we are its SCP (PS3.7 D.3.3.4)."""
    classes = dict.fromkeys(str(context.abstract_syntax) for context in contexts)
    return [build_role(sop_class, scp_role=True) for sop_class in classes if sop_class != Get]


def get_handlers(keep: Callable[[Stored], None], folder: Path) -> list[evt.EventHandlerType]:
    """What answers the peer's C-STORE requests during a C-GET.

    Parameters
    ----------
    keep
        Keeps the object durably or raises `Refused`.
    folder
        Existing folder for the object while it is being kept, on the file system of the store.
    """

    def on_store(event: evt.Event) -> int:
        assert isinstance(event.request, C_STORE)
        uid = str(event.request.AffectedSOPInstanceUID)
        try:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".fetched-", suffix=".part") as file:
                file.write(event.encoded_dataset())
                file.flush()
                keep(
                    Stored(
                        path=Path(file.name),
                        sop_class_uid=str(event.request.AffectedSOPClassUID),
                        sop_instance_uid=uid,
                        transfer_syntax_uid=str(event.context.transfer_syntax),
                    )
                )
        except Refused as refusal:
            _log.warning("prior_refused", sop_instance_uid=uid, status=f"{refusal.status:04X}", reason=str(refusal))
            return refusal.status
        except OSError as error:
            _log.error("prior_refused", sop_instance_uid=uid, reason=error.strerror)
            return OutOfResources.status
        return 0x0000

    return [(evt.EVT_C_STORE, on_store)]


def move(talk: Talk, study_instance_uid: str, series_instance_uid: str, *, to_aet: str) -> str:
    """Have a series sent to `to_aet`; returns when the peer has, with its remark on what failed ("" for nothing).

    Raises
    ------
    PeerUnreachable, DeliveryError
        The peer gave no answer, or could not move anything.
    """
    require(talk, Move, "C-MOVE (Study Root)")
    query = _series(study_instance_uid, series_instance_uid)
    return _finish(talk, "C-MOVE", lambda: talk.association.send_c_move(query, to_aet, Move))


def get(talk: Talk, study_instance_uid: str, series_instance_uid: str) -> str:
    """Have a series sent over this association, to the handler that it was opened with; as `move`."""
    require(talk, Get, "C-GET (Study Root)")
    query = _series(study_instance_uid, series_instance_uid)
    return _finish(talk, "C-GET", lambda: talk.association.send_c_get(query, Get))


def _series(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = study_instance_uid, series_instance_uid
    return query


def _finish(talk: Talk, what: str, send: Callable[[], Iterable[tuple[Dataset, Dataset | None]]]) -> str:
    """Follow the sub-operations to the final status."""
    began = monotonic()
    try:
        for status, _ in send():
            code = checked(talk, status, began)
            began = monotonic()
            if code == _PENDING:
                continue
            if code == 0x0000:
                return ""
            if code == _SOME_FAILED:
                return f"{status.get('NumberOfFailedSuboperations', 'some')} of its objects could not be sent"
            raise DeliveryError(f"{talk.name}: {status_text(what, code)}")
    except RuntimeError as error:  # pynetdicom: there is no association any more
        raise talk.lost(monotonic() - began) from error
    raise talk.lost(monotonic() - began)
