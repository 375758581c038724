"""No statement that runs with every object, job or delivery reads a table from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dicomnode.domain.network import Association
from dicomnode.domain.work import Backoff, Receipt
from dicomnode.flow.choice import Choice
from dicomnode.flow.intake import Intake
from dicomnode.flow.pressure import Room
from dicomnode.store.database import Database
from dicomnode.store.deadlines import Deadlines
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Made, Plan
from dicomnode.store.priors import Searches
from dicomnode.store.reports import Reports
from dicomnode.store.scratch import Scratch
from dicomnode.store.set_back import wait_anew
from dicomnode.store.studies import Studies
from tests.conftest import Hands, MakeArrival

LEASE = timedelta(seconds=60)
STUDY = "1.2.3"

#: Tables with a row for each peer or open connection, and one of the schema; json_each walks one value.
SMALL = frozenset({"association", "backoff", "inquiry", "acceptance", "transition", "json_each", "CONSTANT", "chosen"})


class Traced:
    """Remembers every statement of a connection."""

    def __init__(self, db: Database) -> None:
        self._connection = db._connection
        self.statements: set[str] = set()
        self._connection.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        # Statements of triggers come as comments; the plan of what fired them has theirs.
        if statement.split(maxsplit=1)[0].upper() in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            self.statements.add(statement)

    def scans(self) -> dict[str, list[str]]:
        """Statement → those lines of its plan that read a table, or a whole index of it, that grows."""
        self._connection.set_trace_callback(None)
        found = {}
        for statement in sorted(self.statements):
            lines = [row["detail"] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            bad = [line for line in lines if line.startswith("SCAN") and line.split()[1] not in SMALL | {"("}]
            if bad:
                found[statement] = bad
        return found


@pytest.fixture
def traced(db: Database) -> Iterator[Traced]:
    it = Traced(db)
    yield it
    db._connection.set_trace_callback(None)


def plan(studies: Studies, deadline_seconds: float = 0.0) -> Plan:
    study = studies.load(STUDY)
    assert study is not None
    return Plan(
        rule="r", model="m", series_instance_uid="1.2.3.4", frame_of_reference_uid="1.2.3.9", input_digest="i",
        inputs={"ct": study.series[0].instances}, recipe_digest="d", priority=0, outputs=("seg", "sr"),
        destinations=("PACS",), deadline_seconds=deadline_seconds,
    )  # fmt: skip


def made(role: str) -> Made:
    return Made(
        role=role, kind=role, sop_class_uid="1", sop_instance_uid=f"9.{role}", series_instance_uid="9",
        transfer_syntax_uid="1", digest="d", size_bytes=1, path=f"results/{role}",
    )  # fmt: skip


def receive(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    """Objects come over an association: new, the same, corrected, with other pixels."""
    intake = Intake(db, files, (), room=Room(instances_per_study=10, waiting_jobs=10))
    association = Association(association_id="a1", calling_aet="A", called_aet="B", address="127.0.0.1", peer="PACS")
    intake.opened(association)
    for number in (1, 2):
        intake.accept(make_arrival(number))
        intake.accept(make_arrival(number))
    intake.accept(make_arrival(1, content="other", PatientID="P2"))
    intake.accept(make_arrival(2, pixels="other"))
    intake.accept(make_arrival(1))
    intake.accept(make_arrival(3, on_demand=True))
    intake.closed(association)


def test_no_statement_of_the_way_from_c_store_to_delivery_scans_a_table(
    db: Database, files: Files, traced: Traced, make_arrival: MakeArrival, clock: Hands
) -> None:
    studies, jobs, deliveries, deadlines = Studies(db, files), Jobs(db, files), Deliveries(db, files), Deadlines(db)
    choice, backoff = Choice(db, files), Backoff()

    receive(db, files, make_arrival)

    studies.clear_associations()
    for variant in studies.variants():
        studies.promote(variant.instance_id)
    wait_anew(db)
    (received,) = studies.receiving(clock())
    assert studies.settle(received, "", forced=studies.on_demand(STUDY))
    assert len(jobs.add(STUDY, 1, [plan(studies, deadline_seconds=1)], forced=False)) == 1
    clock.forward(2)
    job = jobs.claim("work-1", LEASE)
    assert job is not None
    jobs.heartbeat("work-1", LEASE)
    jobs.put_off(job, "", timedelta(0), counts=True)
    jobs.claim("work-1", LEASE)
    jobs.hand_back("work-1", "", counts=True)
    job = jobs.claim("work-1", LEASE)
    assert job is not None
    assert deadlines.missed() == [job.job_id] and deadlines.close(job.job_id)
    jobs.predecessor(job)
    list(Reports(db, files).on_same_images(job))
    jobs.finish(job, [made("seg"), made("sr")], "")
    deadlines.overtake(job.job_id)
    choice.owe(job.job_id, "PACS", None)
    assert jobs.is_own("9.seg") and jobs.files(STUDY) and studies.files(STUDY)

    assert deliveries.destinations(backoff) == ["PACS"]
    deliveries.back_off("PACS", "", backoff)
    assert deliveries.due("PACS", backoff) is None
    deliveries.reached("PACS")
    assert deliveries.due("PACS", backoff) == job.job_id
    choice.revise(job.job_id, "PACS", None)
    report = deliveries.forms(job.job_id, "PACS")[1]
    deliveries.release("PACS", report)
    deliveries.owe(job.job_id, "PACS", [report])
    first, second = deliveries.claim(job.job_id, "PACS", "deliver-1", LEASE)
    deliveries.heartbeat("deliver-1", LEASE)
    answer = Receipt(sop_instance_uid="9.seg", status=0, stored=True, final=False, text="")
    assert deliveries.record(first, answer)
    deliveries.put_in_doubt(second)
    clock.forward(120)
    assert deliveries.due("PACS", backoff) == job.job_id, "the sender is gone"
    deliveries.claim(job.job_id, "PACS", "deliver-1", LEASE)
    deliveries.hand_back("deliver-1", "", destination="PACS", counts=False)
    db.execute("UPDATE job SET superseded = 1 WHERE job_id = ?", job.job_id)
    assert deliveries.due("PACS", backoff) is None
    studies.reopen(STUDY, "", forced=False)
    jobs.add(STUDY, 2, [plan(studies)], forced=True)

    searches = Searches(db, files)
    searches.due("PACS")
    searches.earlier("P1", STUDY)
    scratch = Scratch(db, files)
    scratch.ask("1.9", ["1.9.1"], "PACS")
    arrival = make_arrival(9, study="1.9", series="1.9.1")
    assert scratch.expected("1.9", "1.9.1", "PACS") and not scratch.has(arrival)
    scratch.add(arrival, "priors/x")

    assert len(traced.statements) > 80
    assert traced.scans() == {}


def test_a_query_that_scans_is_found(db: Database, traced: Traced) -> None:
    db.rows("SELECT * FROM job WHERE superseded = 1")
    db.rows("SELECT path FROM result WHERE job_id = 1 AND job_id IN (SELECT job_id FROM job WHERE retracted <> '')")
    assert [len(lines) for lines in traced.scans().values()] == [1, 1]
