"""The peers: how they are set up, how they answered last, and what has passed between them and this node."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dicomnode.flow.asked.peers import echo_shown, peers_shown
from dicomnode.web.access import Operator, Viewer
from dicomnode.web.acting import OperatorActs
from dicomnode.web.api.forms import PeerName
from dicomnode.web.desk import OpenStore, SettingsNow
from dicomnode.web.pages.drawing import back, page
from dicomnode.web.problem import unknown

router = APIRouter(include_in_schema=False)


@router.get("/peers")
def peers(request: Request, caller: Viewer, opened: OpenStore, settings: SettingsNow) -> Response:
    """Every peer of the configuration."""
    return page(request, "peers.html", caller, peers=peers_shown(settings, opened.db, sees_names=caller.sees_names))


@router.post("/peers/{name}/echo")
def echo(request: Request, caller: Operator, acts: OperatorActs, settings: SettingsNow, name: PeerName) -> Response:
    """Ask a peer for C-ECHO now."""
    peer = settings.peer(name)
    if peer is None:
        raise unknown("the peer")
    answer = echo_shown(acts.echo(peer), sees_names=caller.sees_names)
    if answer.failure:
        return back(request, caller, "/peers", f"{name} does not answer: {answer.failure}", "bad")
    return back(request, caller, "/peers", f"{name} answers C-ECHO in {answer.seconds * 1000:.0f} ms")
