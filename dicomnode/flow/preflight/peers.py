"""Tests the peers: whether each answers, and which kinds of result it accepts in which transfer syntaxes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from dicomnode.config import Settings
from dicomnode.domain.network import Peer
from dicomnode.domain.rule import Use
from dicomnode.flow.commitment.check import committing
from dicomnode.flow.identity.check import asked_archives
from dicomnode.flow.preflight.answers import echoed
from dicomnode.flow.preflight.kinds import acceptance, kinds
from dicomnode.flow.preflight.priors import source_of_priors
from dicomnode.flow.retention.check import asked_for_images
from dicomnode.flow.verdict import Check, Verdict

#: Peers asked at the same time; each takes a thread and an association.
_AT_ONCE = 16


def peers(settings: Settings, *, remember: bool = True) -> Iterator[Check]:
    """Every peer by C-ECHO, then what it accepts and does; all are asked at the same time, and told in their order.

    One that is away costs its time-out once: of it nothing else is asked.

    Parameters
    ----------
    remember
        Whether the store takes part: what a peer accepts is kept there, and told where it is away now.
    """
    if not settings.peers:
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(settings.peers)), thread_name_prefix="check") as pool:
        for found in pool.map(lambda peer: list(_one(settings, peer, remember)), settings.peers):
            yield from found


def _one(settings: Settings, peer: Peer, remember: bool) -> Iterator[Check]:
    told, away = echoed(settings, peer)
    yield told
    yield from _research(settings, peer)
    if peer.may_receive:
        known = acceptance(settings, peer, away, remember)
        yield from kinds(peer, known) if known is not None else ()
    if not away and peer.speaks_dimse:
        for further in (committing, asked_archives, asked_for_images):
            yield from further(settings, (peer,))
        yield from source_of_priors(settings, peer)


def _research(settings: Settings, peer: Peer) -> Iterator[Check]:
    """A peer that gets no results of what it sends, for want of one line; other destinations are held at loading."""
    rules = [rule.name for rule in settings.rules if rule.use is Use.RESEARCH and "sender" in rule.destinations]
    if rules and peer.may_receive and not peer.accept_research and not peer.results_to:
        yield Check(
            subject=f"{peer.name} as sender",
            verdict=Verdict.WARN,
            found=f"gets no results of {', '.join(rules)}: they are for research, which it does not accept",
            remedy="set accept_research = true in its entry, if its readers may see that",
        )
