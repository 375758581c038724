"""What an archive is asked about results that it has taken, and what becomes of them by its answers."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.deliver.commitment import NotOffered
from dicomnode.domain.commitment import Failure, Report, Request
from dicomnode.domain.errors import DeliveryError, OutOfResources, PeerUnreachable
from dicomnode.flow.operate import retry
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.story import Story
from tests.conftest import Hands
from tests.owing import owe, states
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

COMMITS: dict[str, Any] = {**LISTED, "commitment": True}
HOUR = 3600.0


def confirmations(db: Database) -> dict[str, str]:
    rows = db.rows("SELECT role, confirmed_by FROM delivery JOIN result USING (result_id) ORDER BY delivery_id")
    return {row["role"]: row["confirmed_by"] for row in rows}


def told(db: Database) -> list[tuple[str, str]]:
    return [(line.arrow, line.detail) for line in Story(db).why("1") if line.entity == "commitment"]


def test_everything_that_a_job_has_delivered_is_asked_for_at_once_and_confirmed(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    it = questions(db, settings, line)
    all_of(it)
    assert line.requests == [], "nothing has been delivered"
    delivered(db, files, settings)
    all_of(it)
    (request,) = line.requests
    assert {one.sop_instance_uid for one in request.references} == {"9.seg", "9.sr", "9.picture-1"}
    assert set(confirmations(db).values()) == {""}
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(request))
    assert set(confirmations(db).values()) == {"commitment"}
    assert told(db) == [("confirmed", "3 objects, by storage commitment")]
    all_of(it)
    assert len(line.requests) == 1


def test_a_peer_that_is_not_to_be_asked_is_not(db: Database, files: Files) -> None:
    settings, line = settings_of(LISTED), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    assert line.requests == [] and line.queries == []


def test_a_report_that_comes_before_its_request_is_answered_counts(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    desk = desk_of(db, settings)

    def early(request: Request, _keep: object) -> None:
        assert desk.reported(from_peer("PACS"), kept(request))

    line.on_request = early
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    assert set(confirmations(db).values()) == {"commitment"}


def test_a_report_on_the_association_of_the_request_counts(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    line.on_request = lambda request, keep: None if keep(kept(request)) else pytest.fail("not kept")
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    assert set(confirmations(db).values()) == {"commitment"}


def test_a_report_that_comes_twice_changes_nothing_the_second_time(db: Database, files: Files, clock: Hands) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    desk = desk_of(db, settings)
    assert desk.reported(from_peer("PACS"), kept(line.requests[0]))
    before = [tuple(row) for row in db.rows("SELECT * FROM delivery")]
    clock.forward(60)
    assert desk.reported(from_peer("PACS"), kept(line.requests[0]))
    reasons = {"9.seg": int(Failure.NO_SUCH_INSTANCE)}
    assert desk.reported(from_peer("PACS"), failing(line.requests[0], reasons)), "what is confirmed stays so"
    assert [tuple(row) for row in db.rows("SELECT * FROM delivery")] == before
    assert len(told(db)) == 1


def test_a_report_counts_from_the_peer_alone_that_was_asked_and_under_a_transaction_that_it_was_asked_under(
    db: Database, files: Files
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    desk = desk_of(db, settings)
    assert not desk.reported(from_peer("OTHER"), kept(line.requests[0]))
    assert not desk.reported(from_peer("PACS"), Report(transaction_uid="1.2", kept=line.requests[0].references))
    assert set(confirmations(db).values()) == {""}


def test_objects_that_were_not_asked_for_are_not_confirmed_by_a_report(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    owe(db, files, "2", **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    first, second = line.requests
    report = Report(transaction_uid=first.transaction_uid, kept=second.references)
    assert desk_of(db, settings).reported(from_peer("PACS"), report)
    assert set(confirmations(db).values()) == {""}


def test_what_the_archive_does_not_have_after_all_is_sent_again_and_fails_visibly_in_the_end(
    db: Database, files: Files
) -> None:
    settings, line = settings_of(COMMITS, resends=2), FakeLine()
    owe(db, files, **LISTED)
    it, desk = questions(db, settings, line), desk_of(db, settings)
    for attempt in (1, 2, 3):
        delivered(db, files, settings)
        all_of(it)
        assert len(line.requests) == attempt
        assert desk.reported(from_peer("PACS"), failing(line.requests[-1], {"9.seg": int(Failure.NO_SUCH_INSTANCE)}))
        assert states(db)["seg"] == ("waiting" if attempt < 3 else "failed")
    assert [one.sop_instance_uid for one in line.requests[1].references] == ["9.seg"]
    assert confirmations(db) == {"seg": "", "sr": "commitment", "picture-1": "commitment"}
    arrows = [line.arrow for line in Story(db).why("1") if line.entity_id == "seg to PACS"]
    assert arrows == ["claimed", "finished", "lost", "claimed", "finished", "lost", "claimed", "finished", "not kept"]
    (failed,) = Story(db).backlog().failed
    assert failed["what"] == "delivery to PACS" and "not there any more" in failed["reason"]
    all_of(it)
    assert len(line.requests) == 3


def test_what_the_archive_will_never_commit_to_stays_delivered_and_is_told(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    report = failing(line.requests[0], {"9.seg": int(Failure.CLASS_NOT_SUPPORTED)})
    assert desk_of(db, settings).reported(from_peer("PACS"), report)
    assert states(db)["seg"] == "done" and confirmations(db)["seg"] == ""
    assert ("not committed", "1 × 0122 SOP class not supported") in told(db)
    (failed,) = Story(db).backlog().failed
    assert failed["what"] == "commitment at PACS"
    all_of(it)
    assert len(line.requests) == 1


@pytest.mark.parametrize("reason", [Failure.PROCESSING, Failure.RESOURCES, Failure.DUPLICATE_TRANSACTION])
def test_what_may_be_otherwise_later_is_asked_again_under_another_transaction(
    db: Database, files: Files, clock: Hands, reason: Failure
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it, desk = questions(db, settings, line), desk_of(db, settings)
    all_of(it)
    assert desk.reported(from_peer("PACS"), failing(line.requests[0], {"9.seg": int(reason)}))
    all_of(it)
    assert len(line.requests) == 1
    clock.forward(HOUR)
    all_of(it)
    first, second = line.requests
    assert [one.sop_instance_uid for one in second.references] == ["9.seg"]
    assert first.transaction_uid != second.transaction_uid
    assert desk.reported(from_peer("PACS"), kept(second))
    assert set(confirmations(db).values()) == {"commitment"}


def test_a_report_that_does_not_come_is_asked_for_again_and_the_first_still_counts_when_it_comes(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    clock.forward(HOUR)
    all_of(it)
    clock.forward(HOUR)
    all_of(it)
    first, second = line.requests
    assert first.transaction_uid != second.transaction_uid and first.references == second.references
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(first))
    assert set(confirmations(db).values()) == {"commitment"}
    clock.forward(100 * HOUR)
    all_of(it)
    assert len(line.requests) == 2


def test_an_archive_that_never_reports_is_asked_so_many_times_and_then_it_is_told(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS, asks=3), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    for _ in range(20):
        all_of(it)
        clock.forward(48 * HOUR)
    assert len(line.requests) == 3
    assert told(db) == [("given up", "asked 3 times; no report has come")]
    assert set(states(db).values()) == {"done"}
    assert [one["what"] for one in Story(db).backlog().failed] == ["commitment at PACS"]
    assert "1 confirmations are asked for again" in retry(db, files, "1")
    assert Story(db).backlog().failed == []
    all_of(it)
    assert len(line.requests) == 4
    clock.forward(HOUR / 2)
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[0])), "late is not too late"
    assert set(confirmations(db).values()) == {"commitment"}


def test_a_silent_archive_is_asked_as_soon_as_its_time_is_over_and_given_up_after_six_days(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it, asked_at_hours, hour = questions(db, settings, line), [], 0
    while not told(db):
        before = len(line.requests)
        all_of(it)
        asked_at_hours += [hour] * (len(line.requests) - before)
        clock.forward(HOUR)
        hour += 1
    assert asked_at_hours == [0, 1, 3, 7, 15, 31, 55, 79, 103, 127]
    assert hour - 1 == 151


def test_an_old_word_does_not_confirm_what_was_sent_again_since(db: Database, files: Files, clock: Hands) -> None:
    settings, line = settings_of(COMMITS, resends=2), FakeLine()
    owe(db, files, **LISTED)
    it, desk = questions(db, settings, line), desk_of(db, settings)
    delivered(db, files, settings)
    all_of(it)
    clock.forward(HOUR)
    all_of(it)
    first, second = line.requests
    missing = {one.sop_instance_uid: int(Failure.NO_SUCH_INSTANCE) for one in second.references}
    assert desk.reported(from_peer("PACS"), failing(second, missing))
    assert desk.reported(from_peer("PACS"), kept(first)), "while they wait to be sent"
    clock.forward(1)
    delivered(db, files, settings)
    assert desk.reported(from_peer("PACS"), kept(first))
    assert set(confirmations(db).values()) == {""}
    all_of(it)
    assert {one.sop_instance_uid for one in line.requests[2].references} == missing.keys()
    assert desk.reported(from_peer("PACS"), kept(line.requests[2]))
    assert set(confirmations(db).values()) == {"commitment"}


def test_an_old_word_of_another_question_does_not_confirm_it_either(db: Database, files: Files, clock: Hands) -> None:
    settings, line = settings_of(COMMITS, resends=2), FakeLine()
    owe(db, files, **LISTED)
    it, desk = questions(db, settings, line), desk_of(db, settings)
    delivered(db, files, settings)
    all_of(it)
    clock.forward(HOUR)
    all_of(it)
    first, second = line.requests
    only_sr = tuple(one for one in second.references if one.sop_instance_uid == "9.sr")
    absent = int(Failure.NO_SUCH_INSTANCE)
    second = Request(transaction_uid=second.transaction_uid, references=only_sr)
    assert desk.reported(from_peer("PACS"), failing(second, {"9.sr": absent}))
    clock.forward(1)
    delivered(db, files, settings)
    all_of(it)
    assert desk.reported(from_peer("PACS"), failing(line.requests[2], {"9.seg": absent}))
    clock.forward(1)
    delivered(db, files, settings)
    assert desk.reported(from_peer("PACS"), kept(first))
    assert confirmations(db) == {"seg": "", "sr": "commitment", "picture-1": "commitment"}


def test_what_was_given_up_is_confirmed_all_the_same_when_the_report_comes_at_last(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS, asks=1), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    clock.forward(2 * HOUR)
    all_of(it)
    assert Story(db).backlog().failed
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[0]))
    assert set(confirmations(db).values()) == {"commitment"} and Story(db).backlog().failed == []


def test_an_archive_that_is_away_is_asked_again_with_growing_pauses_and_that_does_not_count(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS, asks=1), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    line.error = PeerUnreachable("away")
    all_of(it)
    for times, waited in enumerate((5, 10, 20), start=1):
        clock.forward(waited - 0.001)
        all_of(it)
        assert len(line.requests) == times
        clock.forward(0.001)
        all_of(it)
        assert len(line.requests) == times + 1
    line.error = None
    clock.forward(900)
    all_of(it)
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[-1]))
    assert set(confirmations(db).values()) == {"commitment"}


def test_a_request_whose_answer_was_lost_is_confirmed_by_its_report(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    desk = desk_of(db, settings)

    def reported_then_lost(request: Request, _keep: object) -> None:
        assert desk.reported(from_peer("PACS"), kept(request))
        raise PeerUnreachable("lost")

    line.on_request = reported_then_lost
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    assert len(line.requests) == 1 and set(confirmations(db).values()) == {"commitment"}


def test_a_request_that_is_refused_is_repeated_later(db: Database, files: Files, clock: Hands) -> None:
    settings, line = settings_of(COMMITS, asks=2), FakeLine()
    line.error = DeliveryError("refuses with 0213")
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    assert len(line.requests) == 1
    clock.forward(2 * HOUR)
    all_of(it)
    assert len(line.requests) == 2
    assert told(db) == [("given up", "asked 2 times; refuses with 0213")]


def test_a_crash_between_the_note_of_a_request_and_its_sending_has_it_asked_again_at_once(
    db: Database, files: Files
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    line.error = KeyboardInterrupt()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    with pytest.raises(KeyboardInterrupt):
        all_of(questions(db, settings, line))
    line.error = None
    all_of(questions(db, settings, line))
    assert len(line.requests) == 2
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[1]))
    all_of(questions(db, settings, line))
    assert len(line.requests) == 2


def test_what_was_taken_back_is_not_asked_for(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    db.execute("UPDATE job SET retracted = 'wrong patient'")
    all_of(questions(db, settings, line))
    assert line.requests == []


def test_what_was_taken_back_since_it_was_asked_for_is_not_asked_for_again(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    db.execute("UPDATE job SET retracted = 'wrong patient'")
    missing = {one.sop_instance_uid: int(Failure.NO_SUCH_INSTANCE) for one in line.requests[0].references}
    assert desk_of(db, settings).reported(from_peer("PACS"), failing(line.requests[0], missing))
    clock.forward(2 * HOUR)
    all_of(it)
    assert len(line.requests) == 1 and told(db) == []
    assert set(states(db).values()) == {"done"}
    assert {row["state"] for row in db.rows("SELECT state FROM commitment")} == {"done"}


def test_what_is_not_to_be_asked_for_any_more_is_not_looked_at_again(db: Database, files: Files) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    refused = {one.sop_instance_uid: int(Failure.CLASS_NOT_SUPPORTED) for one in line.requests[0].references}
    assert desk_of(db, settings).reported(from_peer("PACS"), failing(line.requests[0], refused))
    asks = "SELECT job_id FROM delivery WHERE state = 'done' AND confirmed_at = '' AND to_ask = 1"
    assert db.rows(asks) == []
    assert "1 confirmations are asked for again" in retry(db, files, "1")
    assert len(db.rows(asks)) == 3
    all_of(it)
    assert len(line.requests) == 2 and len(line.requests[1].references) == 3


def test_an_archive_that_only_answers_queries_confirms_what_it_finds_also_if_it_finds_it_late(
    db: Database, files: Files, clock: Hands
) -> None:
    settings, line = settings_of({**LISTED, "verify": True}), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    line.holds = {"9.seg", "9.sr"}
    all_of(it)
    assert confirmations(db) == {"seg": "query", "sr": "query", "picture-1": ""}
    assert states(db)["picture-1"] == "done", "an archive may take its time before it finds an object"
    line.holds |= {"9.picture-1"}
    clock.forward(60)
    all_of(it)
    assert set(confirmations(db).values()) == {"query"}
    assert line.queries[1] == {"9.picture-1"} and line.requests == []


def test_what_queries_never_find_is_sent_again(db: Database, files: Files, clock: Hands) -> None:
    settings, line = settings_of({**LISTED, "verify": True}, asks=2, resends=0), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    it = questions(db, settings, line)
    all_of(it)
    clock.forward(60)
    all_of(it)
    assert set(states(db).values()) == {"failed"}


def test_a_peer_that_does_no_commitment_is_asked_by_query_where_its_entry_allows_that(
    db: Database, files: Files
) -> None:
    settings, line = settings_of({**COMMITS, "verify": True}), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)

    def no_such_service(_request: object, _keep: object) -> None:
        raise NotOffered("accepts no storage commitment")

    line.on_request = no_such_service
    line.holds = {"9.seg", "9.sr", "9.picture-1"}
    all_of(questions(db, settings, line))
    assert set(confirmations(db).values()) == {"query"}


def test_a_full_disk_keeps_no_report_and_says_so(db: Database, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, line = settings_of(COMMITS), FakeLine()
    owe(db, files, **LISTED)
    delivered(db, files, settings)
    all_of(questions(db, settings, line))
    db.execute("PRAGMA query_only = 1")
    with pytest.raises(OutOfResources):
        desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[0]))
    db.execute("PRAGMA query_only = 0")
    assert set(confirmations(db).values()) == {""}
    assert desk_of(db, settings).reported(from_peer("PACS"), kept(line.requests[0])), "the archive may say it again"
    assert set(confirmations(db).values()) == {"commitment"}
