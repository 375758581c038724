"""What storage commitment needs of the entries of peers together."""

from __future__ import annotations

from dicomnode.config.faults import suggest
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import Peer, PeerRole


def commitment_faults(peers: tuple[Peer, ...]) -> list[Fault]:
    """What of `commitment`, `verify` and `committed_by` cannot work."""
    faults = []
    by_name = {peer.name: peer for peer in peers}
    for peer in peers:
        for key in ("commitment", "verify"):
            if getattr(peer, key) and peer.deidentify is not None:
                remedy = "objects go there under other UIDs and cannot be asked for; leave one of the two out"
                faults.append(Fault(key=f"peer {peer.name}.{key}", value=True, remedy=remedy))
        for name in peer.committed_by:
            where = f"peer {peer.name}.committed_by"
            if name not in by_name:
                faults.append(Fault(key=where, value=name, remedy=suggest(name, tuple(by_name), "no such peer")))
            elif name == peer.name:
                faults.append(Fault(key=where, value=name, remedy="a peer cannot answer for itself"))
            elif by_name[name].role is PeerRole.MODALITY:
                remedy = "this peer is a modality; name the archives that keep its images"
                faults.append(Fault(key=where, value=name, remedy=remedy))
    return faults
