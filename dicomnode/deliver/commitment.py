"""Storage commitment over associations that this node opens: requests to archives, reports to modalities (PS3.4 J)."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Find  # type: ignore[attr-defined]

from dicomnode.deliver.association import LONGEST_ANSWER_BYTES, Conversation, Timeouts, conversation
from dicomnode.deliver.commitment_early import EarlyReport
from dicomnode.domain.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    Report,
    Request,
    report_dataset,
    request_dataset,
)
from dicomnode.domain.errors import DeliveryError
from dicomnode.domain.network import Peer

#: Status codes of N-ACTION and N-EVENT-REPORT in words (PS3.7 Annex C.5).
_WORDS = {
    0x0110: "processing failure",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0122: "SOP class not supported",
    0x0123: "no such action",
    0x0124: "not authorised",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
}


class NotOffered(DeliveryError):
    """The peer does not do what was proposed to it, in the role that this needs."""


def request(
    peer: Peer,
    wanted: Request,
    *,
    calling_aet: str,
    timeouts: Timeouts,
    keep: Callable[[Report], bool],
    reported: Callable[[], bool],
) -> None:
    """Ask `peer` to commit to objects (N-ACTION), and listen for its report for a moment on the same association.

    Parameters
    ----------
    keep
        Keeps a report that comes here; False for one that was not asked for.
    reported
        Whether the report has come elsewhere.

    Raises
    ------
    NotOffered
        It accepts no storage commitment.
    PeerUnreachable
        No association, or no answer.
    DeliveryError
        It refuses the request, and why.
    """
    early = EarlyReport()
    with conversation(
        peer, [_context()], calling_aet=calling_aet, timeouts=timeouts, handlers=early.handlers,
        longest_bytes=LONGEST_ANSWER_BYTES,
    ) as talk:  # fmt: skip
        _require(talk, as_scp=False)
        began = monotonic()
        try:
            answer, _ = talk.association.send_n_action(
                request_dataset(wanted), REQUEST, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        except RuntimeError as error:  # pynetdicom: there is no association any more
            raise talk.lost(monotonic() - began) from error
        status = _status(talk, answer, began)
        if status != 0x0000:
            raise DeliveryError(f"{talk.name}: refuses storage commitment with {status_text(status)}")
        early.listen(talk, keep, reported)


def tell(peer: Peer, report: Report, *, calling_aet: str, timeouts: Timeouts) -> int:
    """Report to `peer` what became of its request (N-EVENT-REPORT), as SCP of an association of our own; its status.

    Raises
    ------
    NotOffered
        It does not accept this node as SCP (PS3.7 D.3.3.4).
    PeerUnreachable
        No association, or no answer.
    """
    roles = [build_role(PUSH_MODEL, scu_role=False, scp_role=True)]
    with conversation(
        peer, [_context()], calling_aet=calling_aet, timeouts=timeouts, roles=roles, longest_bytes=LONGEST_ANSWER_BYTES
    ) as talk:
        _require(talk, as_scp=True)
        began = monotonic()
        try:
            answer, _ = talk.association.send_n_event_report(
                report_dataset(report), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
        except RuntimeError as error:  # pynetdicom: there is no association any more
            raise talk.lost(monotonic() - began) from error
        return _status(talk, answer, began)


def offers(peer: Peer, *, calling_aet: str, timeouts: Timeouts) -> tuple[bool, bool]:
    """Whether a peer accepts storage commitment, and C-FIND (Study Root).

    Raises
    ------
    PeerUnreachable
        There is no association, and why.
    """
    with conversation(peer, [_context(), build_context(Find)], calling_aet=calling_aet, timeouts=timeouts) as talk:
        accepted = {context.abstract_syntax for context in talk.association.accepted_contexts}
        return PUSH_MODEL in accepted, Find in accepted


def status_text(status: int) -> str:
    """A status as `0115 invalid argument value`."""
    return f"{status:04X} {_WORDS.get(status, 'status unknown to the standard')}"


def _context() -> PresentationContext:
    return build_context(PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])


def _require(talk: Conversation, *, as_scp: bool) -> None:
    contexts = [one for one in talk.association.accepted_contexts if one.abstract_syntax == PUSH_MODEL]
    if not contexts:
        raise NotOffered(f"{talk.name}: accepts no storage commitment; allow it there for this node's AE title")
    if as_scp and not contexts[0].as_scp:
        raise NotOffered(f"{talk.name}: accepts storage commitment, but not this node in the role of SCP")


def _status(talk: Conversation, answer: Dataset, began: float) -> int:
    if "Status" not in answer:
        raise talk.lost(monotonic() - began)
    return int(answer.Status)
