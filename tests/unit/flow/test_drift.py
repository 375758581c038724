"""A model that behaves otherwise than before on a scanner is noticed; chance is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dicomnode.config.alerts import Drift
from dicomnode.domain.notice import Topic
from dicomnode.flow.alerts.conditions import conditions
from dicomnode.flow.drift import drifts
from dicomnode.flow.shown.lately import show_drift
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.flags import Flags
from dicomnode.store.outcomes import Outcomes
from dicomnode.store.studies import Standing, Studies
from tests.conftest import Hands, MakeArrival

TABLE = Drift()


@pytest.fixture
def runs(db: Database, files: Files, make_arrival: MakeArrival) -> Any:
    """Writes runs in their order: (ending, findings, volume in ml), with the scanner that they are of.

    Each is of a rule of its own, which counts as a study of its own would; with `run`, further runs of the newest.
    """
    with db.transaction():
        Studies(db, files).add(make_arrival(), "studies/a", Standing.CURRENT)
    count = 0

    def write(rows: list[tuple[str, int | None, float | None]], scanner: str = "Ring", run: int = 1) -> None:
        nonlocal count
        count -= len(rows) * (run > 1)
        with db.transaction():
            for ending, findings, volume in rows:
                count += 1
                job = db.insert(
                    "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model,"
                    " series_instance_uid, frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs,"
                    " destinations, refusal, not_before, state) VALUES ('1.2.3', '', '', 1, ?, 'toy', '', '', '', '',"
                    " ?, 0, '[]', '[]', '', '', 'done')",
                    f"r{count}", run,
                )  # fmt: skip
                db.execute(
                    "INSERT INTO outcome (job_id, ended_at, model, version, ending, manufacturer, scanner, station,"
                    " findings, volume_ml) VALUES (?, ?, 'toy', '1', ?, 'ACME', ?, 'CT1', ?, ?)",
                    job, db.now(), ending, scanner, findings, volume,
                )  # fmt: skip

    return write


def usual(many: int, seed: int, *, nothing: float = 0.3, refused: float = 0.05, factor: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, int | None, float | None]] = []
    for _ in range(many):
        if rng.random() < refused:
            rows.append(("blocked", None, None))
        elif rng.random() < nothing:
            rows.append(("done", 0, 0.0))
        else:
            rows.append(("done", 1 + int(rng.poisson(1.0)), factor * float(rng.lognormal(2, 0.5))))
    return rows


def changed(db: Database, table: Drift = TABLE) -> dict[str, set[str]]:
    return {one.origin.scanner.model: {change.figure for change in one.changes} for one in drifts(db, table)}


def test_runs_like_those_before_are_no_drift(db: Database, runs: Any) -> None:
    runs(usual(400, 1))
    assert changed(db) == {"Ring": set()}


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"refused": 0.3}, "not analysed"),
        ({"nothing": 0.7}, "nothing found"),
        ({"factor": 1.6}, "median volume"),
    ],
)
def test_a_change_is_told_by_its_figure_and_only_of_its_scanner(
    db: Database, runs: Any, change: dict[str, float], figure: str
) -> None:
    runs(usual(300, 2))
    runs(usual(100, 3, **change))
    runs(usual(400, 4), scanner="Other")
    found = changed(db)
    assert figure in found["Ring"] and found["Other"] == set()


def test_what_changed_reaches_who_is_told_of_drift(db: Database, runs: Any) -> None:
    from dicomnode.config import Settings

    runs(usual(300, 2))
    runs(usual(100, 3, nothing=0.8))
    found = {topic: text for _, topic, text in conditions(db, Settings(), (Topic.DRIFT,))}
    assert "model toy on ACME Ring CT1: " in found[Topic.DRIFT] and "before (p = " in found[Topic.DRIFT]


def test_few_runs_later_runs_and_faults_of_the_node_say_nothing(db: Database, runs: Any) -> None:
    runs(usual(60, 5))
    runs([("failed", None, None)] * 29)
    assert drifts(db, TABLE.model_copy(update={"last": 29})) == [] or changed(db, TABLE) == {"Ring": set()}
    runs(usual(300, 6))
    runs([("failed", None, None)] * 100)
    (found,) = drifts(db, TABLE)
    assert not found.compared and found.changes == () and found.last.failed == 100
    assert drifts(db, TABLE.model_copy(update={"last": 0})) == []


def counted(db: Database) -> list[float | None]:
    """Volumes of what is compared, newest first."""
    rows = Outcomes(db)
    return [one.volume_ml for origin in rows.origins(1) for one in rows.latest(origin, 1000)]


def test_a_study_that_is_analysed_again_counts_once_in_its_old_place(db: Database, runs: Any, clock: Hands) -> None:
    for volume in (1.0, 2.0):
        runs([("done", 1, volume)])
        clock.forward(60)
    runs([("done", 1, 20.0)], run=2)
    runs([("done", 1, 30.0)])
    assert counted(db) == [30.0, 20.0, 1.0]
    clock.forward(60)
    with db.transaction():
        first = db.row("SELECT job_id FROM job WHERE rule = 'r1'")
        assert first is not None
        # A late slice: the run of the half study is superseded, and the next one is again its run 1.
        db.execute("UPDATE job SET superseded = 1 WHERE job_id = ?", first["job_id"])
        assert counted(db) == [30.0, 20.0]
        whole = db.insert(
            "INSERT INTO job (study_instance_uid, changed_at, created_at, revision, rule, model, series_instance_uid,"
            " frame_of_reference_uid, input_digest, recipe_digest, run, priority, outputs, destinations, refusal,"
            " not_before, state) SELECT study_instance_uid, '', '', 2, rule, model, '', '', 'whole', '', 1, 0, '[]',"
            " '[]', '', '', 'done' FROM job WHERE job_id = ?",
            first["job_id"],
        )  # fmt: skip
        db.execute(
            "INSERT INTO outcome (job_id, ended_at, model, version, ending, manufacturer, scanner, station, findings,"
            " volume_ml) VALUES (?, ?, 'toy', '1', 'done', 'ACME', 'Ring', 'CT1', 1, 10.0)",
            whole, db.now(),
        )  # fmt: skip
    assert counted(db) == [30.0, 20.0, 10.0]


def test_which_scanners_there_are_is_read_from_an_index(db: Database) -> None:
    asked: list[str] = []
    db._connection.set_trace_callback(asked.append)
    Outcomes(db).origins(1)
    db._connection.set_trace_callback(None)
    (plan,) = db.rows(f"EXPLAIN QUERY PLAN {asked[-1]}")
    assert "USING COVERING INDEX outcome_counted" in plan["detail"]


def test_a_change_that_is_certain_and_too_small_to_matter_is_not_told(db: Database, runs: Any) -> None:
    runs([("done", 1, 10.0 + number / 1e6) for number in range(300)])
    runs([("done", 1, 11.0 + number / 1e6) for number in range(100)])
    assert changed(db) == {"Ring": set()}
    assert changed(db, TABLE.model_copy(update={"median_percent": 5.0})) == {"Ring": {"median volume"}}


def test_the_figures_are_shown_with_what_readers_complained_of(
    db: Database, runs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    runs([("done", 0, 0.0)] * 30 + [("done", 2, 4.0)] * 100)
    with db.transaction():
        Flags(db).add("1.2.3", "wrong", "x")
    show_drift(drifts(db, TABLE, least=1), Flags(db).by_model(), Console(width=200))
    said = capsys.readouterr().out
    assert "100 / 30" in said and "0 / 100" in said and "DRIFT model toy on ACME Ring CT1: nothing found in 0 %" in said
    assert "1 studies of model toy 1 were flagged by readers" in said
    assert json.loads(json.dumps({"flags": [one.studies for one in Flags(db).by_model()]})) == {"flags": [1]}
