"""Every event is counted once, in the family and the bucket that its times say."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from dicomnode.domain.errors import CannotUnderstand, OutOfResources, Refused
from dicomnode.domain.outcome import Ending, Figures
from dicomnode.domain.work import Job
from dicomnode.flow.choice import Choice
from dicomnode.flow.metrics import fold
from dicomnode.flow.metrics.counting import Counting
from dicomnode.flow.metrics.families import BUCKETS_SECONDS, BY_NAME
from dicomnode.flow.metrics.fold import Fold, bucket
from dicomnode.flow.metrics.reasons import REASONS, reason_class
from dicomnode.flow.metrics.tally import REJECTIONS, Tally
from dicomnode.store.counts import Counts
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made, Plan
from dicomnode.store.outcomes import Outcomes
from dicomnode.store.studies import Standing, Studies
from tests.conftest import Hands, MakeArrival

LEASE = timedelta(seconds=60)
WORDS = "read 0.30 s, check 0.05 s, infer 7.00 s, measure 1.00 s, report 0.20 s; not sent: map 9.99 s"


@pytest.fixture
def job(db: Database, files: Files, make_arrival: MakeArrival, clock: Hands) -> Job:
    """A job of a study that settled 20 s after its first object, and was started 3 s later."""
    with db.transaction():
        Studies(db, files).add(make_arrival(1), "studies/1", Standing.CURRENT)
    clock.forward(20)
    study = Studies(db, files).load("1.2.3")
    assert study is not None
    plan = Plan(
        rule="r", model="lung", series_instance_uid="1.2.3.4", frame_of_reference_uid="1.2.3.9",
        inputs={"ct": study.series[0].instances}, input_digest="i", recipe_digest="r", priority=0, outputs=("sr",),
        destinations=("PACS",),
    )  # fmt: skip
    with db.transaction():
        db.execute("UPDATE study SET state = 'settled', changed_at = ?", db.now())
        Jobs(db, files).add("1.2.3", 1, [plan], forced=False)
    clock.forward(3)
    with db.transaction():
        found = Jobs(db, files).claim("work-1", LEASE)
    assert found is not None
    return found


def counted(db: Database) -> dict[tuple[str, tuple[str, ...]], float]:
    Fold(db).run()
    return {(name.removeprefix("dicomnode_"), labels): value for (name, labels), value in Counts(db).all().items()}


def test_the_way_of_a_study_is_told_in_seconds(db: Database, files: Files, job: Job, clock: Hands) -> None:
    clock.forward(8)
    result = Made(
        role="sr", kind="sr", sop_class_uid="1", sop_instance_uid="9.1", series_instance_uid="9",
        transfer_syntax_uid="1", digest="d", size_bytes=50, path="results/9.1",
    )  # fmt: skip
    with db.transaction():
        Jobs(db, files).finish(job, [result], WORDS)
        Choice(db, files).owe(job.job_id, "PACS", None)
    clock.forward(40)
    with db.transaction():
        db.execute("UPDATE delivery SET state = 'running', changed_at = ?", db.now())
        db.execute("UPDATE delivery SET state = 'waiting', reason = 'busy', changed_at = ?", db.now())
        db.execute("UPDATE delivery SET state = 'running', changed_at = ?", db.now())
        db.execute("UPDATE delivery SET state = 'done', changed_at = ?", db.now())
    found = counted(db)
    assert found["study_settling_seconds", ("30.0",)] == 1 and found["study_settling_seconds", ("sum",)] == 20
    assert found["job_waiting_seconds", ("5.0",)] == 1 and found["job_waiting_seconds", ("sum",)] == 3
    assert found["model_run_seconds", ("lung", "10.0")] == 1 and found["model_run_seconds", ("lung", "sum")] == 8
    assert found["model_inference_seconds", ("lung", "sum")] == 7
    assert {labels[0]: value for (name, labels), value in found.items()
            if name == "job_stage_seconds" and labels[1] == "sum"} == {
        "read": 0.3, "check": 0.05, "infer": 7, "measure": 1, "report": 0.2}  # fmt: skip
    assert found["delivery_seconds", ("PACS", "60.0")] == 1 and found["delivery_seconds", ("PACS", "sum")] == 40
    assert found["deliveries_total", ("PACS", "done")] == 1 and found["jobs_total", ("lung", "done")] == 1
    assert found["retries_total", ("delivery",)] == 1 and ("retries_total", ("job",)) not in found
    assert found["store_bytes", ("results",)] == 50
    assert counted(db) == found, "what is counted is not counted again"


def test_a_refused_job_is_counted_by_its_reason(db: Database, files: Files, job: Job) -> None:
    with db.transaction():
        Jobs(db, files).fail(job, [], "not analysed: series 1.2…: slice thickness 8 mm, at most 3 mm needed")
        Outcomes(db).record(job, Ending.BLOCKED, Figures(), ["slice_thickness"])
    found = counted(db)
    assert found["not_analysed_total", ("quality",)] == 1 and found["jobs_total", ("lung", "failed")] == 1


@pytest.mark.parametrize(("text", "ending", "expected"), [
    ("the study was abandoned: 3 of 300 instances came", "unsuitable", "abandoned"),
    ("model lung: needs 9.1 GiB of memory for this series, 4.0 GiB are free", "unsuitable", "memory"),
    ("series 1.2: slice gap 5 mm at position 41, expected 2.5 mm", "unsuitable", "geometry"),
    ("the analysis ended without a result 3 times", "failed", "attempts"),
    ("model lung: onnxruntime says no, needed a network that runs", "failed", "model"),
    ("KeyError in flow/analyse.py", "failed", "fault"),
    ("anything at all", "blocked", "quality"),
])  # fmt: skip
def test_a_reason_belongs_to_one_of_few_classes(text: str, ending: str, expected: str) -> None:
    assert reason_class(text, ending) == expected and expected in REASONS


def test_a_time_on_the_limit_belongs_to_the_bucket_below() -> None:
    assert [bucket(one) for one in (0.0, 0.1, 0.11, 43200.0, 43201.0)] == ["0.1", "0.1", "0.5", "43200.0", "+Inf"]
    assert list(BUCKETS_SECONDS) == sorted(BUCKETS_SECONDS)


def test_what_the_counters_bear_is_a_family_with_as_many_labels(db: Database, files: Files, job: Job) -> None:
    with db.transaction():
        Jobs(db, files).finish(job, [], WORDS)
    Fold(db).run()
    for name, labels in Counts(db).all():
        family = BY_NAME[name]
        assert len(labels) == len(family.labels) + (family.kind == "histogram"), name


def test_rejections_are_told_from_the_first_moment_and_written_once(db: Database) -> None:
    tally = Tally()
    tally.refused(OutOfResources("full"))
    tally.refused(CannotUnderstand("no UID"))
    tally.refused(type("Odd", (Refused,), {"status": 0x0110})("own fault"))
    tally.association(full=True)
    tally.write(db)
    tally.write(db)
    found = {labels[0]: value for (name, labels), value in Counts(db).all().items() if "rejected" in name}
    assert set(found) == set(REJECTIONS) and found["association"] == 0
    assert {name for name, value in found.items() if value == 1} == {
        "out_of_resources", "cannot_understand", "processing_failure", "too_many_associations"
    }  # fmt: skip


def test_a_tally_that_cannot_be_written_is_not_lost(db: Database) -> None:
    tally = Tally()
    tally.association(full=False)
    db.execute("CREATE TEMP TRIGGER full BEFORE INSERT ON main.counter BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(Exception, match="full"):
        tally.write(db)
    db.execute("DROP TRIGGER full")
    tally.write(db)
    found = {labels[0]: value for (name, labels), value in Counts(db).all().items() if "rejected" in name}
    assert found == {**dict.fromkeys(REJECTIONS, 0), "association": 1}


def test_a_backlog_is_counted_with_the_lock_free_in_between(
    db: Database, files: Files, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold, "_SLICE", 2)
    paused: list[float] = []

    def sleep(seconds: float) -> None:
        paused.append(seconds)
        other = Database(db.path)
        with other.transaction():
            other.event("1.2.3", "study", "revision 1", "remark", "")
        other.close()

    monkeypatch.setattr(fold, "time", SimpleNamespace(sleep=sleep))
    with db.transaction():
        for _ in range(3):
            db.event("1.2.3", "study", "revision 1", "remark", "")
    pending = len(Counts(db).uncounted(100))
    assert Fold(db).run() == pending + len(paused) and paused


def test_what_was_rejected_last_is_written_when_the_process_ends(db: Database) -> None:
    tally = Tally()
    counting = Counting(db, tally)
    counting.sweep()
    tally.association(full=True)
    counting.last()
    assert Counts(db).all()["dicomnode_rejected_total", ("too_many_associations",)] == 1
