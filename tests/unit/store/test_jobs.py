"""Jobs are made once, claimed by one, and fenced at their commit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dicomnode.domain.errors import LeaseLost
from dicomnode.domain.study import Instance
from dicomnode.domain.work import Job
from dicomnode.flow.choice import Choice
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made, Plan
from dicomnode.store.studies import Standing, Studies
from tests.conftest import Hands, MakeArrival

LEASE = timedelta(seconds=60)


@pytest.fixture
def jobs(db: Database, files: Files) -> Jobs:
    return Jobs(db, files)


@pytest.fixture
def instances(db: Database, files: Files, make_arrival: MakeArrival) -> tuple[Instance, ...]:
    studies = Studies(db, files)
    with db.transaction():
        for number in (1, 2):
            studies.add(make_arrival(number), f"studies/{number}", Standing.CURRENT)
        db.execute("UPDATE study SET state = 'settled'")
    study = studies.load("1.2.3")
    assert study is not None
    return study.series[0].instances


def plan(instances: tuple[Instance, ...], digest: str = "in", rule: str = "r", priority: int = 0) -> Plan:
    return Plan(
        rule=rule, model="m", series_instance_uid="1.2.3.4", frame_of_reference_uid="1.2.3.9", inputs={"ct": instances},
        input_digest=digest, recipe_digest="recipe", priority=priority, outputs=("seg", "sr"), destinations=("PACS",),
    )  # fmt: skip


def made(uid: str = "9.1", role: str = "seg") -> Made:
    return Made(
        role=role, kind=role, sop_class_uid="1", sop_instance_uid=uid, series_instance_uid="9", transfer_syntax_uid="1",
        digest="d", size_bytes=1, path=f"results/{uid}",
    )  # fmt: skip


def claim(db: Database, jobs: Jobs, worker: str = "work-1") -> Job | None:
    with db.transaction():
        return jobs.claim(worker, LEASE)


def test_the_same_inputs_and_recipe_make_one_job_however_often_the_study_settles(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    assert len(jobs.add("1.2.3", 1, [plan(instances)], forced=False)) == 1
    assert jobs.add("1.2.3", 2, [plan(instances)], forced=False) == []


def test_a_forced_run_counts_up(db: Database, jobs: Jobs, instances: tuple[Instance, ...]) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=True)
    jobs.add("1.2.3", 2, [plan(instances)], forced=True)
    assert [row["run"] for row in db.rows("SELECT run FROM job ORDER BY job_id")] == [1, 2]


def test_a_job_has_one_claimant_and_carries_its_frozen_inputs(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    job = claim(db, jobs)
    assert job is not None and job.attempts == 1
    assert [one.sop_instance_uid for one in job.inputs] == ["1.2.3.4.1", "1.2.3.4.2"]
    assert claim(db, jobs, "work-2") is None


def test_inputs_keep_the_names_under_which_they_feed_the_model(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    first, second = instances
    jobs.add("1.2.3", 1, [replace(plan(instances), inputs={"ct": [first], "pet": [second]})], forced=False)
    job = claim(db, jobs)
    assert job is not None
    assert [(one.input, one.sop_instance_uid) for one in job.inputs] == [("ct", "1.2.3.4.1"), ("pet", "1.2.3.4.2")]


def test_higher_priority_goes_first(db: Database, jobs: Jobs, instances: tuple[Instance, ...]) -> None:
    jobs.add("1.2.3", 1, [plan(instances, rule="slow"), plan(instances, rule="urgent", priority=5)], forced=False)
    first, second = claim(db, jobs), claim(db, jobs)
    assert first is not None and second is not None
    assert (first.rule, second.rule) == ("urgent", "slow")


def test_nothing_of_a_study_that_is_receiving_or_held_is_claimed(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    db.execute("UPDATE study SET state = 'receiving'")
    assert claim(db, jobs) is None
    db.execute("UPDATE study SET state = 'settled', held = 'two versions'")
    assert claim(db, jobs) is None
    db.execute("UPDATE study SET held = ''")
    assert claim(db, jobs) is not None


def test_a_job_whose_lease_ran_out_is_claimed_again_and_the_first_claimant_may_not_commit(
    db: Database, jobs: Jobs, clock: Hands, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    first = claim(db, jobs, "work-1")
    assert first is not None
    clock.forward(61)
    second = claim(db, jobs, "work-2")
    assert second is not None and second.attempts == 2
    with pytest.raises(LeaseLost), db.transaction():
        jobs.finish(first, [made()], "late")
    with db.transaction():
        jobs.finish(second, [made()], "in time")
    assert jobs.is_own("9.1")


def test_a_heartbeat_keeps_the_lease(db: Database, jobs: Jobs, clock: Hands, instances: tuple[Instance, ...]) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    claim(db, jobs, "work-1")
    clock.forward(50)
    jobs.heartbeat("work-1", LEASE)
    clock.forward(50)
    assert claim(db, jobs, "work-2") is None


@pytest.mark.parametrize(("counts", "attempts"), [(True, 2), (False, 1)])
def test_a_claim_handed_back_by_a_drain_does_not_count_and_one_of_a_dead_worker_does(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...], counts: bool, attempts: int
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    claim(db, jobs, "work-1")
    assert jobs.hand_back("work-1", "gone", counts=counts) == 1
    job = claim(db, jobs, "work-2")
    assert job is not None and job.attempts == attempts


def test_replaced_inputs_cancel_what_waits_and_fence_what_runs(
    db: Database, files: Files, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances, "old")], forced=False)
    running = claim(db, jobs)
    assert running is not None
    jobs.add("1.2.3", 2, [plan(instances, "new")], forced=False)
    with pytest.raises(LeaseLost), db.transaction():
        jobs.finish(running, [made()], "")
    with db.transaction():
        jobs.cancel_superseded(running)
    states = [(row["input_digest"], row["state"]) for row in db.rows("SELECT * FROM job ORDER BY job_id")]
    assert states == [("old", "cancelled"), ("new", "waiting")]


def test_deliveries_of_replaced_inputs_that_wait_are_cancelled_and_those_done_stay(
    db: Database, files: Files, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances, "old")], forced=False)
    job = claim(db, jobs)
    assert job is not None
    with db.transaction():
        jobs.finish(job, [made("9.1"), made("9.2", "sr")], "")
        Choice(db, files).owe(job.job_id, "PACS", None)
        db.execute("UPDATE delivery SET state = 'running' WHERE sop_instance_uid = '9.1'")
        db.execute("UPDATE delivery SET state = 'done' WHERE sop_instance_uid = '9.1'")
    jobs.add("1.2.3", 2, [plan(instances, "new")], forced=False)
    states = [row["state"] for row in db.rows("SELECT state FROM delivery ORDER BY delivery_id")]
    assert states == ["done", "cancelled"]


def test_a_refusal_cancels_what_still_waits_for_the_same_inputs(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    refused = replace(plan(instances), refusal="the study was abandoned: settling failed 5 times")
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    assert len(jobs.add("1.2.3", 2, [refused], forced=False)) == 1
    assert jobs.add("1.2.3", 3, [refused], forced=False) == []
    rows = db.rows("SELECT state, refusal <> '' AS refused FROM job ORDER BY job_id")
    assert [tuple(row) for row in rows] == [("cancelled", 0), ("waiting", 1)]


def test_a_clock_that_is_set_back_keeps_no_job_waiting(
    db: Database, jobs: Jobs, clock: Hands, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    clock.forward(-3600)
    assert claim(db, jobs) is not None


def test_inputs_that_come_back_after_being_replaced_are_analysed_anew(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    for revision, digest in enumerate(("a", "b", "a"), start=1):
        assert jobs.add("1.2.3", revision, [plan(instances, digest)], forced=False)
    rows = db.rows("SELECT input_digest, run FROM job ORDER BY job_id")
    assert [tuple(row) for row in rows] == [("a", 1), ("b", 1), ("a", 2)]


def test_a_new_report_names_the_last_one_of_the_same_rule(
    db: Database, files: Files, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances, "old")], forced=False)
    first = claim(db, jobs)
    assert first is not None and jobs.predecessor(first) is None
    with db.transaction():
        jobs.finish(first, [made("9.1"), made("9.2", "sr")], "")
        Choice(db, files).owe(first.job_id, "PACS", None)
    jobs.add("1.2.3", 2, [plan(instances, "new"), plan(instances, "new", rule="other")], forced=False)
    second, other = claim(db, jobs), claim(db, jobs)
    assert second is not None and other is not None
    assert jobs.predecessor(second) is None, "what nobody has is no predecessor"
    db.execute("DROP TRIGGER delivery_guard")
    db.execute("UPDATE delivery SET state = 'done'")
    prior = jobs.predecessor(second)
    assert prior is not None and prior.sop_instance_uid == "9.2"
    assert jobs.predecessor(other) is None


def _delivered(db: Database, jobs: Jobs, job: Job, *uids: str, state: str = "done") -> None:
    """Reports of a job, each stored at a destination of its own: A, B, …"""
    with db.transaction():
        jobs.finish(job, [made(uid, "sr") for uid in uids], "")
        for destination, uid in zip("ABC", uids, strict=False):
            db.execute(
                "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, state,"
                " changed_at) SELECT result_id, job_id, '1.2.3', sop_instance_uid, ?, ?, '' FROM result"
                " WHERE sop_instance_uid = ?",
                destination, state, uid,
            )  # fmt: skip


def _named(jobs: Jobs, job: Job) -> list[str]:
    prior = jobs.predecessor(job)
    return [one.sop_instance_uid for one in (prior, *prior.others)] if prior else []


def test_the_predecessor_is_what_each_destination_has(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    for number, digest in enumerate(("one", "two", "three", "four"), start=1):
        jobs.add("1.2.3", number, [plan(instances, digest)], forced=False)
        job = claim(db, jobs)
        assert job is not None
        if number == 1:
            _delivered(db, jobs, job, "9.1", "9.2")
        elif number == 2:
            assert _named(jobs, job) == ["9.2", "9.1"]
            _delivered(db, jobs, job, "9.3")
        elif number == 3:
            assert _named(jobs, job) == ["9.3", "9.2"], "B has the older one alone"
            _delivered(db, jobs, job, "9.4", state="waiting")
            db.execute("UPDATE job SET retracted = 'wrong side'")
        else:
            assert _named(jobs, job) == [], "what was taken back is continued by nothing"


def test_inputs_refused_for_a_reason_that_is_gone_are_analysed(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [replace(plan(instances), refusal="instances disagree")], forced=False)
    jobs.add("1.2.3", 2, [plan(instances)], forced=False)
    rows = db.rows("SELECT run, refusal FROM job ORDER BY job_id")
    assert [tuple(row) for row in rows] == [(1, "instances disagree"), (2, "")]


def test_a_retry_does_not_run_what_was_refused_at_settling(
    db: Database, jobs: Jobs, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [replace(plan(instances), refusal="no series fits")], forced=False)
    job = claim(db, jobs)
    assert job is not None
    with db.transaction():
        jobs.fail(job, [], "not analysed: no series fits")
    assert jobs.requeue("1.2.3") == 0


def test_what_this_node_made_is_known_as_its_own(db: Database, jobs: Jobs, instances: tuple[Instance, ...]) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    job = claim(db, jobs)
    assert job is not None
    with db.transaction():
        jobs.finish(job, [made("9.1")], "")
    assert jobs.is_own("9.1") and not jobs.is_own("1.2.3.4.1")


def test_a_job_put_off_waits_and_may_not_count(
    db: Database, jobs: Jobs, clock: Hands, instances: tuple[Instance, ...]
) -> None:
    jobs.add("1.2.3", 1, [plan(instances)], forced=False)
    job = claim(db, jobs)
    assert job is not None
    with db.transaction():
        jobs.put_off(job, "disk full", timedelta(seconds=30), counts=False)
    assert claim(db, jobs) is None
    clock.forward(31)
    again = claim(db, jobs)
    assert again is not None and again.attempts == 1
