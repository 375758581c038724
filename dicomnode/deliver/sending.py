"""Sends result objects to a peer in the way that its entry says: by C-STORE, or by STOW-RS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.deliver import dimse, stow
from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.stow_memory import Memory
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Receipt


def send(
    peer: Peer,
    files: Sequence[dimse.Outgoing],
    *,
    calling_aet: str,
    timeouts: Timeouts,
    memory: Memory | None = None,
) -> Iterator[Receipt]:
    """As `dimse.send` and `stow.send`; without `memory` nothing is remembered of the peer."""
    if peer.stow is not None:
        yield from stow.send(peer, files, timeouts=timeouts, memory=memory or Memory())
    else:
        yield from dimse.send(peer, files, calling_aet=calling_aet, timeouts=timeouts)
