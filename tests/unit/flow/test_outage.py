"""An archive that is away for three days gets everything when it is back, in order, and no other peer notices."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import NoAssociation
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.flow.outbox import Outbox
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, owe

HOURS = 72
STUDIES = 500

#: Time between two looks at the store.
STEP_SECONDS = 300.0


class Archives:
    """Two archives, of which PACS may be away; what each was given, and how often PACS was called in vain."""

    def __init__(self) -> None:
        self.away = True
        self.calls = 0
        self.taken: dict[str, list[tuple[str, str]]] = {"PACS": [], "OTHER": []}

    def send(self, peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        """Send as the network does."""
        if peer.name == "PACS" and self.away:
            self.calls += 1
            raise NoAssociation("PACS: no TCP connection: Connection refused")
        for one in batch:
            self.taken[peer.name].append((one.study_instance_uid, one.sop_instance_uid))
            yield Receipt(
                sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=False, text="0000 Success"
            )


@pytest.fixture
def settings() -> Settings:
    """Both archives, and the waiting times as they are by default."""
    return parse({"peer": [PEER, {**PEER, "name": "OTHER", "aet": "OTHER"}]})


def test_after_72_hours_without_the_archive_500_studies_go_out_in_order_and_no_other_peer_waited(
    db: Database, files: Files, clock: Hands, settings: Settings
) -> None:
    # Nothing here asks what a power cut leaves.
    db.execute("PRAGMA synchronous=OFF")
    archives = Archives()
    outbox = Outbox(db, files, settings, archives.send, "deliver-1")
    choice = Choice(db, files)
    steps = int(HOURS * 3600 / STEP_SECONDS)
    studies: list[str] = []
    sent: list[int] = []

    for step in range(steps):
        while len(studies) < STUDIES * (step + 1) // steps:
            studies.append(f"1.{len(studies) + 1}")
            job = owe(db, files, studies[-1])
            with db.transaction():
                choice.owe(job.job_id, "OTHER", settings.peer("OTHER"))
        _send_all(outbox)
        sent.append(len({study for study, _ in archives.taken["OTHER"]}))
        assert sent[-1] == len(studies), "the other archive has every study as soon as it is analysed"
        clock.forward(STEP_SECONDS)

    longest = settings.deliver.longest_retry_seconds
    assert archives.calls <= HOURS * 3600 / longest + 20, "an archive that is away is not called without end"
    assert archives.taken["PACS"] == []
    assert len(studies) == STUDIES
    assert _count(db, "PACS", "failed") == 0

    archives.away = False
    clock.forward(longest)
    _send_all(outbox)

    assert archives.taken["PACS"] == archives.taken["OTHER"], "the same objects in the same order"
    order = [study for study, _ in archives.taken["PACS"]]
    assert list(dict.fromkeys(order)) == studies
    assert len(set(archives.taken["PACS"])) == len(order) == _count(db, "PACS", "done")
    for study in studies[:3]:
        first, second = [uid.rsplit(".", 1)[1] for of, uid in archives.taken["PACS"] if of == study][:2]
        assert (first, second) == ("seg", "sr"), "what the report refers to goes before it"


def _send_all(outbox: Outbox) -> None:
    for destination in outbox.destinations():
        while outbox.run_once(destination):
            pass


def _count(db: Database, destination: str, state: str) -> int:
    (row,) = db.rows("SELECT COUNT(*) AS count FROM delivery WHERE destination = ? AND state = ?", destination, state)
    return int(row["count"])
