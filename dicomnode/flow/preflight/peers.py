"""Tests the peers: whether each answers, and which kinds of result it accepts in which transfer syntaxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from pydicom.uid import UID

from dicomnode.config import Settings
from dicomnode.deliver import dimse, offers
from dicomnode.domain.clock import utc_now
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.network import Acceptance, Peer
from dicomnode.domain.rule import Use
from dicomnode.flow.inquiry import asker
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database


def peers(settings: Settings) -> Iterator[Check]:
    """Every peer by C-ECHO, then what it accepts, kind by kind, as it answers now or has answered last."""
    for peer in settings.peers:
        yield _echo(settings, peer)
        yield from _research(settings, peer)
        if peer.may_receive:
            known = _acceptance(settings, peer)
            yield from _kinds(peer, known) if known is not None else ()


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


def _echo(settings: Settings, peer: Peer) -> Check:
    subject = f"peer {peer.name} ({peer.aet} at {peer.host}:{peer.port})"
    if not peer.may_receive:
        return Check(subject=subject, verdict=Verdict.OK, found="modality; not asked, since it is sent nothing")
    timeouts = dimse.Timeouts(
        connect_seconds=settings.deliver.connect_timeout_seconds,
        dimse_seconds=settings.deliver.response_timeout_seconds,
    )
    try:
        seconds = dimse.echo(peer, calling_aet=settings.node.aet, timeouts=timeouts)
    except DicomNodeError as error:
        remedy = f"is it running, and does it know {settings.node.aet} with this machine's address?"
        found = str(error).removeprefix(f"{subject.removeprefix('peer ')}: ")
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy)
    return Check(subject=subject, verdict=Verdict.OK, found=f"answers C-ECHO in {seconds * 1000:.0f} ms")


def _acceptance(settings: Settings, peer: Peer) -> Acceptance | None:
    """What a peer accepts; a node that is set up goes by it from now on, instead of a day after the archive changed."""
    try:
        results = asker(settings)(peer)
    except DicomNodeError:
        results = None
    path = settings.store.folder / "node.db"
    if not os.access(path, os.W_OK):
        return None if results is None else Acceptance(asked_at=utc_now(), results=results)
    with closing(Database(path)) as db:
        if results is not None:
            with db.transaction():
                Acceptances(db).remember(peer, results)
        return Acceptances(db).of(peer)


def _kinds(peer: Peer, known: Acceptance) -> Iterator[Check]:
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
