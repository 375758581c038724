"""Which peers have to do with storage commitment."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.domain.network import Peer


def involved(settings: Settings) -> list[Peer]:
    """Peers that are asked for what they keep, and peers that ask."""
    archives = {name for peer in settings.peers for name in peer.committed_by}
    return [
        peer for peer in settings.peers
        if peer.commitment or peer.verify or peer.committed_by or peer.name in archives
    ]  # fmt: skip
