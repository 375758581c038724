"""A peer is asked what it accepts before it is sent anything, once a day and after a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.flow.outbox import Outbox
from dicomnode.store.acceptances import Acceptances
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, SEG, THREE_D, Answers, owe, states

EXPLICIT = "1.2.840.10008.1.2.1"


class Archive(Answers):
    """A peer that can be asked, and counts how often it was."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refuses = set(refused)
        self.asked = 0
        self.fault: Exception | None = None

    def ask(self, _peer: Peer) -> dict[tuple[str, str], int]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return {(one, EXPLICIT): 3 if one in self.refuses else 0 for one in (SEG, THREE_D)}


@pytest.fixture
def outbox(db: Database, files: Files) -> Callable[[Archive], Outbox]:
    settings = parse({"peer": [PEER]})
    return lambda archive: Outbox(db, files, settings, archive.send, "deliver-1", archive.ask)


def send_all(outbox: Outbox) -> None:
    while outbox.run_once("PACS"):
        pass


def test_a_seg_that_is_not_accepted_is_never_offered(db: Database, files: Files, outbox: Any) -> None:
    owe(db, files)
    archive = Archive(SEG)
    send_all(outbox(archive))
    assert archive.offered == ["9.picture-1", "9.sr-without-seg"]
    assert states(db) == {"sr-without-seg": "done", "picture-1": "done"}
    told = [tuple(row) for row in db.rows("SELECT entity_id, detail FROM event WHERE arrow = 'left out'")]
    assert ("seg to PACS", "another form is accepted there") in told


def test_a_peer_is_asked_once_a_day(db: Database, files: Files, outbox: Any, clock: Hands) -> None:
    archive = Archive()
    for number, hours in enumerate((0, 23, 2)):
        clock.forward(hours * 3600)
        owe(db, files, study=f"1.{number}")
        send_all(outbox(archive))
    assert archive.asked == 2
    assert len(archive.offered) == 6


def test_a_peer_is_asked_again_after_it_refused_what_it_had_accepted(db: Database, files: Files, outbox: Any) -> None:
    owe(db, files)
    archive = Archive()
    archive.answers["9.seg"] = 0xA900
    send_all(outbox(archive))
    assert archive.offered == ["9.seg", "9.picture-1", "9.sr-without-seg"] and archive.asked == 2
    assert states(db) == {"seg": "failed", "sr-without-seg": "done", "picture-1": "done"}


def test_an_inquiry_whose_answer_never_came_leaves_everything_waiting(
    db: Database, files: Files, outbox: Any, clock: Hands
) -> None:
    owe(db, files)
    archive = Archive(SEG)
    archive.fault = PeerUnreachable("no answer")
    assert outbox(archive).run_once("PACS")
    assert states(db) == {"seg": "waiting", "sr": "waiting"} and outbox(archive).destinations() == []
    archive.fault = None
    clock.forward(6)
    send_all(outbox(archive))
    assert states(db) == {"sr-without-seg": "done", "picture-1": "done"}


def test_a_peer_that_cannot_be_asked_at_all_is_sent_to_and_meets_its_fault_there(
    db: Database, files: Files, outbox: Any
) -> None:
    owe(db, files)
    archive = Archive()
    archive.fault = DeliveryError("no such AE title can be")
    send_all(outbox(archive))
    assert states(db) == {"seg": "done", "sr": "done"}


def test_what_was_learnt_at_another_address_is_not_believed(db: Database) -> None:
    old = Peer(name="PACS", aet="PACS", host="10.0.0.1", port=104)
    new = Peer(name="PACS", aet="PACS", host="10.0.0.2", port=104)
    with db.transaction():
        Acceptances(db).remember(old, {(SEG, EXPLICIT): 3})
    known = Acceptances(db).of(old)
    assert known is not None and not known.takes(SEG, EXPLICIT) and not Acceptances(db).due(old)
    assert Acceptances(db).of(new) is None and Acceptances(db).due(new)


def test_a_sender_killed_between_answer_and_commit_offers_the_same_object_again(
    db: Database, files: Files, outbox: Any
) -> None:
    owe(db, files)
    archive = Archive()
    archive.dies_after = "9.sr"
    with pytest.raises(KeyboardInterrupt):
        outbox(archive).run_once("PACS")
    archive.dies_after = ""
    # Meanwhile the archive changed its mind about the class of the report; but it may have it already.
    archive.refuses = {THREE_D}
    with db.transaction():
        Acceptances(db).doubt("PACS")
        Deliveries(db, files).hand_back("%", "process died", counts=True)
    send_all(outbox(archive))
    assert archive.offered == ["9.seg", "9.sr", "9.sr"]
    assert states(db) == {"seg": "done", "sr": "done"}


def test_a_retry_asks_anew_and_offers_the_richest_form_first(db: Database, files: Files, outbox: Any) -> None:
    job = owe(db, files)
    archive = Archive(SEG)
    archive.answers = {"9.sr-without-seg": 0xA900, "9.picture-1": 0xA900}
    send_all(outbox(archive))
    assert states(db) == {"sr-without-seg": "failed", "picture-1": "failed"}
    archive.answers, archive.refuses = {}, set()
    sender = outbox(archive)
    with db.transaction():
        assert sender._deliveries.requeue(job.study_instance_uid) == 2
    send_all(sender)
    assert archive.offered[-2:] == ["9.seg", "9.sr"]
    assert states(db) == {"seg": "done", "sr": "done"}
