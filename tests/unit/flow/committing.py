"""A peer that commits as told, and objects of ours and of others to commit to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dicomnode.config import Settings, parse
from dicomnode.domain.commitment import Failure, Reference, Report, Request
from dicomnode.domain.network import Association
from dicomnode.flow.commitment.answers import Commitment
from dicomnode.flow.commitment.desk import CommitmentDesk
from dicomnode.flow.outbox import Outbox
from dicomnode.store.commitments import Wanted
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.owing import PEER, Answers

LISTED: dict[str, Any] = {"outputs": ["seg", "sr", "picture"]}


class FakeLine:
    """Remembers what it is asked and told."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.reports: list[tuple[str, Report]] = []
        self.queries: list[set[str]] = []
        self.error: BaseException | None = None
        self.status = 0x0000
        self.holds: set[str] = set()
        self.on_request: Callable[[Request, Callable[[Report], bool]], None] = lambda _request, _keep: None

    def request(self, wanted: Request, keep: Callable[[Report], bool], reported: Callable[[], bool]) -> None:
        self.requests.append(wanted)
        if self.error is not None:
            raise self.error
        self.on_request(wanted, keep)

    def tell(self, calling_aet: str, report: Report) -> int:
        self.reports.append((calling_aet, report))
        if self.error is not None:
            raise self.error
        return self.status

    def query(self, wanted: Iterable[Wanted]) -> Mapping[Reference, int]:
        references = [one.reference for one in wanted]
        self.queries.append({one.sop_instance_uid for one in references})
        if self.error is not None:
            raise self.error
        return {one: 0 if one.sop_instance_uid in self.holds else int(Failure.NO_SUCH_INSTANCE) for one in references}


def settings_of(*peers: Mapping[str, Any], **commitment: Any) -> Settings:
    """Settings of a node with these peers, each of them the archive PACS where it says nothing else."""
    return parse({"peer": [{**PEER, **one} for one in peers], "commitment": commitment})


def questions(db: Database, settings: Settings, line: FakeLine, name: str = "PACS") -> Commitment:
    """What asks one peer."""
    peer = settings.peer(name)
    assert peer is not None
    return Commitment(db, settings, peer, line)


def all_of(it: Commitment) -> None:
    """Let it do everything that is due."""
    while it.run_once():
        pass


def delivered(db: Database, files: Files, settings: Settings) -> None:
    """Let the destination take everything that it is owed."""
    outbox = Outbox(db, files, settings, Answers().send, "deliver-1")
    while outbox.run_once("PACS"):
        pass


def from_peer(name: str, called: str = "DICOMNODE") -> Association:
    """An association that a peer has opened."""
    return Association(association_id="a", calling_aet=name, called_aet=called, address="127.0.0.1", peer=name)


def desk_of(db: Database, settings: Settings) -> CommitmentDesk:
    """Where the listener brings what it hears."""
    return CommitmentDesk(db, settings)


def kept(request: Request) -> Report:
    """Everything is kept."""
    return Report(transaction_uid=request.transaction_uid, kept=request.references)


def failing(request: Request, reasons: Mapping[str, int]) -> Report:
    """Everything is kept but what is named here."""
    failed = {one: reasons[one.sop_instance_uid] for one in request.references if one.sop_instance_uid in reasons}
    return Report(
        transaction_uid=request.transaction_uid,
        kept=tuple(one for one in request.references if one not in failed),
        failed=failed,
    )
