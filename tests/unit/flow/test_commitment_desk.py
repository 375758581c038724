"""What modalities are told of what they want to have committed: never on the strength of our own copy."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import pytest

from dicomnode.config import Settings
from dicomnode.domain.commitment import Failure, Reference, Request
from dicomnode.domain.errors import ConfigError, OutOfResources, PeerUnreachable
from dicomnode.flow.commitment.tell import CommitmentReports
from dicomnode.flow.intake import Intake
from dicomnode.flow.operate import retry
from dicomnode.receive.commitment import InvalidValue
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.story import Story
from tests.conftest import Hands, MakeArrival
from tests.owing import owe
from tests.unit.flow.committing import (
    LISTED,
    FakeLine,
    all_of,
    delivered,
    desk_of,
    failing,
    from_peer,
    kept,
    questions,
    settings_of,
)

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


def stand(db: Database, standing: str) -> None:
    """What was found out of a copy that came with other bytes."""
    db.execute("UPDATE instance SET standing = ? WHERE standing = 'undecided'", standing)


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
    stand(db, "conflicting")
    desk = desk_of(db, node())
    pledge = desk.asked(from_peer("CT1"), request((first,)))
    report = desk.answer(pledge)
    assert report is not None and report.failed == {first: Failure.PROCESSING}


@pytest.mark.parametrize(("standing", "kept_there"), [("equal", True), ("conflicting", False)])
def test_nothing_is_committed_to_while_two_copies_that_came_here_are_being_compared(
    db: Database, files: Files, arrive: Arrive, clock: Hands, standing: str, kept_there: bool
) -> None:
    settings, archive = node(), FakeLine()
    (first,) = arrive(1)
    arrive(1, pixels="others")
    desk, it = desk_of(db, settings), questions(db, settings, archive)
    pledge = desk.asked(from_peer("CT1"), request((first,)))
    all_of(it)
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    assert desk.answer(pledge) is None
    stand(db, standing)
    clock.forward(5)
    all_of(it)
    report = desk.answer(pledge)
    assert report is not None and (report.kept == (first,)) == kept_there
    assert report.failed == ({} if kept_there else {first: Failure.PROCESSING})


def test_two_copies_that_nobody_has_compared_in_time_are_not_committed_to(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive, scanner = node(), FakeLine(), FakeLine()
    (first,) = arrive(1)
    arrive(1, pixels="others")
    desk = desk_of(db, settings)
    desk.asked(from_peer("CT1"), request((first,)))
    all_of(questions(db, settings, archive))
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    clock.forward(3601)
    it = reports(db, settings, scanner)
    while it.run_once():
        pass
    assert scanner.reports[0][1].failed == {first: Failure.PROCESSING}


def test_other_pixels_that_come_while_the_archive_is_asked_speak_against_it(
    db: Database, files: Files, arrive: Arrive
) -> None:
    settings, archive = node(), FakeLine()
    (first,) = arrive(1)
    desk = desk_of(db, settings)
    pledge = desk.asked(from_peer("CT1"), request((first,)))
    all_of(questions(db, settings, archive))
    arrive(1, pixels="others")
    stand(db, "conflicting")
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    report = desk.answer(pledge)
    assert report is not None and report.failed == {first: Failure.PROCESSING}


def test_that_no_archive_has_an_object_is_said_once_all_have_answered(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    both = {**SCANNER, "committed_by": ["PACS", "VNA"]}
    settings = settings_of({"commitment": True}, {"name": "VNA", "commitment": True}, both)
    pacs, vna, scanner = FakeLine(), FakeLine(), FakeLine()
    first, second = arrive(1, 2)
    desk = desk_of(db, settings)
    desk.asked(from_peer("CT1"), request((first, second)))
    all_of(questions(db, settings, pacs))
    all_of(questions(db, settings, vna, "VNA"))
    uids = [one.sop_instance_uid for one in (first, second)]
    assert desk.reported(from_peer("PACS"), failing(pacs.requests[0], dict.fromkeys(uids, 0x0112)))
    only = Request(transaction_uid=vna.requests[0].transaction_uid, references=(first,))
    assert desk.reported(from_peer("VNA"), failing(only, {uids[0]: 0x0112}))
    clock.forward(3601)
    it = reports(db, settings, scanner)
    while it.run_once():
        pass
    assert scanner.reports[0][1].failed == {first: 0x0112, second: 0x0110}


def test_an_answer_to_an_earlier_question_does_not_take_back_what_was_said_later(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive = node(), FakeLine()
    (first,) = arrive(1)
    desk, it = desk_of(db, settings), questions(db, settings, archive)
    pledge = desk.asked(from_peer("CT1"), request((first,)))
    all_of(it)
    absent = {first.sop_instance_uid: 0x0112}
    assert desk.reported(from_peer("PACS"), failing(archive.requests[0], absent))
    clock.forward(60)
    all_of(it)
    assert desk.reported(from_peer("PACS"), failing(archive.requests[1], absent))
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    assert desk.answer(pledge) is None
    clock.forward(60)
    all_of(it)
    assert desk.reported(from_peer("PACS"), kept(archive.requests[2]))
    report = desk.answer(pledge)
    assert report is not None and report.kept == (first,)


def test_a_scanner_does_not_wait_for_the_questions_about_our_own_results(
    db: Database, files: Files, arrive: Arrive
) -> None:
    settings, archive = settings_of({"commitment": True, **LISTED}, SCANNER), FakeLine()
    for number in range(5):
        owe(db, files, f"5.{number}", **LISTED)
    delivered(db, files, settings)
    references = arrive(1)
    desk, it = desk_of(db, settings), questions(db, settings, archive)

    def scanner_asks(_request: Request, _keep: object) -> None:
        if len(archive.requests) == 2:
            desk.asked(from_peer("CT1"), request(references))

    archive.on_request = scanner_asks
    all_of(it)
    assert [one.references == references for one in archive.requests] == [False, False, True, False, False, False]


def test_as_many_objects_as_a_request_can_name_are_noted_in_seconds(db: Database) -> None:
    """While that is written down, no object can be taken in."""
    settings, archive = node(), FakeLine()
    uids = [f"1.2.840.113619.2.55.3.604688119.969.{number}" for number in range(30_000)]
    db.execute(
        "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
        " first_arrival_at, last_arrival_at) VALUES ('7', 'settled', '', '', '', '', '', '', '')"
    )
    db.execute("INSERT INTO series VALUES ('7', '8', '{}')")
    with db.transaction():
        for uid in uids:
            db.execute(
                "INSERT INTO instance (study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid,"
                " transfer_syntax_uid, digest, size_bytes, path, own, arrived_at, standing)"
                " VALUES ('7', '8', ?, ?, '1', 'd', 1, ?, '{}', '', 'current')",
                CT, uid, uid,
            )  # fmt: skip
    wanted = request(tuple(Reference(sop_class_uid=CT, sop_instance_uid=uid) for uid in uids))
    desk = desk_of(db, settings)
    began = process_time()
    pledge = desk.asked(from_peer("CT1"), wanted)
    all_of(questions(db, settings, archive))
    assert desk.reported(from_peer("PACS"), kept(archive.requests[0]))
    # Measured: 1.5 s. Where each is looked for among all of them, 12 000 take 36 s.
    assert process_time() - began < 15
    report = desk.answer(pledge)
    assert report is not None and len(report.kept) == len(uids)


def test_no_question_or_request_is_looked_for_among_all_of_them(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, archive, scanner = settings_of({"commitment": True, **LISTED}, SCANNER), FakeLine(), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    desk, it, tells = desk_of(db, settings), questions(db, settings, archive), reports(db, settings, scanner)
    statements: set[str] = set()
    db._connection.set_trace_callback(statements.add)
    desk.asked(from_peer("CT1"), request(arrive(1)))
    archive.error = PeerUnreachable("away")
    all_of(it)
    archive.error = None
    clock.forward(60)
    all_of(it)
    for one in archive.requests:
        desk.reported(from_peer("PACS"), kept(one))
    while tells.run_once():
        pass
    db._connection.set_trace_callback(None)
    plans = [
        (statement, row["detail"])
        for statement in statements
        if statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE"}
        for row in db.rows(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert len(plans) > 40
    assert [plan for plan in plans if plan[1].startswith("SCAN") and "json_each" not in plan[1]] == []


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


def test_a_request_that_comes_again_is_reported_on_its_own_association_first_and_for_as_long_as_a_new_one(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, scanner = node(), FakeLine()
    desk, it = desk_of(db, settings), reports(db, settings, scanner)
    wanted = request((Reference(sop_class_uid=CT, sop_instance_uid="1.2"),))
    pledge = desk.asked(from_peer("CT1"), wanted)
    desk.answer(pledge)
    desk.told(pledge, 0x0000)
    clock.forward(30 * 24 * 3600)
    assert desk.asked(from_peer("CT1"), wanted) == pledge
    assert not it.run_once(), "its association is open"
    scanner.error = PeerUnreachable("away")
    clock.forward(6)
    assert it.run_once() and not it.run_once()
    assert db.rows("SELECT state FROM pledge")[0]["state"] == "ready", "a week from now on"


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


def test_a_report_that_cannot_be_made_wants_an_eye_until_it_is_tried_again(
    db: Database, files: Files, arrive: Arrive, clock: Hands
) -> None:
    settings, scanner = node(), FakeLine()
    wanted = request((*arrive(1), Reference(sop_class_uid=CT, sop_instance_uid="1.2")))
    desk_of(db, settings).asked(from_peer("CT1"), wanted)
    study = db.rows("SELECT study_instance_uid FROM study")[0][0]
    scanner.error = PeerUnreachable("away")
    clock.forward(8 * 24 * 3600)
    it = reports(db, settings, scanner)
    while it.run_once():
        pass
    assert [(one["what"], one["study"], one["reason"]) for one in Story(db).backlog().failed] == [
        ("report on commitment to CT1", study, "away")
    ]
    (line,) = [line for line in Story(db).why(study) if line.entity == "commitment"]
    assert (line.entity_id, line.arrow, line.detail) == ("for CT1", "not reported", "away")
    assert "1 requests for commitment are answered again" in retry(db, files, study)
    assert Story(db).backlog().failed == []
    scanner.error = None
    assert it.run_once() and db.rows("SELECT state FROM pledge")[0]["state"] == "reported"


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
