"""Which peers shall have the results of a rule."""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.domain.network import Peer
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study


def destinations(rule: Rule, study: Study, settings: Settings) -> tuple[list[str], list[str]]:
    """Names of the peers that shall have the results, each peer once, and remarks on those that cannot."""
    found: dict[tuple[str, str, int], Peer] = {}
    remarks = []
    for name in rule.destinations:
        peer = settings.peer(study.peer if name == "sender" else name)
        if peer is not None and name == "sender" and peer.results_to:
            peer = settings.peer(peer.results_to)
        if peer is None:
            remarks.append(f"no destination for {name}: no peer entry names {study.calling_aet} at {study.address}")
        elif not peer.may_receive:
            remarks.append(f"{peer.name} is a modality and takes no results")
        else:
            found.setdefault((peer.aet, peer.host, peer.port), peer)
    return [peer.name for peer in found.values()], remarks
