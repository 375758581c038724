"""The peers, and C-ECHO now."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from dicomnode.flow.asked.peers import PeerShown, echo_shown, peers_shown
from dicomnode.store.echoes import Echo
from dicomnode.web.access import Operator, Viewer
from dicomnode.web.acting import OperatorActs
from dicomnode.web.api.forms import PeerName
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.problem import unknown

router = APIRouter(tags=["peers"])


class Peers(BaseModel):
    """Every peer, in the order of the configuration."""

    peers: list[PeerShown]


@router.get("/peers", operation_id="list_peers", summary="Peers", response_model_exclude_none=True)
def list_peers(caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Peers:
    """Their settings, what came from them and went there, and how they answered last."""
    return Peers(peers=peers_shown(settings, opened.db, sees_names=caller.sees_names))


@router.post("/peers/{name}/echo", operation_id="echo_peer", summary="Ask a peer for C-ECHO")
def echo_peer(name: PeerName, caller: Operator, acts: OperatorActs, settings: SettingsNow) -> Echo:
    """Whether it answers now; `failure` says why not."""
    peer = settings.peer(name)
    if peer is None:
        raise unknown(f"peer {name}")
    return echo_shown(acts.echo(peer), sees_names=caller.sees_names)
