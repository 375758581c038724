"""Tests whether the archives that images wait for answer queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dicomnode.config import Settings
from dicomnode.deliver.association import Timeouts
from dicomnode.deliver.commitment import offers
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Peer
from dicomnode.flow.verdict import Check, Verdict


def asked_for_images(settings: Settings, peers: Sequence[Peer] | None = None) -> Iterator[Check]:
    """Those of `peers` (all when None) in `inputs_confirmed_by`; none that is away, as its own check has told."""
    timeouts = Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    for peer in settings.peers if peers is None else peers:
        if peer.name not in settings.retention.inputs_confirmed_by:
            continue
        try:
            _commits, finds = offers(peer, calling_aet=settings.node.aet, timeouts=timeouts)
        except DicomNodeError:
            continue
        subject = f"{peer.name} says which images it has"
        if finds:
            yield Check(subject=subject, verdict=Verdict.OK, found="accepts C-FIND; asked before images go")
        else:
            remedy = f"allow {settings.node.aet} to query there, or take it out of retention.inputs_confirmed_by"
            found = "accepts no C-FIND (Study Root): images wait for it in vain"
            yield Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
