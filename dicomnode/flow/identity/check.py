"""Tests whether the archives that are to be asked whose a study is answer queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts, conversation
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow.identity.ask import is_asked
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.query import identity
from dicomnode.query.talk import missing


def asked_archives(settings: Settings, peers: Sequence[Peer] | None = None) -> Iterator[Check]:
    """Those of `peers` (all when None) that results wait for; none that is away, as its own check has told."""
    for peer in settings.peers if peers is None else peers:
        if is_asked(settings, peer):
            yield from _check(settings, peer)


def _check(settings: Settings, peer: Peer) -> Iterator[Check]:
    contexts = identity.contexts()
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    try:
        with conversation(peer, contexts, calling_aet=settings.node.aet, timeouts=timeouts) as talk:
            lacking = missing(talk, {"C-FIND": contexts[0]})
    except DicomNodeError:
        return
    subject = f"{peer.name} says whose a study is"
    if lacking:
        yield Check(
            subject=subject,
            verdict=Verdict.WARN,
            found="accepts no C-FIND (Study Root): results that have waited go there unasked",
            remedy=f"allow {settings.node.aet} to query there, or set identity = false in its entry",
        )
        return
    after = f"{settings.deliver.ask_after_seconds:g} s"
    yield Check(
        subject=subject, verdict=Verdict.OK, found=f"accepts C-FIND; asked about results that waited for {after}"
    )
