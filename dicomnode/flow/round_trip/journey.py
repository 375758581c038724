"""Sends a made study through the running node, watches it, finds its results again, and removes it from this side."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dicomnode.config import Settings
from dicomnode.deliver import dimse
from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.network import Peer
from dicomnode.flow.preflight.answers import answered
from dicomnode.flow.round_trip.choose import Chosen, choose
from dicomnode.flow.round_trip.entrance import entrance, hindrance
from dicomnode.flow.round_trip.made import write
from dicomnode.flow.round_trip.remove import found_again, rejected, removed
from dicomnode.flow.round_trip.stages import told
from dicomnode.flow.round_trip.ticket import alone, issue, withdraw
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.round_trips import RoundTrips

#: How often the store is asked how far the study has come.
_POLL_SECONDS = 0.1

#: An association that was interrupted is closed in the books by then.
_LET_GO_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What the study goes by and who gets its results, where that is not left to the node, and how long it may take."""

    rule: str = ""
    peer: str = ""
    patience_seconds: float = 600.0


def travel(db: Database, files: Files, settings: Settings, journey: Journey) -> Iterator[Check]:
    """One round trip, stage by stage; what an earlier one has left behind goes first.

    However it ends, the study is removed from this side, or by the next round trip if that cannot be done now.

    Raises
    ------
    DicomNodeError
        Another round trip is under way.
    """
    with alone(settings.store.folder):
        withdraw(settings.store.folder)
        for uid in RoundTrips(db).left():
            yield removed(db, files, settings, uid, "an earlier round trip")
        stands_in_the_way = hindrance(settings)
        if stands_in_the_way:
            yield stands_in_the_way
            return
        try:
            chosen = choose(db, settings, journey.rule, journey.peer)
        except Unsuitable as error:
            remedy = "name with --rule a rule that a chest CT may meet, or add one to the configuration"
            yield Check(subject="round trip", verdict=Verdict.FAIL, found=str(error), remedy=remedy)
            return
        away = [_away(settings, peer) for peer in chosen.peers]
        if any(away):
            yield from filter(None, away)
            return
        yield from _there_and_back(db, files, settings, chosen, journey.patience_seconds)


def _away(settings: Settings, peer: Peer) -> Check | None:
    """Why nothing can be brought to a destination now, which would otherwise be tried for as long as there is time."""
    try:
        answered(settings, peer)
    except DicomNodeError as error:
        remedy = "nothing was sent; `dicomnode check` has more on this peer"
        return Check(subject=f"peer {peer.name}", verdict=Verdict.FAIL, found=str(error), remedy=remedy)
    return None


def _there_and_back(
    db: Database, files: Files, settings: Settings, chosen: Chosen, patience_seconds: float
) -> Iterator[Check]:
    uid, gone = chosen.ticket.study_instance_uid, False
    deadline = time.monotonic() + patience_seconds
    issue(settings.store.folder, chosen.ticket)
    try:
        sent = _sent(settings, chosen)
        yield sent
        if sent.verdict is Verdict.OK:
            ended = _wait(lambda: RoundTrips(db).progress(uid).ended, deadline)
            yield from told(db, settings, chosen, waited_seconds=None if ended else patience_seconds)
            yield from found_again(db, settings, chosen)
            taken_back = rejected(db, files, settings, uid)
            if taken_back:
                _wait(lambda: RoundTrips(db).progress(uid).ended, deadline)
                yield taken_back
        yield removed(db, files, settings, uid, "the study")
        gone = True
    finally:
        if not gone:
            # Whoever interrupts waits for no answer, but for the listener to notice that the association has ended;
            # what cannot go then goes with the next round trip.
            removed(db, files, settings, uid, "the study", patience_seconds=_LET_GO_SECONDS)
        withdraw(settings.store.folder)


def _sent(settings: Settings, chosen: Chosen) -> Check:
    node = entrance(settings, chosen.called_aet)
    subject, ticket = "sent by C-STORE", chosen.ticket
    timeouts = dimse.Timeouts(dimse_seconds=settings.deliver.response_timeout_seconds)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dicomnode-check-") as folder:
        files = list(write(chosen.datasets, Path(folder)))
        try:
            receipts = list(dimse.send(node, files, calling_aet=ticket.calling_aet, timeouts=timeouts))
        except DicomNodeError as error:
            remedy = "look at the log of the node: it says why it turned the study away"
            return Check(subject=subject, verdict=Verdict.FAIL, found=str(error), remedy=remedy)
    refused = [one.words for one in receipts if not one.stored]
    seconds = time.monotonic() - began
    whom = f"{len(files)} images for rule {ticket.rule}, study {ticket.study_instance_uid}"
    if refused:
        found, remedy = f"{len(refused)} of {whom} refused: {refused[0]}", "`dicomnode check` says what is full"
        return Check(subject=subject, verdict=Verdict.FAIL, found=found, remedy=remedy, seconds=seconds)
    found = f"{whom} to {node.aet} at {node.host}:{node.port} in {seconds:.1f} s"
    return Check(subject=subject, verdict=Verdict.OK, found=found, seconds=seconds)


def _wait(done: Callable[[], bool], deadline: float) -> bool:
    """Whether it was so before the deadline (of `time.monotonic`)."""
    while not (reached := done()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return reached
