"""What `[retention]` needs of the entries of peers."""

from __future__ import annotations

from dicomnode.config.faults import suggest
from dicomnode.config.tables import RetentionTable
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import Peer, PeerRole


def retention_faults(table: RetentionTable | None, peers: tuple[Peer, ...]) -> list[Fault]:
    """Archives that are to be asked for images and cannot be."""
    faults = []
    by_name = {peer.name: peer for peer in peers}
    for name in table.inputs_confirmed_by if table is not None else ():
        if name not in by_name:
            remedy = suggest(name, tuple(by_name), "no such peer")
            faults.append(Fault(key="retention.inputs_confirmed_by", value=name, remedy=remedy))
        elif by_name[name].role is PeerRole.MODALITY:
            remedy = "this peer is a modality; name the archives that keep its images"
            faults.append(Fault(key="retention.inputs_confirmed_by", value=name, remedy=remedy))
    return faults
