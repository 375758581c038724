"""The peers as the configuration has them, and what has passed between them and this node."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.config import Settings
from dicomnode.store.database import Database
from dicomnode.store.echoes import Echo, Echoes, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerShown:
    """One `[[peer]]`; `echo` is how it answered when it was last asked from here, None for never."""

    name: str
    aet: str
    host: str
    port: int
    role: str
    tls: bool
    takes_results: bool
    accepts_research: bool
    outputs: tuple[str, ...]
    deidentified: bool
    commitment: bool
    retrieve: str
    traffic: Traffic
    echo: Echo | None = None


def peers_shown(settings: Settings, db: Database) -> list[PeerShown]:
    """Every peer, in the order of the configuration."""
    rows = Echoes(db)
    return [
        PeerShown(
            name=peer.name, aet=peer.aet, host=peer.host, port=peer.port, role=str(peer.role), tls=peer.tls is not None,
            takes_results=peer.may_receive, accepts_research=peer.accept_research, outputs=peer.outputs,
            deidentified=peer.deidentify is not None, commitment=peer.commitment, retrieve=peer.retrieve,
            traffic=rows.traffic(peer.name), echo=rows.of(peer.name),
        )
        for peer in settings.peers
    ]  # fmt: skip
