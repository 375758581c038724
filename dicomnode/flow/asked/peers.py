"""The peers as the configuration has them, and what has passed between them and this node."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dicomnode.config import Settings
from dicomnode.flow.shown.words import for_caller
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


def peers_shown(settings: Settings, db: Database, *, sees_names: bool) -> list[PeerShown]:
    """Every peer, in the order of the configuration, with what it answered as a caller may see that."""
    rows = Echoes(db)
    return [
        PeerShown(
            name=peer.name, aet=peer.aet, host=peer.host, port=peer.port, role=str(peer.role), tls=peer.tls is not None,
            takes_results=peer.may_receive, accepts_research=peer.accept_research, outputs=peer.outputs,
            deidentified=peer.deidentify is not None, commitment=peer.commitment, retrieve=peer.retrieve,
            traffic=_traffic(rows.traffic(peer.name), sees_names), echo=_echo(rows.of(peer.name), sees_names),
        )
        for peer in settings.peers
    ]  # fmt: skip


def echo_shown(echo: Echo, *, sees_names: bool) -> Echo:
    """How a peer answered, as a caller may see that."""
    return replace(echo, failure=for_caller("delivery", echo.failure, sees_names=sees_names))


def _echo(echo: Echo | None, sees_names: bool) -> Echo | None:
    return echo and echo_shown(echo, sees_names=sees_names)


def _traffic(traffic: Traffic, sees_names: bool) -> Traffic:
    because = for_caller("delivery", traffic.left_alone_because, sees_names=sees_names)
    return replace(traffic, left_alone_because=because)
