"""Tests which peers do storage commitment, and whether those that are asked for it or by C-FIND can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.commitment import offers
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow.verdict import Check, Verdict

_PUSH_MODEL = "Storage Commitment Push Model"


def committing(settings: Settings, peers: Sequence[Peer] | None = None) -> Iterator[Check]:
    """Those of `peers` (all when None) that get results or answer for another's requests; none that is away."""
    archives = {name for peer in settings.peers for name in peer.committed_by}
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    for peer in settings.peers if peers is None else peers:
        if not peer.may_receive and peer.name not in archives:
            continue
        try:
            commits, finds = offers(peer, calling_aet=settings.node.aet, timeouts=timeouts)
        except DicomNodeError:
            continue  # the check of the peer itself has told
        yield _check(peer, commits, finds, answers=peer.name in archives)


def _check(peer: Peer, commits: bool, finds: bool, *, answers: bool) -> Check:
    subject = f"{peer.name} commits"
    found = f"{_PUSH_MODEL} {'accepted' if commits else 'not accepted'}"
    asked = peer.commitment or answers
    verdict, remedy = Verdict.OK, ""
    if peer.commitment and not commits and not (peer.verify and finds):
        verdict = Verdict.FAIL
        remedy = "have it accept storage commitment from this node, or set verify = true, or commitment = false"
    elif asked and not commits and finds:
        found += "; asked by C-FIND instead"
    elif (peer.verify or answers) and not commits and not finds:
        verdict = Verdict.FAIL
        found += ", nor is C-FIND (Study Root)"
        remedy = "have it accept queries of this node: it has to confirm what it keeps"
    elif commits and not peer.commitment:
        found += "; not used (commitment = false)"
    return Check(subject=subject, verdict=verdict, found=found, remedy=remedy)
