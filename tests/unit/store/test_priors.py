"""Searches for priors and the scratch area in the books."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.domain.prior import Prior, PriorFile, PriorKind, PriorWish
from dicomnode.store.database import Database, migrations, statements
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs, Plan
from dicomnode.store.priors import Searches, frozen
from dicomnode.store.scratch import Scratch
from tests.conftest import Hands, MakeArrival

WISH = PriorWish(sources=("store", "PACS", "OTHER"), wait_seconds=600)
PLAN = Plan(
    rule="r", model="m", series_instance_uid="1", frame_of_reference_uid="", inputs={}, input_digest="i",
    recipe_digest="r", priority=0, outputs=("sr",), destinations=(), wish=WISH,
)  # fmt: skip


def add(db: Database, files: Files, *plans: Plan, forced: bool = False) -> list[int]:
    with db.transaction():
        db.execute(
            "INSERT INTO study (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer,"
            " first_arrival_at, last_arrival_at) VALUES ('1', 'settled', '', '', '', '', '', '', '')"
            " ON CONFLICT DO NOTHING"
        )
        return Jobs(db, files).add("1", 1, plans or [PLAN], forced=forced)


def a_prior(files: Files, study: str = "9", day: date = date(2025, 1, 2)) -> Prior:
    image = PriorFile(
        kind=PriorKind.IMAGE, series_instance_uid="9.1", sop_class_uid="c", sop_instance_uid="9.1.1",
        path=files.path(f"priors/{study}/x"), input="ct",
    )  # fmt: skip
    report = PriorFile(
        kind=PriorKind.REPORT, series_instance_uid="9.2", sop_class_uid="d", sop_instance_uid="9.2.1",
        path=files.path(f"priors/{study}/y"), own=True,
    )  # fmt: skip
    return Prior(study_instance_uid=study, study_date=day, source="PACS", files=(image, report), remark="doubt")


def test_a_database_of_the_first_version_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for statement in statements(migrations()[0]):
            old.execute(statement)
        old.execute("PRAGMA user_version=1")
        old.execute(
            "INSERT INTO study (study_instance_uid, changed_at, calling_aet, called_aet, address, peer,"
            " first_arrival_at, last_arrival_at) VALUES ('1', '', '', '', '', '', '', '')"
        )
        header = '{"00100020": {"vr": "LO", "Value": ["P1"]}}'
        old.execute("INSERT INTO series VALUES ('1', '1.1', ?)", [header])
        old.execute("INSERT INTO series VALUES ('1', '1.2', '{}')")

    with closing(Database(path)) as db:
        assert db.row("PRAGMA user_version")[0] == len(migrations())  # type: ignore[index]
        with db.transaction():
            db.execute("UPDATE study SET state = 'settled'")
        assert list(Searches(db, Files(tmp_path)).earlier("P1", "2")) == ["1"]
    with closing(Database(path)) as again:
        assert len(again.rows("SELECT * FROM series")) == 2


def test_our_own_earlier_studies_are_found_by_an_index(db: Database) -> None:
    plan = db.rows(
        "EXPLAIN QUERY PLAN SELECT study_instance_uid FROM series"
        " WHERE json_extract(header, '$.\"00100020\".Value[0]') = 'P1'"
    )
    assert "series_by_patient" in plan[0]["detail"]


def test_a_new_job_is_searched_for_at_every_peer_but_not_in_the_store(db: Database, files: Files) -> None:
    (job,) = add(db, files)
    rows = db.rows("SELECT job_id, source, state FROM prior_search ORDER BY search_id")
    assert [tuple(row) for row in rows] == [(job, "PACS", "waiting"), (job, "OTHER", "waiting")]
    search = Searches(db, files).due("PACS")
    assert search is not None and search.give_up_at == db.clock() + timedelta(seconds=600)
    assert Searches(db, files).due("STRANGER") is None


def test_a_job_made_anew_ends_the_searches_of_the_run_before(db: Database, files: Files) -> None:
    add(db, files)
    (again,) = add(db, files, forced=True)
    rows = db.rows("SELECT job_id FROM prior_search WHERE state = 'waiting'")
    assert {row["job_id"] for row in rows} == {again}


def test_what_a_job_is_given_comes_back_as_it_was(db: Database, files: Files) -> None:
    given = a_prior(files)
    (job,) = add(db, files, replace(PLAN, priors=(given,)))
    loaded = Jobs(db, files).load(job)
    assert loaded is not None and loaded.priors == (given,)


def test_the_next_run_has_the_same_inputs_and_the_priors(db: Database, files: Files) -> None:
    (job,) = add(db, files)
    jobs = Jobs(db, files)
    with db.transaction():
        claimed = jobs.claim("w", timedelta(seconds=60))
        assert claimed is not None
        jobs.finish(claimed, [], "")
        new = Searches(db, files).rerun(job, [a_prior(files)])
    first, second = jobs.load(job), jobs.load(new)
    assert first is not None and second is not None
    assert (second.run, second.attempts, second.inputs) == (2, 0, first.inputs)
    assert second.input_digest == first.input_digest and second.recipe_digest == first.recipe_digest
    assert first.priors == () and frozen(db, files, new) == (a_prior(files),)
    assert Searches(db, files).latest(job).job_id == new


def test_no_search_takes_a_way_that_the_table_of_arrows_does_not_know(db: Database, files: Files) -> None:
    add(db, files)
    with pytest.raises(sqlite3.IntegrityError, match="no arrow"):
        db.execute("UPDATE prior_search SET state = 'done'")


def test_a_peer_that_rests_is_asked_once_more_when_the_time_is_up(db: Database, files: Files, clock: Hands) -> None:
    add(db, files)
    searches = Searches(db, files)
    with db.transaction():
        searches.rest("PACS", clock.now + timedelta(seconds=900))
    assert searches.due("PACS") is None and searches.due("OTHER") is not None
    clock.forward(600)
    assert searches.due("PACS") is not None


def test_objects_come_back_from_the_scratch_area_with_their_headers(
    db: Database, files: Files, make_arrival: MakeArrival
) -> None:
    scratch = Scratch(db, files)
    arrivals = [make_arrival(number, study="9", series="9.1") for number in (1, 2, 3)]
    with db.transaction():
        scratch.ask("9", ["9.1", "9.2"], "PACS")
        for arrival in arrivals:
            scratch.add(arrival, f"priors/9/{arrival.sop_instance_uid}")
    assert scratch.load("9").series == (), "nobody has said that it is whole"
    with db.transaction():
        scratch.answered("9", "9.1", whole=True)
        scratch.answered("9", "9.1", whole=False)
    (series,) = scratch.load("9").series
    assert [one.header.merged() for one in series.instances] == [one.header.merged() for one in arrivals]
    assert scratch.objects("9", "9.1") == {"9.1.1", "9.1.2", "9.1.3"}
    assert scratch.size_bytes() == sum(one.size_bytes for one in arrivals)
    assert scratch.asked("9", "9.2") and not scratch.asked("9", "9.3")


def test_a_series_is_expected_only_from_the_source_that_is_being_asked_and_only_meanwhile(
    db: Database, files: Files
) -> None:
    scratch = Scratch(db, files)
    with db.transaction():
        scratch.ask("9", ["9.1", "9.2"], "PACS")
    assert scratch.expected("9", "9.1", "PACS") and not scratch.expected("9", "9.1", "VNA")
    with db.transaction():
        scratch.answered("9", "9.1", whole=False)
    assert not scratch.expected("9", "9.1", "PACS") and scratch.asked("9", "9.1")
    with db.transaction():
        scratch.idle("PACS")
    assert not scratch.expected("9", "9.2", "PACS")


def test_what_a_search_or_a_waiting_job_needs_is_not_unneeded(
    db: Database, files: Files, clock: Hands, make_arrival: MakeArrival
) -> None:
    (job,) = add(db, files)
    scratch, searches = Scratch(db, files), Searches(db, files)
    search = searches.due("PACS")
    assert search is not None
    with db.transaction():
        for study in ("7", "8", "9"):
            scratch.ask(study, [f"{study}.1"], "PACS")
            scratch.add(make_arrival(study=study, series=f"{study}.1"), f"priors/{study}/x")
        searches.choose(search, ["8"], date(2025, 3, 4))
        searches.freeze(job, [a_prior(files, "9")])
    assert scratch.unneeded() == ["7"]
    assert scratch.unneeded(clock.now) == []
    clock.forward(1)
    assert scratch.unneeded(clock.now) == ["7"]

    with db.transaction():
        searches.leave(search, "cancelled", "")
        db.execute("UPDATE job SET state = 'cancelled'")
    assert scratch.unneeded() == ["7", "8", "9"]
    with db.transaction():
        assert scratch.remove("9") == ["priors/9/x"]
    assert scratch.objects("9", "9.1") == set() and not scratch.asked("9", "9.1")


def test_results_of_a_rule_that_has_another_name_now_are_found_by_its_model(db: Database, files: Files) -> None:
    searches, day = Searches(db, files), db.now()
    db.execute("PRAGMA foreign_keys = OFF")
    columns = {row["name"]: row for row in db.rows("PRAGMA table_info(job)")}
    needed = [row for row in columns.values() if row["notnull"] and row["dflt_value"] is None]
    values: dict[str, Any] = {row["name"]: 0 if row["type"] == "INTEGER" else "" for row in needed}
    values |= {"study_instance_uid": "1.7", "rule": "old", "model": "nodules", "state": "done", "created_at": day}
    values |= {"job_id": 77, "run": 1, "revision": 1}
    db.execute(f"INSERT INTO job ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values())
    columns = {row["name"]: row for row in db.rows("PRAGMA table_info(result)")}
    needed = [row for row in columns.values() if row["notnull"] and row["dflt_value"] is None]
    values = {row["name"]: 0 if row["type"] == "INTEGER" else "" for row in needed}
    values |= {"job_id": 77, "kind": "sr", "role": "sr", "path": "a", "sop_instance_uid": "1.7.1", "result_id": 1}
    db.execute(f"INSERT INTO result ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values())
    for rule in ("old", "new"):
        assert [one.sop_instance_uid for one in searches.results("1.7", rule, "nodules")] == ["1.7.1"]
    assert searches.results("1.7", "new", "another") == []
