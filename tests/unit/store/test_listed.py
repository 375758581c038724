"""Studies as lists show them: where each stands on the whole, found by what is asked for, page by page."""

from __future__ import annotations

from sqlite3 import Row

import pytest

from dicomnode.flow.intake import Intake
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.lately import Recent
from dicomnode.store.listed import Listing, Wanted
from dicomnode.store.moving import Movements
from tests.conftest import MakeArrival
from tests.owing import owe


def standing(db: Database, study: str = "1") -> str:
    one = Listing(db).study(study)
    assert one is not None
    return one.standing


def test_a_study_stands_where_it_most_wants_an_eye(db: Database, files: Files) -> None:
    owe(db, files)
    assert standing(db) == "waiting"
    db.execute("UPDATE delivery SET state = 'running'")
    assert standing(db) == "running"
    db.execute("UPDATE delivery SET state = 'done'")
    assert standing(db) == "done"
    db.execute("UPDATE delivery SET state = 'failed' WHERE delivery_id = 1")
    assert standing(db) == "failed"
    db.execute("UPDATE job SET superseded = 1")
    assert standing(db) == "done"
    db.execute("UPDATE job SET superseded = 0, retracted = 'wrong side'")
    assert standing(db) == "withdrawn"
    db.execute("UPDATE study SET held = 'two of one UID'")
    assert standing(db) == "held"


def test_a_study_without_work_has_nothing_to_do(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    Intake(db, files, ()).accept(make_arrival(1))
    assert standing(db, "1.2.3") == "receiving"
    db.execute("UPDATE study SET state = 'settled'")
    assert standing(db, "1.2.3") == "nothing to do"
    assert Listing(db).study("1.2") is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), {"1.2.3", "1.2.4"}),
        (Wanted(uid="1.2.3"), {"1.2.3"}),
        (Wanted(patient="jane"), {"1.2.3"}),
        (Wanted(patient="doe, jane"), {"1.2.3"}),
        (Wanted(patient="P"), {"1.2.3", "1.2.4"}),
        (Wanted(patient="%"), set()),
        (Wanted(standing="receiving"), {"1.2.3", "1.2.4"}),
        (Wanted(standing="done"), set()),
        (Wanted(since="2026-11-21T08:00:00.000000Z"), {"1.2.3", "1.2.4"}),
        (Wanted(until="2026-11-21T08:00:00.000000Z"), set()),
    ],
)  # fmt: skip
def test_studies_are_found_by_what_is_asked_for(
    db: Database, files: Files, make_arrival: MakeArrival, wanted: Wanted, found: set[str]
) -> None:
    intake = Intake(db, files, ())
    intake.accept(make_arrival(1, PatientName="Doe^Jane"))
    intake.accept(make_arrival(1, study="1.2.4", series="1.2.4.1", PatientName="Roe^Richard"))
    rows, more = Listing(db).studies(wanted)
    assert {one.study_instance_uid for one in rows} == found and not more


@pytest.mark.parametrize(
    ("typed", "found"),
    [("élodie", True), ("ELODIE MOREAU", True), ("Élodie", True), ("moreau", True), ("Moreau, Élodie", True),
     ("山田", True), ("やまだ", True), ("élodie martin", False), ("pä", True), ("ä-1", False), (" , ", False)],
)  # fmt: skip
def test_a_patient_is_found_however_the_name_is_typed(
    db: Database, files: Files, make_arrival: MakeArrival, typed: str, found: bool
) -> None:
    who = {"PatientName": "Moreau^Élodie=山田^太郎=やまだ^たろう", "PatientID": "PÄ-1"}
    Intake(db, files, ()).accept(make_arrival(1, SpecificCharacterSet="ISO_IR 192", **who))
    rows, _ = Listing(db).studies(Wanted(patient=typed))
    assert bool(rows) is found
    assert "Jane" not in repr(rows)


def test_studies_come_page_by_page(db: Database, files: Files) -> None:
    for number in range(5):
        owe(db, files, study=f"1.{number}")
    first, more = Listing(db).studies(Wanted(), limit=2)
    last, end = Listing(db).studies(Wanted(), offset=4, limit=2)
    assert len(first) == 2 and more and len(last) == 1 and not end


def test_what_is_under_way_is_told_with_what_runs_first(db: Database, files: Files, make_arrival: MakeArrival) -> None:
    Intake(db, files, ()).accept(make_arrival(1))
    owe(db, files)
    rows, more = Movements(db).under_way(1)
    assert [(one.state, one.what) for one in rows] == [("receiving", "1 objects from PACS")] and more == 1
    db.execute("UPDATE delivery SET state = 'running'")
    rows, _ = Movements(db).under_way(9)
    assert [(one.state, one.what) for one in rows] == [
        ("running", "2 results to PACS"), ("receiving", "1 objects from PACS"),
    ]  # fmt: skip


def test_what_a_model_did_lately_is_counted_without_reading_through_the_history(db: Database, files: Files) -> None:
    owe(db, files)
    (model,) = (row["model"] for row in db.rows("SELECT model FROM job"))
    assert Recent(db).throughput(model).done_in_a_day == 1
    asked: list[str] = []
    row = db.row

    def noted(sql: str, *values: object, **named: object) -> Row | None:
        asked.append(sql)
        return row(sql, *values, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "row", noted)
        Recent(db).throughput(model)
    plan = [one["detail"] for one in db.rows(f"EXPLAIN QUERY PLAN {asked[0]}", model=model, day="", week="")]
    assert len(plan) == 1 and plan[0].startswith("SEARCH job USING COVERING INDEX job_by_model")


def test_what_was_taken_back_does_not_go_again(db: Database, files: Files) -> None:
    owe(db, files)
    assert not any(one.can_go_again for one in Movements(db).deliveries("1"))
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'done'")
    assert all(one.can_go_again for one in Movements(db).deliveries("1"))
    db.execute("UPDATE job SET retracted = 'wrong side'")
    assert not any(one.can_go_again for one in Movements(db).deliveries("1"))
