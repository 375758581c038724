"""What modalities are told of what they want to have committed: never on the strength of our own copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dicomnode.config import Settings
from dicomnode.domain.commitment import Failure, Reference, Request
from dicomnode.domain.errors import ConfigError, OutOfResources, PeerUnreachable
from dicomnode.flow.commitment_tell import CommitmentReports
from dicomnode.flow.intake import Intake
from dicomnode.receive.commitment import InvalidValue
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands, MakeArrival
from tests.unit.flow.committing import FakeLine, all_of, desk_of, failing, from_peer, kept, questions, settings_of

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SCANNER = {"name": "CT1", "aet": "CT1", "role": "modality", "committed_by": ["PACS"]}

Arrive = Callable[..., tuple[Reference, ...]]


@pytest.fixture
def arrive(db: Database, files: Files, make_arrival: MakeArrival) -> Arrive:
    """Takes in CT images; their names."""
    intake = Intake(db, files, ())

    def take(*numbers: int, **more: Any) -> tuple[Reference, ...]:
        found = []
        for number in numbers:
            arrival = make_arrival(number, **more)
            intake.accept(arrival)
            found.append(Reference(sop_class_uid=arrival.sop_class_uid, sop_instance_uid=arrival.sop_instance_uid))
        return tuple(found)

    return take


def node(**more: Any) -> Settings:
    """A scanner whose requests the archive PACS answers for."""
    return settings_of({"commitment": True}, SCANNER, **more)


def reports(db: Database, settings: Settings, line: FakeLine) -> CommitmentReports:
    peer = settings.peer("CT1")
    assert peer is not None
    return CommitmentReports(db, settings, peer, line)


def request(references: tuple[Reference, ...], uid: str = "1.2.3.9") -> Request:
    return Request(transaction_uid=uid, references=references)


def test_our_own_copy_alone_is_never_committed_to(db: Database, files: Files, arrive: Arrive, clock: Hands) -> None:
    settings, line = node(), FakeLine()
    desk, it = desk_of(db, settings), reports(db, settings, line)
    pledge = desk.asked(from_peer("CT1"), request(arrive(1, 2)))
    assert desk.answer(pledge) is None and not it.run_once()
    clock.forward(3601)
    while it.run_once():
        pass
    ((_, report),) = line.reports
    assert report.kept == () and set(report.failed.values()) == {Failure.PROCESSING}


def test_what_the_archive_has_committed_to_is_reported_as_kept_under_the_title_that_was_called(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive, scanner = node(), FakeLine(), FakeLine()
    references = arrive(1, 2)
    desk, it = desk_of(db, settings), reports(db, settings, scanner)
    pledge = desk.asked(from_peer("CT1", "NODE_NOW"), request(references))
    all_of(questions(db, settings, archive))
    assert archive.requests[0].references == references
    assert archive.requests[0].transaction_uid != "1.2.3.9"
    assert desk.answer(pledge) is None
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    assert not it.run_once(), "the association of the request comes first"
    clock.forward(6)
    assert it.run_once() and not it.run_once()
    ((title, report),) = scanner.reports
    assert title == "NODE_NOW" and report.transaction_uid == "1.2.3.9"
    assert report.kept == references and not report.failed and report.event_type == 1


def test_what_the_archive_finds_by_query_is_reported_as_kept_once_it_does(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive = settings_of({}, SCANNER), FakeLine()
    references = arrive(1, 2)
    desk = desk_of(db, settings)
    pledge = desk.asked(from_peer("CT1"), request(references))
    it = questions(db, settings, archive)
    archive.holds = {references[0].sop_instance_uid}
    all_of(it)
    assert desk.answer(pledge) is None
    archive.holds |= {references[1].sop_instance_uid}
    clock.forward(5)
    all_of(it)
    report = desk.answer(pledge)
    assert report is not None and report.kept == references


def test_what_no_archive_has_fails_as_no_such_object_when_the_time_is_up(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive, scanner = node(), FakeLine(), FakeLine()
    references = arrive(1, 2)
    desk_of(db, settings).asked(from_peer("CT1"), request(references))
    all_of(questions(db, settings, archive))
    reasons = {references[1].sop_instance_uid: int(Failure.NO_SUCH_INSTANCE)}
    assert desk_of(db, settings).reported(from_peer("PACS"), failing(archive.requests[0], reasons))
    it = reports(db, settings, scanner)
    clock.forward(3599)
    assert not it.run_once()
    clock.forward(2)
    while it.run_once():
        pass
    ((_, report),) = scanner.reports
    assert report.kept == references[:1] and report.failed == {references[1]: 0x0112} and report.event_type == 2
    before = len(archive.requests)
    clock.forward(1000)
    all_of(questions(db, settings, archive))
    assert len(archive.requests) == before, "nobody waits for the answer any more"


def test_one_archive_of_several_is_enough(db: Database, files: Files, arrive: Arrive) -> None:
    settings = settings_of({}, {"name": "VNA"}, {**SCANNER, "committed_by": ["PACS", "VNA"]})
    pacs, vna = FakeLine(), FakeLine()
    references = arrive(1, 2)
    desk = desk_of(db, settings)
    pledge = desk.asked(from_peer("CT1"), request(references))
    pacs.holds, vna.holds = {references[0].sop_instance_uid}, {references[1].sop_instance_uid}
    all_of(questions(db, settings, pacs))
    all_of(questions(db, settings, vna, "VNA"))
    report = desk.answer(pledge)
    assert report is not None and report.kept == references


def test_what_never_came_or_came_as_another_class_fails_at_once(db: Database, files: Files, arrive: Arrive) -> None:
    settings = node()
    (first,) = arrive(1)
    other = Reference(sop_class_uid=MR, sop_instance_uid=first.sop_instance_uid)
    unknown = Reference(sop_class_uid=CT, sop_instance_uid="1.2.3.4.5.6.7")
    desk = desk_of(db, settings)
    pledge = desk.asked(from_peer("CT1"), request((other, unknown)))
    report = desk.answer(pledge)
    assert report is not None and report.kept == ()
    assert report.failed == {other: Failure.CONFLICT, unknown: Failure.NO_SUCH_INSTANCE}


def test_what_came_with_two_contents_under_one_uid_is_not_to_be_deleted(
    db: Database, files: Files, arrive: Arrive
) -> None:
    (first,) = arrive(1)
    arrive(1, pixels="others")
    desk = desk_of(db, node())
    pledge = desk.asked(from_peer("CT1"), request((first,)))
    report = desk.answer(pledge)
    assert report is not None and report.failed == {first: Failure.PROCESSING}


def test_a_request_that_comes_again_is_the_same_and_is_reported_again(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive, scanner = node(), FakeLine(), FakeLine()
    references = arrive(1)
    desk, it = desk_of(db, settings), reports(db, settings, scanner)
    pledge = desk.asked(from_peer("CT1"), request(references))
    assert desk.asked(from_peer("CT1"), request(references)) == pledge
    all_of(questions(db, settings, archive))
    assert len(archive.requests) == 1
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    clock.forward(6)
    assert it.run_once() and not it.run_once()
    assert desk.asked(from_peer("CT1"), request(references)) == pledge
    clock.forward(6)
    assert it.run_once() and not it.run_once()
    assert [report for _, report in scanner.reports] == [scanner.reports[0][1]] * 2


def test_one_transaction_does_not_stand_for_two_requests(db: Database, files: Files, arrive: Arrive) -> None:
    desk = desk_of(db, node())
    references = arrive(1, 2)
    desk.asked(from_peer("CT1"), request(references))
    with pytest.raises(InvalidValue, match="asked before, for other objects"):
        desk.asked(from_peer("CT1"), request(references[:1]))


def test_only_peers_whose_entry_names_archives_may_ask_and_only_those_that_are_asked_may_report() -> None:
    settings = settings_of({"commitment": True}, SCANNER, {"name": "OTHER"}, {**SCANNER, "name": "MR1"})
    desk = desk_of(None, settings)  # type: ignore[arg-type]  # no question goes to the database
    assert desk.roles("CT1") == desk.roles("MR1") == (True, False)
    assert desk.roles("PACS") == (False, True)
    assert desk.roles("OTHER") == desk.roles("") == (False, False)


def test_a_peer_that_is_away_is_told_later_and_by_whoever_runs_then(db: Database, files: Files, clock: Hands) -> None:
    settings, scanner = node(), FakeLine()
    unknown = Reference(sop_class_uid=CT, sop_instance_uid="1.2.3")
    desk_of(db, settings).asked(from_peer("CT1"), request((unknown,)))
    scanner.error = PeerUnreachable("away")
    clock.forward(6)
    it = reports(db, settings, scanner)
    assert it.run_once() and not it.run_once()
    clock.forward(4.9)
    assert not it.run_once()
    clock.forward(0.2)
    assert it.run_once() and not it.run_once()
    clock.forward(9.9)
    assert not it.run_once(), "twice the time"
    clock.forward(0.2)
    scanner.error = None
    again = reports(db, settings, scanner)
    assert again.run_once() and not again.run_once()
    assert db.rows("SELECT state FROM pledge")[0]["state"] == "reported"


@pytest.mark.parametrize(("status", "state"), [(0x0110, "ready"), (0x0213, "ready"), (0x0115, "failed")])
def test_a_report_that_is_refused_is_repeated_where_that_may_help(
    db: Database, files: Files, clock: Hands, status: int, state: str
) -> None:
    settings, scanner = node(), FakeLine()
    desk_of(db, settings).asked(from_peer("CT1"), request((Reference(sop_class_uid=CT, sop_instance_uid="1.2"),)))
    scanner.status = status
    clock.forward(6)
    it = reports(db, settings, scanner)
    assert it.run_once() and not it.run_once()
    assert db.rows("SELECT state FROM pledge")[0]["state"] == state


def test_a_report_on_the_association_of_the_request_is_not_repeated_on_another(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, scanner = node(), FakeLine()
    desk, it = desk_of(db, settings), reports(db, settings, scanner)
    pledge = desk.asked(from_peer("CT1"), request((Reference(sop_class_uid=CT, sop_instance_uid="1.2"),)))
    assert desk.answer(pledge) is not None
    clock.forward(30)
    assert not it.run_once(), "its answer is being waited for"
    desk.told(pledge, 0x0000)
    clock.forward(3600)
    assert not it.run_once() and scanner.reports == []


def test_an_association_that_ends_before_the_report_leaves_it_to_another_at_once(db: Database, files: Files) -> None:
    settings, scanner = node(), FakeLine()
    desk, it = desk_of(db, settings), reports(db, settings, scanner)
    pledge = desk.asked(from_peer("CT1"), request((Reference(sop_class_uid=CT, sop_instance_uid="1.2"),)))
    desk.told(pledge, None)
    assert it.run_once() and len(scanner.reports) == 1


def test_a_full_disk_takes_no_request(db: Database, files: Files, arrive: Arrive) -> None:
    desk = desk_of(db, node())
    references = arrive(1)
    db.execute("PRAGMA query_only = 1")
    with pytest.raises(OutOfResources):
        desk.asked(from_peer("CT1"), request(references))
    db.execute("PRAGMA query_only = 0")
    assert db.rows("SELECT * FROM pledge") == []


@pytest.mark.parametrize(
    ("peers", "key"),
    [
        (({}, {**SCANNER, "committed_by": ["PAX"]}), "peer CT1.committed_by"),
        (({}, {**SCANNER, "committed_by": ["CT1"]}), "peer CT1.committed_by"),
        (({"role": "modality"}, SCANNER), "peer CT1.committed_by"),
        (({"commitment": True, "deidentify": []},), "peer PACS.commitment"),
        (({"verify": True, "deidentify": []},), "peer PACS.verify"),
    ],
)
def test_entries_that_cannot_work_are_faults(peers: tuple[dict[str, Any], ...], key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings_of(*peers)
    assert key in {fault.key for fault in raised.value.faults}
