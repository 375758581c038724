"""Each destination has each result once; a refusal, a silence and a crash are different things."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dicomnode.domain.work import Backoff, Delivery, Job, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made, Plan
from dicomnode.store.studies import Standing, Studies
from tests.conftest import Hands, MakeArrival

LEASE = timedelta(seconds=60)


@pytest.fixture
def deliveries(db: Database, files: Files) -> Deliveries:
    return Deliveries(db, files)


@pytest.fixture
def job(db: Database, files: Files, make_arrival: MakeArrival) -> Job:
    """A done job that owes SR and SEG (named in that order) to two peers."""
    studies, jobs = Studies(db, files), Jobs(db, files)
    with db.transaction():
        studies.add(make_arrival(), "studies/1", Standing.CURRENT)
        db.execute("UPDATE study SET state = 'settled'")
        study = studies.load("1.2.3")
        assert study is not None
        jobs.add("1.2.3", 1, [Plan(
            rule="r", model="m", series_instance_uid="1.2.3.4", frame_of_reference_uid="", input_digest="i",
            inputs={"ct": study.series[0].instances}, recipe_digest="r", priority=0, outputs=(),
            destinations=("A", "B"),
        )], forced=False)  # fmt: skip
        job = jobs.claim("work-1", LEASE)
        assert job is not None
        made = [
            Made(
                role=role, kind=role.split("-")[0], refers_to="seg" if role == "sr" else "", sop_class_uid="1",
                sop_instance_uid=f"9.{role}", series_instance_uid="9",
                transfer_syntax_uid="1", digest="d", size_bytes=1, path=f"results/{role}",
            )
            for role in ("sr", "seg", "sr-without-seg")
        ]  # fmt: skip
        jobs.finish(job, made, "")
        for destination in job.destinations:
            Choice(db, files).owe(job.job_id, destination, None)
    return job


def claim(db: Database, deliveries: Deliveries, destination: str, worker: str = "deliver-1") -> list[Delivery]:
    with db.transaction():
        job_id = deliveries.due(destination)
        if job_id is None:
            return []
        Choice(db, deliveries._files).revise(job_id, destination, None)
        return deliveries.claim(job_id, destination, worker, LEASE)


def receipt(delivery: Delivery, *, stored: bool, final: bool = True, text: str = "answer") -> Receipt:
    return Receipt(sop_instance_uid=delivery.sop_instance_uid, status=0, stored=stored, final=final, text=text)


def test_the_seg_goes_before_the_report_that_refers_to_it(db: Database, deliveries: Deliveries, job: Job) -> None:
    assert [one.sop_instance_uid for one in claim(db, deliveries, "A")] == ["9.seg", "9.sr"]


def test_a_report_goes_after_the_last_of_all_that_it_refers_to(
    db: Database, files: Files, deliveries: Deliveries, job: Job
) -> None:
    made = [
        Made(
            role=role, kind=kind, refers_to=refers_to, sop_class_uid="1", sop_instance_uid=f"8.{role}",
            series_instance_uid="8", transfer_syntax_uid="1", digest="d", size_bytes=1, path=f"more/{role}",
        )
        for role, kind, refers_to in (
            ("root", "sr", "mask pdf radiomics"), ("radiomics", "radiomics", "mask"), ("mask", "seg", ""),
            ("pdf", "pdf", ""), ("pdf-2", "other", ""),
        )
    ]  # fmt: skip
    with db.transaction():
        db.execute("DELETE FROM delivery")
        db.execute("DELETE FROM result")
        Jobs(db, files).add_results(job.job_id, made)
        forms = {form.role: form for form in deliveries.forms(job.job_id, "A")}
        wanted = [forms[role] for role in ("mask", "pdf", "radiomics", "root", "pdf-2")]
        deliveries.owe(job.job_id, "A", wanted)
        claimed = deliveries.claim(job.job_id, "A", "deliver-1", LEASE)
    assert [one.sop_instance_uid for one in claimed] == ["8.mask", "8.pdf", "8.pdf-2", "8.radiomics", "8.root"]
    row = db.row("SELECT role FROM result JOIN delivery USING (result_id) WHERE delivery_id ="
                 " (SELECT depends_on FROM delivery JOIN result USING (result_id) WHERE role = 'root')")  # fmt: skip
    assert row is not None and row["role"] == "radiomics", "a name that another begins with is another name"


def test_a_claimed_delivery_has_one_sender(db: Database, deliveries: Deliveries, job: Job) -> None:
    assert len(claim(db, deliveries, "A")) == 2
    assert claim(db, deliveries, "A", "deliver-2") == []
    assert len(claim(db, deliveries, "B", "deliver-2")) == 2


def test_what_is_stored_is_never_sent_again(db: Database, deliveries: Deliveries, job: Job) -> None:
    for delivery in claim(db, deliveries, "A"):
        assert deliveries.record(delivery, receipt(delivery, stored=True))
    assert claim(db, deliveries, "A") == []
    assert deliveries.destinations() == ["B"]


def test_where_the_seg_was_refused_a_report_that_does_not_refer_to_it_takes_the_place_of_the_other(
    db: Database, deliveries: Deliveries, job: Job
) -> None:
    seg, _sr = claim(db, deliveries, "A")
    deliveries.record(seg, receipt(seg, stored=False, text="0122 SOP class not supported"))
    deliveries.hand_back("deliver-1", "held up", counts=False, untried=True)
    assert [one.sop_instance_uid for one in claim(db, deliveries, "A")] == ["9.sr-without-seg"]
    rows = db.rows("SELECT state, reason FROM delivery WHERE destination = 'A' ORDER BY delivery_id")
    assert [row["state"] for row in rows] == ["failed", "running"]
    assert "0122 SOP class not supported" in rows[0]["reason"]
    (told,) = db.rows("SELECT entity_id, detail FROM event WHERE arrow = 'left out'")
    assert tuple(told) == ("sr to A", "what it refers to is not stored there")


def test_an_operator_may_have_everything_that_failed_sent_again(db: Database, deliveries: Deliveries, job: Job) -> None:
    seg, _sr = claim(db, deliveries, "A")
    deliveries.record(seg, receipt(seg, stored=False))
    deliveries.hand_back("deliver-1", "held up", counts=False, untried=True)
    (alone,) = claim(db, deliveries, "A")
    deliveries.record(alone, receipt(alone, stored=False))
    assert deliveries.requeue("1.2.3") == 2
    assert [one.sop_instance_uid for one in claim(db, deliveries, "A")] == ["9.seg", "9.sr"]


def test_a_silent_peer_is_left_alone_for_growing_times_and_holds_up_no_other(
    db: Database, deliveries: Deliveries, job: Job, clock: Hands
) -> None:
    backoff = Backoff(first=timedelta(seconds=5), longest=timedelta(seconds=15))
    waits = []
    for _ in range(4):
        waits.append(deliveries.back_off("A", "no answer", backoff).total_seconds())
        assert deliveries.destinations() == ["B"]
        clock.forward(waits[-1])
        assert deliveries.destinations() == ["A", "B"]
    assert waits == [5, 10, 15, 15]
    deliveries.reached("A")
    assert deliveries.back_off("A", "no answer", backoff).total_seconds() == 5


def test_a_clock_that_is_set_back_lengthens_no_waiting_for_a_silent_peer(
    db: Database, deliveries: Deliveries, job: Job, clock: Hands
) -> None:
    backoff = Backoff(first=timedelta(seconds=5), longest=timedelta(seconds=15))
    deliveries.back_off("A", "no answer", backoff)
    clock.forward(-3600)
    assert deliveries.destinations(backoff) == ["A", "B"]
    assert deliveries.due("A", backoff) is not None
    deliveries.back_off("A", "no answer", backoff)
    assert deliveries.destinations(backoff) == ["B"], "tried again, it is left alone for as long as ever"
    assert deliveries.due("A", backoff) is None
    clock.forward(10)
    assert deliveries.due("A", backoff) is not None


def test_an_unreachable_peer_does_not_use_up_attempts(db: Database, deliveries: Deliveries, job: Job) -> None:
    for _ in range(3):
        claimed = claim(db, deliveries, "A")
        assert [one.attempts for one in claimed] == [1, 1]
        deliveries.hand_back("deliver-1", "unreachable", destination="A", counts=False)


def test_a_sender_that_died_loses_its_claim_and_its_late_word_is_not_taken(
    db: Database, deliveries: Deliveries, job: Job, clock: Hands
) -> None:
    first = claim(db, deliveries, "A", "deliver-1")[0]
    clock.forward(61)
    second = claim(db, deliveries, "A", "deliver-2")[0]
    assert not deliveries.record(first, receipt(first, stored=True))
    assert deliveries.record(second, receipt(second, stored=True))


def test_results_of_replaced_inputs_are_never_sent_however_they_came_to_wait(
    db: Database, deliveries: Deliveries, job: Job
) -> None:
    claim(db, deliveries, "A")
    db.execute("UPDATE job SET superseded = 1")
    deliveries.hand_back("deliver-1", "unreachable", counts=False)
    assert claim(db, deliveries, "A") == []
    assert deliveries.requeue("1.2.3") == 0


def test_results_of_a_study_that_is_receiving_again_wait(db: Database, deliveries: Deliveries, job: Job) -> None:
    db.execute("UPDATE study SET state = 'receiving'")
    assert deliveries.destinations() == [], "nobody is asked to send what may not be sent"
    assert claim(db, deliveries, "A") == []
    db.execute("UPDATE study SET state = 'settled'")
    assert len(claim(db, deliveries, "A")) == 2


@pytest.mark.parametrize("why", ["lease", "death"])
def test_what_a_dead_sender_held_is_in_doubt_from_then_on(
    db: Database, deliveries: Deliveries, job: Job, clock: Hands, why: str
) -> None:
    claim(db, deliveries, "A", "deliver-1")
    if why == "death":
        deliveries.hand_back("deliver-1", "process died", counts=True)
    clock.forward(61)
    claim(db, deliveries, "A", "deliver-2")
    deliveries.hand_back("deliver-2", "held up", counts=False, untried=True)
    forms = {form.role: form for form in deliveries.forms(job.job_id, "A")}
    assert forms["seg"].in_doubt and forms["seg"].offered and not forms["sr-without-seg"].offered
    deliveries.release("A", forms["seg"])
    assert {form.role: form.state for form in deliveries.forms(job.job_id, "A")}["seg"] == "cancelled", "not forgotten"


def test_what_takes_results_back_is_not_cancelled_with_the_rest(db: Database, deliveries: Deliveries, job: Job) -> None:
    db.execute("UPDATE result SET occasion = 'withdrawal' WHERE role = 'sr'")
    assert deliveries.cancel("1.2.3") == 2
    rows = db.rows("SELECT DISTINCT role, state FROM delivery JOIN result USING (result_id) ORDER BY role")
    assert [tuple(row) for row in rows] == [("seg", "cancelled"), ("sr", "waiting")]
