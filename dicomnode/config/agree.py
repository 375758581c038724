"""What peers, rules and ports say together and cannot both be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dicomnode.config.faults import suggest
from dicomnode.config.web import is_loopback
from dicomnode.domain.errors import Fault
from dicomnode.domain.network import Peer
from dicomnode.domain.prior import OWN_STORE
from dicomnode.domain.rule import Rule, Use

#: Addresses that stand for all of the machine.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


def cross_faults(peers: tuple[Peer, ...], rules: tuple[Rule, ...], unread: frozenset[str] = frozenset()) -> list[Fault]:
    """`unread`: names of peers whose entries have faults of their own, so that nothing more is known of them."""
    faults = []
    names = [peer.name for peer in peers]
    for kind, found in (("peer", names), ("rule", [rule.name for rule in rules])):
        for name in sorted({name for name in found if found.count(name) > 1}):
            faults.append(Fault(key=f"{kind}.name", value=name, remedy="each name may stand once"))
    if "sender" in names:
        faults.append(Fault(key="peer.name", value="sender", remedy="the word means the peer that sent"))
    if OWN_STORE in names:
        faults.append(Fault(key="peer.name", value=OWN_STORE, remedy="as a source of priors it means the own store"))
    for peer in peers:
        target = next((other for other in peers if other.name == peer.results_to), None)
        if target is not None and not target.may_receive:
            remedy = "this peer is a modality; set accept_results = true in its entry if it shall have results"
            faults.append(Fault(key=f"peer {peer.name}.results_to", value=peer.results_to, remedy=remedy))
        if peer.results_to and peer.results_to not in names and peer.results_to not in unread:
            remedy = suggest(peer.results_to, tuple(names), "no such peer")
            faults.append(Fault(key=f"peer {peer.name}.results_to", value=peer.results_to, remedy=remedy))
    by_name = {peer.name: peer for peer in peers}
    for rule in rules:
        for source in rule.priors.peers if rule.priors else ():
            if source not in by_name and source not in unread:
                remedy = suggest(source, (OWN_STORE, *names), "no such peer")
                faults.append(Fault(key=f"rule {rule.name}.priors.from", value=source, remedy=remedy))
        for destination in rule.destinations:
            if destination == "sender" or (destination in unread and destination not in by_name):
                continue
            if destination not in by_name:
                remedy = suggest(destination, ("sender", *names), "no such peer")
                faults.append(Fault(key=f"rule {rule.name}.destinations", value=destination, remedy=remedy))
            elif not by_name[destination].may_receive:
                remedy = "this peer is a modality; set accept_results = true in its entry if it shall have results"
                faults.append(Fault(key=f"rule {rule.name}.destinations", value=destination, remedy=remedy))
            elif not _shared(rule, by_name[destination]):
                remedy = (
                    f"this peer takes only {', '.join(by_name[destination].outputs)}; have the rule make one of them"
                )
                faults.append(Fault(key=f"rule {rule.name}.outputs", value=destination, remedy=remedy))
            elif rule.use is Use.RESEARCH and not by_name[destination].accept_research:
                remedy = (
                    "the rule is for research; set accept_research = true in this peer's entry if its readers may see"
                    ' that, or use = "clinical" in the rule'
                )
                faults.append(Fault(key=f"rule {rule.name}.destinations", value=destination, remedy=remedy))
    return faults


def port_faults(tables: Mapping[str, Any], peers: tuple[Peer, ...]) -> list[Fault]:
    """Two listeners on one port, and a peer that is this node: results would come back to where they were made.

    Parameters
    ----------
    tables
        Those that could be read, by name; nothing is said of the others.
    """
    if "node" not in tables or "tls" not in tables:
        return []
    node, tls = tables["node"], tables["tls"]
    listeners = [("node.port", node.host, 0 if tls.only else node.port), ("tls.port", node.host, tls.port)]
    listeners += [
        (f"{name}.port", tables[name].host or node.host, tables[name].port)
        for name in ("stow", "web") if name in tables
    ]  # fmt: skip
    faults = []
    for number, (key, host, port) in enumerate(listeners):
        taken = [one for one, other, same in listeners[:number] if port and same == port and _meet(host, other)]
        if taken:
            faults.append(Fault(key=key, value=port, remedy=f"{taken[0]} is the same; each needs a port of its own"))
    for peer in peers:
        here = peer.host == node.host or (is_loopback(peer.host) and _meet(peer.host, node.host))
        if here and peer.speaks_dimse and peer.port in (node.port, tls.port) and peer.aet in node.called_aets:
            remedy = "this is the node itself; write the AE title, the address and the port of the other side"
            faults.append(Fault(key=f"peer {peer.name}.port", value=peer.port, remedy=remedy))
    return faults


def _meet(host: str, other: str) -> bool:
    """Whether what listens on one of two addresses keeps the other from the same port."""
    return host == other or not {host, other}.isdisjoint(_EVERYWHERE) or (is_loopback(host) and is_loopback(other))


def _shared(rule: Rule, peer: Peer) -> bool:
    """Whether a rule makes anything that a peer takes; whatever makes a SEG makes a LABELMAP for who lists it."""
    made = {*rule.outputs, *(("labelmap",) if "seg" in rule.outputs else ())}
    return not peer.outputs or bool(made & set(peer.outputs))
