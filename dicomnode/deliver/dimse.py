"""Sends result objects to a peer by C-STORE and reports the answer to each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext

from dicomnode.deliver.association import Conversation, Timeouts, conversation
from dicomnode.deliver.echo import echo
from dicomnode.deliver.outcome import CONTEXT_RESULTS, Verdict, status_text, verdict_of
from dicomnode.deliver.verification import holds
from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.network import CONVERTIBLE, Peer
from dicomnode.domain.work import Receipt

__all__ = ["Outgoing", "Timeouts", "echo", "send"]

#: Odd identifiers from 1 to 255 (PS3.8 9.3.2.2).
MOST_CONTEXTS = 128

#: What an uncompressed object may be converted to; the first is the one to prefer.
FALLBACKS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

#: What a C-FIND says about an object that the peer calls a duplicate.
_THERE = {
    True: "already there, verified by C-FIND",
    None: "already there, not verified",
    False: "but C-FIND does not find it there",
}

_DEFLATED = str(DeflatedExplicitVRLittleEndian)

_PRIORITY_MEDIUM = 0
_MOST_MESSAGE_IDS = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One kept Part 10 file that a peer shall have."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path


def send(peer: Peer, files: Sequence[Outgoing], *, calling_aet: str, timeouts: Timeouts) -> Iterator[Receipt]:
    """Send `files` in their order over one association.

    The bytes go out as they were kept. Only where the peer accepts nothing but another uncompressed transfer syntax, or
    a SEG deflated as its entry asks, is the data set encoded anew, which loses nothing (PS3.5 Annex A).

    Yields
    ------
    Receipt
        One per file, as soon as the peer has answered.

    Raises
    ------
    PeerUnreachable
        There is no association (`NoAssociation`), or it ended before every file was answered; receipts already given
        stay valid, and the peer may have the file whose turn it was.
    DeliveryError
        A file is missing or is not the object it should be.
    """
    if not files:
        return
    with conversation(
        peer, presentation_contexts(files, deflate=peer.deflate), calling_aet=calling_aet, timeouts=timeouts
    ) as talk:
        for number, file in enumerate(files):
            yield _send_one(talk, file, number % _MOST_MESSAGE_IDS + 1)


def presentation_contexts(files: Sequence[Outgoing], *, deflate: bool = False) -> list[PresentationContext]:
    """One context per SOP class and transfer syntax, and own ones for what a file may be converted to.

    With `deflate` a SEG is proposed deflated, too. Each context proposes a single transfer syntax, since the peer picks
    one per context (PS3.8 9.3.2.2).

    Raises
    ------
    DeliveryError
        More contexts are needed than an association can have.
    """
    wanted = dict.fromkeys((file.sop_class_uid, file.transfer_syntax_uid) for file in files)
    for file in files:
        if file.transfer_syntax_uid in CONVERTIBLE:
            wanted.update(dict.fromkeys((file.sop_class_uid, syntax) for syntax in FALLBACKS))
        if deflate and _deflatable(file):
            wanted[file.sop_class_uid, _DEFLATED] = None
    if len(wanted) > MOST_CONTEXTS:
        text = f"{len(files)} files need {len(wanted)} presentation contexts, an association has {MOST_CONTEXTS}"
        raise DeliveryError(f"{text}; send fewer kinds of objects at once")
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _send_one(talk: Conversation, file: Outgoing, message_id: int) -> Receipt:
    check(file)
    accepted = {
        str(context.transfer_syntax[0])
        for context in talk.association.accepted_contexts
        if context.abstract_syntax == file.sop_class_uid
    }
    what: Path | Dataset = file.path
    if talk.peer.deflate and _deflatable(file) and _DEFLATED in accepted:
        what = _decoded(file)
        what.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    elif file.transfer_syntax_uid not in accepted:
        if file.transfer_syntax_uid not in CONVERTIBLE or not accepted & CONVERTIBLE:
            return _not_offered(talk, file)
        what = _decoded(file)
    began = monotonic()
    try:
        answer = talk.association.send_c_store(what, msg_id=message_id, priority=_PRIORITY_MEDIUM)
    except RuntimeError as error:  # pynetdicom: there is no association any more
        raise talk.lost(monotonic() - began) from error
    except (OSError, ValueError, AttributeError) as error:
        # Part of the message may be on its way, so that nothing else can follow it.
        talk.association.abort()
        raise DeliveryError(f"{file.path.name}: cannot be sent, {_kind(error)}") from error
    if "Status" not in answer:
        raise talk.lost(monotonic() - began)
    verdict = verdict_of(answer.Status)
    text = status_text(answer.Status)
    if verdict is Verdict.DUPLICATE:
        # UIDs of results are derived from what was analysed, so what is there is this object, whose answer got lost.
        # Only a peer that does not find it itself is not believed.
        there = holds(talk.peer, file.path, calling_aet=talk.association.requestor.ae_title, timeouts=talk.timeouts)
        verdict = Verdict.REFUSED if there is False else Verdict.STORED
        text = f"{text}; {_THERE[there]}"
    return Receipt(
        sop_instance_uid=file.sop_instance_uid,
        status=answer.Status,
        stored=verdict is Verdict.STORED,
        final=verdict is Verdict.REFUSED,
        text=text,
        comment=str(answer.get("ErrorComment") or ""),
    )


def _kind(error: Exception) -> str:
    """What went wrong without the library's words, which may repeat values of the patient."""
    return error.strerror or "OSError" if isinstance(error, OSError) else type(error).__name__


def _deflatable(file: Outgoing) -> bool:
    """Masks of one bit are nearly all zeros, and have no compressed transfer syntax that every reader knows."""
    return file.sop_class_uid == SegmentationStorage and file.transfer_syntax_uid == ExplicitVRLittleEndian


def check(file: Outgoing) -> None:
    """Make sure that the file is the object that was promised, before any of it leaves."""
    try:
        meta = read_file_meta_info(file.path)
    except OSError as error:
        raise DeliveryError(f"{file.path}: {error.strerror or error}") from error
    except (InvalidDicomError, EOFError, ValueError, AttributeError, NotImplementedError) as error:
        raise DeliveryError(f"{file.path}: not a DICOM file, {_kind(error)}") from error
    found = (
        str(meta.get("MediaStorageSOPClassUID", "")),
        str(meta.get("MediaStorageSOPInstanceUID", "")),
        str(meta.get("TransferSyntaxUID", "")),
    )
    wanted = (file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax_uid)
    if found != wanted:
        raise DeliveryError(f"{file.path}: holds {' '.join(found)}, expected {' '.join(wanted)}")


def _decoded(file: Outgoing) -> Dataset:
    try:
        ds = dcmread(file.path)
    except (OSError, InvalidDicomError, EOFError, ValueError) as error:
        raise DeliveryError(f"{file.path}: cannot be converted, {_kind(error)}") from error
    if file.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        # What was deflated is explicit VR little endian (PS3.5 A.5), which pynetdicom knows how to convert.
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _not_offered(talk: Conversation, file: Outgoing) -> Receipt:
    results = {
        CONTEXT_RESULTS.get(context.result or 0, f"unknown result {context.result}")
        for context in talk.association.rejected_contexts
        if context.abstract_syntax == file.sop_class_uid
    }
    what = f"{UID(file.sop_class_uid).name} in {UID(file.transfer_syntax_uid).name}"
    return Receipt(
        sop_instance_uid=file.sop_instance_uid,
        status=None,
        stored=False,
        final=True,
        text=f"no presentation context for {what}: {', '.join(sorted(results)) or 'not accepted'}",
    )
