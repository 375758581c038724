"""Tests whether peers that may not know the patient can be served."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.flow.preflight.named import failed, faults
from dicomnode.flow.verdict import Check, Verdict


def pseudonyms(settings: Settings) -> Iterator[Check]:
    """Whether the secret of the pseudonyms can be used, where a peer needs it."""
    asking = [peer.name for peer in settings.peers if peer.deidentify is not None]
    if not asking:
        return
    subject = f"de-identification for {', '.join(asking)}"
    wrong = faults(settings, "deidentify")
    for fault in wrong:
        yield failed(subject, fault)
    if not wrong:
        yield Check(subject=subject, verdict=Verdict.OK, found="secret found, for the node alone")
