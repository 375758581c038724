"""Asks a peer by C-ECHO, or on the web, whether it is there and knows us."""

from __future__ import annotations

from time import monotonic

from pynetdicom import build_context

from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.deliver.stow_query import ask
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.network import Peer

VERIFICATION = "1.2.840.10008.1.1"


def echo(peer: Peer, *, calling_aet: str, timeouts: Timeouts) -> float:
    """Seconds between C-ECHO request and response (PS3.4 Annex A); of a peer with `stow` those of a query by QIDO-RS.

    Raises
    ------
    PeerUnreachable
        No answer with status Success; says whether connection, association or answer is missing, and why.
    """
    if peer.stow is not None:
        return ask(peer, timeouts=timeouts)
    with conversation(peer, [build_context(VERIFICATION)], calling_aet=calling_aet, timeouts=timeouts) as talk:
        if not talk.association.is_established:
            raise PeerUnreachable(f"{talk.name}: accepts the association but not the Verification SOP class")
        began = monotonic()
        answer = talk.association.send_c_echo()
        seconds = monotonic() - began
        if "Status" not in answer:
            raise talk.lost(seconds)
        if answer.Status != 0x0000:
            raise PeerUnreachable(f"{talk.name}: answered the C-ECHO with status {answer.Status:04X}")
        return seconds
