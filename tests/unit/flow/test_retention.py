"""Files go when nobody needs them any more, and nothing goes that is owed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.domain.retention import KeepDays, Terms
from dicomnode.flow.operate import cancel, rerun, retry
from dicomnode.flow.pressure import Pressure, Room
from dicomnode.flow.retention.disk import Disk
from dicomnode.flow.retract import retract
from dicomnode.report.rejection import TITLES
from dicomnode.store.priors import Searches
from dicomnode.store.removals import Removals
from dicomnode.store.retention import Retention
from dicomnode.store.returned import returned
from tests.unit.flow.estate import Estate
from tests.unit.flow.keeping import DAY_SECONDS, Keeping

OFF: dict[str, Any] = {"high_percent": 0}

Logged = list[MutableMapping[str, Any]]


@pytest.fixture
def logged() -> Iterator[Logged]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def keeping(estate: Estate) -> Keeping:
    return Keeping(estate, inputs_days=30, results_days=90, **OFF)


def test_inputs_and_results_go_each_when_their_own_time_is_over(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.later(29)
    assert keeping.room.sweep().files == 0
    keeping.later(2)

    assert keeping.room.sweep().files == 2
    assert keeping.of("1.2") == 1 and keeping.sound()
    keeping.later(60)
    assert keeping.room.sweep().files == 1
    assert keeping.lying() == [] and keeping.sound()
    removed = [detail for arrow, detail in keeping.events("1.2") if arrow == "files removed"]
    assert removed == ["2 objects, 0.0 MiB: its time is over", "1 results, 0.0 MiB: its time is over"]
    assert not (keeping.files.folder / "studies" / "1.2").exists()


def test_of_several_rules_the_longest_time_counts_and_zero_is_for_ever(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure(keep_days=KeepDays(inputs=7), results_days=90, **OFF)
    keeping.later(8)
    assert keeping.room.sweep().files == 2

    keeping.done("1.3")
    keeping.configure(keep_days=KeepDays(inputs=0, results=0), inputs_days=1, results_days=1, **OFF)
    keeping.later(5000)
    keeping.room.sweep()
    assert keeping.of("1.3") == 3


def test_a_study_that_no_rule_wanted_goes_by_the_default(keeping: Keeping) -> None:
    keeping.estate.settle._planner._settings = keeping.settings.model_copy(update={"rules": ()})
    for arrival in keeping.estate.images("1.2", "20261120"):
        keeping.estate.intake.accept(arrival)
    keeping.later(1)
    keeping.estate.settle.sweep()
    keeping.later(31)
    assert keeping.room.sweep().files == 2


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE study SET state = 'receiving'", "is receiving"),
        ("UPDATE study SET held = 'pixels differ'", "is held for an operator"),
        ("INSERT INTO association VALUES ('z', '', '', '', '')", "is being sent to us"),
        ("UPDATE job SET state = 'failed'", "1 jobs failed lately"),
        ("UPDATE delivery SET state = 'waiting'", "1 deliveries wait or run"),
        ("UPDATE delivery SET state = 'failed'", "1 deliveries failed lately"),
        ("UPDATE prior_search SET state = 'waiting'", "1 priors are looked for"),
        ("INSERT INTO pledge (peer, called_aet, transaction_uid, asked_at, answer_by, next_at)"
         " VALUES ('PACS', '', '1', '', '', '')", "1 requests for commitment to it"),
    ],
)  # fmt: skip
def test_nothing_goes_that_is_owed(keeping: Keeping, statement: str, why: str) -> None:
    keeping.done("1.2")
    keeping.later(1000)
    for guard in ("study_guard", "job_guard", "delivery_guard", "prior_guard"):
        keeping.db.execute(f"DROP TRIGGER {guard}")
    keeping.db.execute(statement)
    keeping.db.execute("INSERT INTO association_study SELECT 'z', '1.2' FROM association")
    keeping.db.execute("INSERT INTO pledge_object SELECT pledge_id, 0, '', '', '1.2', '', NULL FROM pledge")
    keeping.db.execute("UPDATE job SET changed_at = ? WHERE state = 'failed'", keeping.db.now())
    keeping.db.execute("UPDATE delivery SET changed_at = ? WHERE state = 'failed'", keeping.db.now())
    keeping.configure({"committed_by": ("VNA",)}, inputs_days=1, results_days=1, high_percent=1, low_percent=0)
    keeping.others_bytes = 900

    assert keeping.owes("1.2") == (why,)
    assert keeping.room.sweep().files == 0
    assert keeping.of("1.2") == 3


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO commitment (peer, job_id, study_instance_uid, means, next_at)"
     " SELECT 'PACS', job_id, '1.2', 'commitment', '' FROM job",
     "INSERT INTO pledge (peer, called_aet, transaction_uid, asked_at, answer_by, next_at)"
     " VALUES ('PACS', '', '1', '', '', '')",
     "INSERT INTO prior_search (job_id, study_instance_uid, source, changed_at, give_up_at, next_try_at)"
     " SELECT job_id, '1.2', 'GONE', '', '2026-11-21', '' FROM job"],
)  # fmt: skip
def test_what_nobody_works_on_any_more_keeps_nothing(keeping: Keeping, statement: str) -> None:
    """Storage commitment was taken out of the entry of the peer, or a confirmation is not waited for."""
    keeping.done("1.2")
    keeping.db.execute(statement)
    keeping.db.execute("INSERT INTO pledge_object SELECT pledge_id, 0, '', '', '1.2', '', NULL FROM pledge")
    keeping.configure(inputs_days=1, results_days=1, after="delivered", unconfirmed_days=1, **OFF)
    keeping.later(400)
    assert keeping.owes("1.2") == ()
    assert keeping.room.sweep().files == 3


def test_a_study_that_a_comparison_to_come_needs_stays(keeping: Keeping) -> None:
    """The first result did not wait for the archive; when that has answered, a second one is made with all priors."""
    keeping.done("1.2", day="20260601")
    keeping.later(31)
    newer = keeping.estate.settled("1.3")
    claimed = keeping.estate.jobs.claim("w", timedelta(seconds=60))
    assert claimed is not None and claimed.job_id == newer.job_id
    keeping.estate.jobs.finish(claimed, [], "")
    assert keeping.owes("1.2") == ("1 jobs compare with it",)
    assert keeping.room.sweep().files == 0

    keeping.db.execute("UPDATE prior_search SET state = 'cancelled' WHERE state = 'waiting'")
    keeping.later(1)
    keeping.room.sweep()
    assert keeping.of("1.2") == 1


def test_a_study_that_a_waiting_job_compares_with_stays(keeping: Keeping) -> None:
    keeping.done("1.2", day="20260601")
    keeping.later(31)
    newer = keeping.estate.settled("1.3")
    assert [prior.study_instance_uid for prior in newer.priors] == ["1.2"]

    keeping.room.sweep()
    assert keeping.of("1.2") == 3 and keeping.owes("1.2") == ("1 jobs compare with it",)

    cancel(keeping.db, keeping.files, "1.3")
    keeping.later(1)
    keeping.room.sweep()
    assert keeping.of("1.2") == 1


def test_a_prior_whose_files_went_after_it_was_chosen_is_said_to_be_gone(keeping: Keeping) -> None:
    """The planner reads without a transaction; what it chose may go before its job is in the books."""
    keeping.done("1.2", day="20260601")
    newer = keeping.estate.settled("1.3")
    with keeping.db.transaction():
        Retention(keeping.db).purge("1.2", "test", inputs=True, results=True)
        Searches(keeping.db, keeping.files).freeze(newer.job_id, newer.priors)

    job = keeping.estate.newest("1.3")
    assert [prior.files for prior in job.priors] == [()]
    assert "cleaned up" in job.priors[0].remark


def test_results_stay_until_a_peer_that_confirms_has_confirmed_them(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure({"verify": True}, inputs_days=1, results_days=1, **OFF)
    keeping.later(1000)
    assert keeping.owes("1.2") == ("1 results that nobody has confirmed",)
    assert keeping.room.sweep().files == 0

    keeping.db.execute("UPDATE delivery SET confirmed_at = ?, confirmed_by = 'query'", keeping.db.now())
    keeping.later(1)
    assert keeping.room.sweep().files == 3


def test_success_is_enough_by_setting_and_waiting_for_a_confirmation_may_have_an_end(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure({"commitment": True}, inputs_days=1, results_days=1, unconfirmed_days=200, **OFF)
    keeping.later(199)
    assert keeping.room.sweep().files == 0
    keeping.configure({"commitment": True}, inputs_days=1, results_days=1, after="delivered", **OFF)
    assert keeping.owes("1.2") == ()
    keeping.configure({"commitment": True}, inputs_days=1, results_days=1, unconfirmed_days=200, **OFF)
    keeping.later(2)
    assert keeping.room.sweep().files == 3


def test_above_the_high_mark_the_oldest_go_until_the_low_one_is_reached(keeping: Keeping) -> None:
    for study in ("1.2", "1.3", "1.4"):
        keeping.done(study, result_bytes=100)
        keeping.later(1)
    each = sum(path.stat().st_size for path in keeping.lying()) / 3
    keeping.configure(high_percent=80, low_percent=70)
    keeping.others_bytes = int(790 - 3 * each)
    assert keeping.room.sweep().files == 0

    keeping.others_bytes = int(810 - 3 * each)
    assert keeping.room.sweep().files == 3

    assert [keeping.of(study) for study in ("1.2", "1.3", "1.4")] == [0, 3, 3]
    assert keeping.sound()
    assert "81 % of the disk was in use" in keeping.events("1.2")[-1][1]


def test_what_is_young_stays_however_full_the_disk_is(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure(high_percent=80, low_percent=70, least_hours=24)
    keeping.others_bytes = 950 - keeping.disk(keeping.files.folder).used_bytes
    keeping.later(0.9)
    assert keeping.room.sweep().files == 0
    keeping.later(0.2)
    assert keeping.room.sweep().files == 3


def test_where_removing_makes_no_room_not_everything_is_removed(keeping: Keeping) -> None:
    """Hard links of a backup on the same disk keep the bytes."""
    for study in ("1.2", "1.3", "1.4", "1.5"):
        keeping.done(study, result_bytes=100)
    keeping.configure(high_percent=80, low_percent=70)
    keeping.files_count, keeping.others_bytes = False, 820
    for _ in range(10):
        keeping.room.sweep()
        keeping.later(0.001)
    assert sum(keeping.of(study) == 3 for study in ("1.2", "1.3", "1.4", "1.5")) == 3


def test_a_disk_that_is_filled_while_room_is_made_is_looked_at_again_at_once(keeping: Keeping) -> None:
    """Somebody writes as quickly as files go, so that what was needed at first is not enough."""
    for study in ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7"):
        keeping.done(study, result_bytes=60)
    keeping.configure(high_percent=85, low_percent=75)
    keeping.others_bytes = 860 - keeping.disk(keeping.files.folder).used_bytes

    def filling(folder: Path) -> Disk:
        found = keeping.disk(folder)
        keeping.others_bytes += 20
        return found

    keeping.room._pressed._disk = filling
    assert keeping.room.sweep().files > 0
    keeping.room._pressed._disk = keeping.disk
    left = len(keeping.lying())
    keeping.others_bytes += 990 - keeping.disk(keeping.files.folder).used_bytes
    keeping.later(3 / DAY_SECONDS)

    assert keeping.room.sweep().files > 0
    assert len(keeping.lying()) < left


def test_the_longer_it_takes_to_look_for_what_may_go_the_less_often_it_is_done(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study in ("1.2", "1.3", "1.4"):
        keeping.done(study, answer="waiting")
    keeping.configure(high_percent=80, low_percent=70)
    keeping.others_bytes = 950 - keeping.disk(keeping.files.folder).used_bytes
    looks: list[str] = []
    first_owed = Retention.first_owed

    def slow(rows: Retention, uid: str, owing: Terms) -> str:
        looks.append(uid)
        return first_owed(rows, uid, owing)

    monkeypatch.setattr(Retention, "first_owed", slow)
    # A second for every study that is looked at: three in a store of three.
    monkeypatch.setattr("dicomnode.flow.retention.pressed.monotonic", lambda: float(len(looks)))
    for _second in range(300):
        keeping.room.sweep()
        keeping.later(1 / DAY_SECONDS)
    assert len(looks) == 6


def test_studies_that_owe_the_same_are_told_together(keeping: Keeping, logged: Logged) -> None:
    for study in ("1.2", "1.3"):
        keeping.done(study, answer="waiting")
    for role in ("a", "b"):
        keeping.db.execute(
            "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, changed_at)"
            " SELECT result_id, job_id, study_instance_uid, sop_instance_uid, ?, changed_at FROM delivery"
            " WHERE study_instance_uid = '1.2' AND destination = 'PACS'",
            role,
        )
    assert [keeping.owes(study) for study in ("1.2", "1.3")] == [
        ("3 deliveries wait or run",), ("1 deliveries wait or run",)
    ]  # fmt: skip
    keeping.configure(high_percent=80, low_percent=70)
    keeping.others_bytes = 950 - keeping.disk(keeping.files.folder).used_bytes
    keeping.room.sweep()
    (told,) = [entry for entry in logged if entry["event"] == "the disk stays full"]
    assert told["reason"] == "2 studies: deliveries wait or run"


def test_a_file_that_may_not_be_removed_holds_up_no_other_and_is_told_once(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    studies = ("1.2", "1.3", "1.4")
    for study in studies:
        keeping.done(study)
    keeping.later(91)
    unlink = Path.unlink

    def denied(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "1.2":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    with monkeypatch.context() as during:
        during.setattr(Path, "unlink", denied)
        for _minute in range(180):
            keeping.room.sweep()
            keeping.later(60 / DAY_SECONDS)
    assert [keeping.of(study) for study in studies] == [3, 0, 0]
    told = [entry["file"] for entry in logged if entry["event"] == "file cannot be removed"]
    assert sorted(told) == sorted(str(path) for path in keeping.lying())

    keeping.later(0.05)
    keeping.room.sweep()
    assert keeping.lying() == []


def test_a_lock_of_somebody_else_is_told_once_with_what_to_do(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    keeping.done("1.2")
    keeping.later(91)
    opened = os.open

    def denied(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("removal.lock"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **named)

    with monkeypatch.context() as during:
        during.setattr(os, "open", denied)
        for _again in range(5):
            keeping.room.sweep()
    (told,) = [entry for entry in logged if entry["event"] == "making room put off"]
    assert "chown" in told["reason"]
    keeping.room.sweep()
    assert keeping.lying() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="files can be given away by root alone")
def test_the_lock_belongs_to_the_account_of_the_store_whoever_makes_it(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.later(91)
    os.chown(keeping.files.folder, 65534, 65534)
    keeping.room.sweep()
    lock = (keeping.files.folder / "removal.lock").stat()
    assert (lock.st_uid, lock.st_gid, lock.st_mode & 0o777) == (65534, 65534, 0o600)


def test_with_less_left_than_the_reserve_nothing_is_taken_in(keeping: Keeping) -> None:
    full = Disk(used_bytes=985, free_bytes=15)
    pressure = Pressure(keeping.db, Room(reserve_percent=2), lambda _folder: full)
    with pytest.raises(OutOfResources, match=r"1.5 % of the disk is left, reserve_percent = 2") as refused:
        pressure.require_room("1.2")
    assert refused.value.status == 0xA700
    Pressure(keeping.db, Room(reserve_percent=1), lambda _folder: full).require_room("1.2")


def purged(keeping: Keeping, study: str = "1.2") -> None:
    keeping.done(study)
    keeping.later(31)
    keeping.room.sweep()
    assert keeping.of(study) == 1


def test_a_study_that_comes_back_whole_is_kept_again_and_not_analysed_again(keeping: Keeping) -> None:
    purged(keeping)
    keeping.send_again("1.2")
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()

    assert keeping.of("1.2") == 3 and keeping.sound()
    assert [row["state"] for row in keeping.db.rows("SELECT state FROM job")] == ["done"]
    arrows = [arrow for arrow, _detail in keeping.events("1.2")]
    assert "came back" in arrows and arrows.count("reopened") == 1
    keeping.later(31)
    keeping.room.sweep()
    assert keeping.of("1.2") == 1, "it is kept for as long as a new study"


def test_a_part_that_comes_back_is_kept_and_replaces_no_result(keeping: Keeping) -> None:
    purged(keeping)
    keeping.send_again("1.2", 1)
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()

    assert keeping.of("1.2") == 2 and keeping.sound()
    assert [tuple(row) for row in keeping.db.rows("SELECT state, superseded FROM job")] == [("done", 0)]
    assert "none of them is new" in keeping.events("1.2")[-1][1]
    with pytest.raises(DicomNodeError, match="1 of its objects were removed to make room, 1 are here"):
        rerun(keeping.db, keeping.files, "1.2")


def test_what_does_not_come_back_whole_is_analysed_when_an_operator_says_why(keeping: Keeping) -> None:
    purged(keeping)
    with pytest.raises(DicomNodeError, match="none of its objects is here"):
        rerun(keeping.db, keeping.files, "1.2", "the archive has rejected the localizer")
    keeping.send_again("1.2", 1)
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()

    rerun(keeping.db, keeping.files, "1.2", "the archive has rejected the localizer")
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()

    job = keeping.estate.newest("1.2")
    assert job.refusal == "" and len(job.inputs) == 1
    assert "INCOMPLETE, 1 more objects were removed" in job.received
    assert job.received.endswith("the archive has rejected the localizer")
    assert ("waits no more for", "1 objects that were removed to make room, 1 are here: the archive has rejected the"
            " localizer") in keeping.events("1.2")  # fmt: skip

    # Should it come after all, nothing is lacking.
    keeping.send_again("1.2", 2)
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()
    assert len(keeping.estate.newest("1.2").inputs) == 2 and returned(keeping.db, "1.2").given_up == 0


def test_a_new_object_of_a_removed_study_is_told_to_its_reader(keeping: Keeping) -> None:
    purged(keeping)
    keeping.estate.intake.accept(keeping.estate.make(3, study="1.2", series="1.2.1", StudyDate="20261120"))
    keeping.later(0.01)
    assert keeping.estate.settle.sweep()
    assert "2 objects of the study were removed to make room" in keeping.estate.newest("1.2").refusal


def test_our_own_result_is_recognised_after_its_file_has_gone(keeping: Keeping) -> None:
    purged(keeping)
    keeping.later(90)
    keeping.room.sweep()
    assert keeping.of("1.2") == 0
    assert keeping.estate.jobs.is_own("1.2.99")


def test_what_failed_is_not_tried_again_without_its_objects(keeping: Keeping) -> None:
    keeping.done("1.2", answer="failed")
    keeping.later(400)
    keeping.room.sweep()
    assert keeping.of("1.2") == 0
    said = retry(keeping.db, keeping.files, "1.2")
    assert "0 jobs and 0 deliveries" in said and "2 of its objects were removed" in said


def test_an_object_that_comes_back_before_its_file_is_unlinked_keeps_the_new_one(keeping: Keeping) -> None:
    keeping.done("1.2")
    with keeping.db.transaction():
        Retention(keeping.db).purge("1.2", "test", inputs=True, results=True)
    assert Removals(keeping.db, keeping.files).pending()

    keeping.send_again("1.2")
    keeping.room.sweep()

    assert keeping.of("1.2") == 2 and keeping.sound()


def test_an_object_whose_file_goes_while_it_is_taken_in_is_refused_and_taken_the_next_time(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.done("1.2")
    with keeping.db.transaction():
        Retention(keeping.db).purge("1.2", "test", inputs=True, results=True)
    keep: Callable[..., str] = keeping.files.keep_arrival

    def kept_and_then_gone(*arguments: object) -> str:
        path = keep(*arguments)
        keeping.room.sweep()
        return path

    with monkeypatch.context() as during:
        during.setattr(keeping.files, "keep_arrival", kept_and_then_gone)
        with pytest.raises(OutOfResources, match="taken the next time"):
            keeping.send_again("1.2", 1)
    keeping.send_again("1.2", 1)
    assert keeping.of("1.2") == 1 and keeping.sound()


def test_an_object_that_is_removed_while_it_comes_again_is_not_acknowledged_without_a_file(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.done("1.2")
    known = keeping.estate.intake._studies.known
    asked: list[object] = []

    def known_and_then_purged(arrival: object) -> object:
        answer = known(arrival)  # type: ignore[arg-type]
        if not asked:
            asked.append(arrival)
            with keeping.db.transaction():
                Retention(keeping.db).purge("1.2", "test", inputs=True, results=True)
        return answer

    with monkeypatch.context() as during:
        during.setattr(keeping.estate.intake._studies, "known", known_and_then_purged)
        with pytest.raises(OutOfResources):
            keeping.send_again("1.2", 1)
    keeping.room.sweep()
    assert keeping.sound()


def test_a_full_study_has_room_for_what_was_removed_of_it(keeping: Keeping) -> None:
    purged(keeping)
    Pressure(keeping.db, Room(instances_per_study=1)).require_room("1.2")


def test_looking_for_what_may_go_scans_no_objects(keeping: Keeping) -> None:
    keeping.done("1.2")
    plans = []
    keeping.db._connection.set_trace_callback(lambda sql: plans.append(sql))
    keeping.owes("1.2")
    assert list(Retention(keeping.db).oldest()) == ["1.2"]
    later = keeping.db.clock() + timedelta(days=1)
    assert list(Retention(keeping.db).quiet(later, None)) == ["1.2"]
    keeping.db._connection.set_trace_callback(None)
    steps = [
        f"{row['detail']} in {sql}" for sql in plans for row in keeping.db.rows(f"EXPLAIN QUERY PLAN {sql}")
        if row["detail"].startswith("SCAN") and not row["detail"].startswith(("SCAN json_each", "SCAN CONSTANT"))
    ]  # fmt: skip
    assert steps == []


def test_results_that_were_taken_back_are_not_waited_for_but_what_takes_them_back_is(keeping: Keeping) -> None:
    keeping.done("1.2")
    keeping.configure({"commitment": True}, inputs_days=1, results_days=1, **OFF)
    retract(keeping.db, keeping.files, keeping.settings, "1.2", "wrong", next(iter(TITLES)))
    for state in ("running", "done"):
        keeping.db.execute("UPDATE delivery SET state = ? WHERE state IN ('waiting', 'running')", state)
    keeping.later(1000)
    assert keeping.owes("1.2") == ("2 results that nobody has confirmed",), "the note and the document that tells of it"
    withdrawal = "SELECT result_id FROM result WHERE occasion = 'withdrawal'"
    keeping.db.execute(f"UPDATE delivery SET confirmed_at = 'x' WHERE result_id IN ({withdrawal})")
    assert keeping.owes("1.2") == ()
    keeping.room.sweep()
    assert keeping.lying() == []
