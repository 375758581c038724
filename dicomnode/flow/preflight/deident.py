"""Tests whether peers that may not know the patient can be served."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config import Settings
from dicomnode.deident.secret import read_secret
from dicomnode.domain.errors import ConfigError
from dicomnode.flow.verdict import Check, Verdict


def pseudonyms(settings: Settings) -> Iterator[Check]:
    """Whether the secret of the pseudonyms can be used, where a peer needs it."""
    asking = [peer.name for peer in settings.peers if peer.deidentify is not None]
    if not asking:
        return
    subject = f"de-identification for {', '.join(asking)}"
    try:
        read_secret(settings.deidentify.secret_file)
    except ConfigError as error:
        fault = error.faults[0]
        yield Check(subject=subject, verdict=Verdict.FAIL, found=f"{fault.key} = {fault.value!r}", remedy=fault.remedy)
    else:
        yield Check(subject=subject, verdict=Verdict.OK, found="secret found, for the node alone")
