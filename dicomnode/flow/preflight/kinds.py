"""Tests which kinds of result a peer accepts, in which transfer syntaxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from pydicom.uid import UID

from dicomnode.config import Settings
from dicomnode.deliver import offers
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Acceptance, Peer
from dicomnode.flow.inquiry import asker
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database


def acceptance(settings: Settings, peer: Peer, away: bool, remember: bool) -> Acceptance | None:
    """What a peer accepts; a node that is set up goes by it from now on, instead of a day after the archive changed."""
    try:
        results = None if away else asker(settings)(peer)
    except DicomNodeError:
        results = None
    path = settings.store.folder / "node.db"
    if not remember or not os.access(path, os.W_OK):
        return None if results is None else Acceptance(asked_at=utc_now(), results=results)
    with closing(Database(path)) as db:
        if results is not None:
            with db.transaction():
                Acceptances(db).remember(peer, results)
        return Acceptances(db).of(peer)


def kinds(peer: Peer, known: Acceptance) -> Iterator[Check]:
    """What a peer accepts, kind by kind."""
    asked = f"asked {known.asked_at:%Y-%m-%d %H:%M} UTC"
    for kind, classes in offers.OFFERS.items():
        accepted = {
            sop_class: [UID(one).name for one in syntaxes if known.results.get((sop_class, one)) == 0]
            for sop_class, syntaxes in classes.items()
        }
        lines = [f"{UID(one).name} in {', '.join(names)}" for one, names in accepted.items() if names]
        subject = f"{peer.name} takes {kind}"
        if kind in ("seg", "labelmap") and lines:
            lines = [line.removeprefix(f"{UID(next(iter(classes))).name} in ") for line in lines]
        if lines:
            yield Check(subject=subject, verdict=Verdict.OK, found=f"{'; '.join(lines)} ({asked})")
            continue
        # Nobody misses what is not sent: only a report has no other form, and a list is an operator's wish.
        missed = kind in peer.outputs or (kind == "sr" and not peer.outputs)
        missed |= kind == "rejection" and peer.rejection_notes
        yield Check(
            subject=subject,
            verdict=Verdict.WARN if missed else Verdict.OK,
            found=f"not accepted ({asked})",
            remedy=f"have {peer.name} accept {' or '.join(UID(one).name for one in classes)}" if missed else "",
        )
