"""What is sent to one destination: one object that cannot go leaves the others on their way."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.outbox import Outbox
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, Answers, owe, states

LISTED: dict[str, Any] = {"outputs": ["seg", "sr", "picture"]}


class Failing(Answers):
    """Fails in one way at one object."""

    def __init__(self, uid: str, error: Exception) -> None:
        super().__init__()
        self._uid = uid
        self._error = error

    def send(self, peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        for one in batch:
            if one.sop_instance_uid == self._uid:
                raise self._error
            yield from super().send(peer, [one])


def outbox(db: Database, files: Files, sender: Answers, **peer: Any) -> Outbox:
    return Outbox(db, files, parse({"peer": [{**PEER, **peer}]}), sender.send, "deliver-1")


def doubts(db: Database) -> list[str]:
    rows = db.rows("SELECT role FROM delivery JOIN result USING (result_id) WHERE in_doubt = 1 ORDER BY delivery_id")
    return [row["role"] for row in rows]


def test_what_does_not_refer_to_a_file_that_cannot_be_sent_goes_all_the_same(db: Database, files: Files) -> None:
    owe(db, files, **LISTED)
    pacs = Failing("9.seg", DeliveryError("seg: holds another object"))
    it = outbox(db, files, pacs, **LISTED)
    while it.run_once("PACS"):
        pass
    assert pacs.offered == ["9.picture-1", "9.sr-without-seg"]
    assert states(db) == {"seg": "failed", "picture-1": "done", "sr-without-seg": "done"}
    (row,) = db.rows("SELECT reason FROM delivery WHERE state = 'failed'")
    assert row["reason"] == "seg: holds another object"


@pytest.mark.parametrize(
    ("error", "doubtful"), [(PeerUnreachable("lost"), ["picture-1"]), (NoAssociation("no connection"), [])]
)
def test_only_what_was_being_sent_is_in_doubt_when_the_association_ends(
    db: Database, files: Files, error: Exception, doubtful: list[str]
) -> None:
    owe(db, files, **LISTED)
    it = outbox(db, files, Failing("9.picture-1", error), **LISTED)
    assert it.run_once("PACS") and not it.run_once("PACS"), "the peer is left alone for a while"
    assert doubts(db) == doubtful
    assert states(db) == {"seg": "done", "picture-1": "waiting", "sr": "waiting"}


def test_a_mask_whose_answer_was_lost_is_sent_again_and_no_other_in_its_place(
    db: Database, files: Files, clock: Hands
) -> None:
    owe(db, files)
    outbox(db, files, Failing("9.seg", PeerUnreachable("lost"))).run_once("PACS")
    clock.forward(60)
    pacs = Answers()
    # Its entry names no masks any more; but it may have this one.
    changed = outbox(db, files, pacs, outputs=["sr"])
    while changed.run_once("PACS"):
        pass
    assert pacs.offered == ["9.seg", "9.sr"]
