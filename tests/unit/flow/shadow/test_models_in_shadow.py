"""A candidate is tried on what has been analysed; it delays nothing, changes nothing, and its differences are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.shadow import beside
from dicomnode.flow.shadow.beside import Shadow
from dicomnode.flow.shadow.compare import Task, compared
from dicomnode.flow.shadow.summary import summed_up
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.retention import Retention
from dicomnode.store.shadow import Shadows
from tests.conftest import Hands
from tests.toy import TOML, network, write_bundle
from tests.unit.flow.shadow import dying

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}

#: Of the toy study 400 voxels are above 0 HU and 1280 more above -750 HU, 0.016 ml each.
MODEL_ML, CANDIDATE_ML = 6.4, 26.88


class Node:
    """Loops 1 to 3 and the shadow on one store, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, models: Path, receive: Any) -> None:
        self.db, self.files, self.clock, self.models, self._receive = db, files, clock, models, receive
        self.stop = Event()
        self.configure("toy-new")

    def configure(self, candidate: str) -> None:
        rule = {"name": "r", "model": "toy", "series": {"Modality": "CT"}, "shadow_model": candidate}
        settings = parse(
            {"models": {"folder": str(self.models)}, "store": {"folder": str(self.files.folder)}, "peer": [PEER],
             "work": {"threads": 1, "device": "cpu"}, "rule": [rule]}
        )  # fmt: skip
        self.intake = Intake(self.db, self.files, settings.rules)
        self.settle = Settle(self.db, self.files, settings, Planner(settings), lambda _a, _b: False)
        self.worker = Worker(self.db, self.files, settings, Sessions(threads=1), "work-1")
        self.shadow = Shadow(self.db, self.files, settings, self.stop)

    def comes(self, paths: list[Path]) -> None:
        self._receive(self.intake, paths)
        self.clock.forward(6)
        assert self.settle.sweep()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.db.rows(sql)]


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path, receive: Any) -> Node:
    write_bundle(tmp_path / "models")
    write_bundle(tmp_path / "new", network(-750.0), TOML.replace('name = "toy"', 'name = "toy-new"'))
    (tmp_path / "new" / "toy").rename(tmp_path / "models" / "toy-new")
    return Node(db, files, clock, tmp_path / "models", receive)


def test_the_difference_is_recorded_once_and_nothing_of_the_candidate_is_delivered(
    node: Node, ct: Callable[..., list[Path]]
) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert not node.shadow.run_once(), "the result that counts comes first"
    assert node.worker.run_once()
    before = node.rows("SELECT * FROM result") + node.rows("SELECT * FROM delivery")

    assert node.shadow.run_once() and not node.shadow.run_once()

    assert node.rows("SELECT * FROM result") + node.rows("SELECT * FROM delivery") == before
    assert [row[0] for row in node.rows("SELECT state FROM job")] == ["done"]
    (one,) = Shadows(node.db).compared()
    assert (one.rule, one.model, one.candidate, one.reason) == ("r", "toy", "toy-new", "")
    assert one.model_seconds > 0 and one.candidate_seconds > 0
    figures = {row.figure: row for row in one.differences}
    assert figures["dice"].value == pytest.approx(2 * 400 / (400 + 1680))
    volume = figures["volume"]
    assert (volume.unit, volume.subject, volume.code) == ("ml", "Dense", "SCT 4147007")
    assert volume.model_value == pytest.approx(MODEL_ML) and volume.candidate_value == pytest.approx(CANDIDATE_ML)
    assert volume.value == pytest.approx(CANDIDATE_ML - MODEL_ML)
    (tried,) = summed_up([one])
    assert (tried.done, tried.failed, [row.n for row in tried.figures]) == (1, 0, [1, 1])


def test_what_was_analysed_before_the_candidate_was_named_is_left_alone(
    node: Node, ct: Callable[..., list[Path]]
) -> None:
    node.configure("")
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    node.clock.forward(60)
    node.configure("toy-new")
    assert not node.shadow.run_once()


def test_a_job_that_waits_goes_first_and_the_comparison_begins_anew(
    node: Node, ct: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    monkeypatch.setattr(beside, "answer", dying.endless)
    node.comes(ct(study="1.2.5"))

    assert node.shadow.run_once()

    assert node.rows("SELECT state, attempts FROM shadow_run") == [("running", 0)]
    assert node.rows("SELECT state FROM job ORDER BY job_id") == [("done",), ("waiting",)]


def test_a_candidate_that_ends_its_process_is_told_of_and_touches_nothing_else(
    node: Node, ct: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    monkeypatch.setattr(beside, "answer", dying.killed)
    assert node.shadow.run_once()
    (one,) = Shadows(node.db).compared()
    assert one.reason == "its process ended without an answer (status -9)"
    assert node.rows("SELECT state FROM job") == [("done",)]
    assert summed_up([one])[0].failed == 1


def test_a_run_that_took_the_worker_along_twice_is_not_tried_again(node: Node, ct: Callable[..., list[Path]]) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    for _ in range(2):
        begin(node)
    assert not node.shadow.run_once()
    assert node.rows("SELECT state, reason FROM shadow_run") == [("failed", "its process ended without an answer")]


def test_a_candidate_that_cannot_be_loaded_or_fed_is_told_of(node: Node, ct: Callable[..., list[Path]]) -> None:
    toml = node.models / "toy-new" / "model.toml"
    toml.write_text(toml.read_text().replace("minimum_slices = 4", "minimum_slices = 40"))
    task = Task(
        models=node.models, model="toy", candidate="toy-new", inputs={"ct": ct()}, scratch=node.models,
        started_at=node.clock(),
    )  # fmt: skip
    with pytest.raises(Unsuitable, match=r"toy-new: .*slices"):
        compared(task)
    with pytest.raises(Unsuitable, match="name the inputs alike"):
        compared(replace(task, inputs={"ct": [], "pet": []}))


def begin(node: Node) -> int:
    shadows = Shadows(node.db)
    owed = shadows.owed(2)
    assert owed is not None
    with node.db.transaction():
        shadow_id = shadows.begin(*owed)
    assert shadow_id is not None
    return shadow_id


def test_comparisons_go_with_the_images(node: Node, ct: Callable[..., list[Path]]) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    shadow_id = begin(node)
    with node.db.transaction():
        Shadows(node.db).finish(shadow_id, "1", 1.0, 2.0, ())
        Retention(node.db).purge("1.2.3", "by a test", inputs=True, results=False)
    assert node.rows("SELECT * FROM shadow_run") == []
    assert not node.shadow.run_once(), "what is gone is not compared"


def test_what_went_meanwhile_does_not_begin(node: Node, ct: Callable[..., list[Path]]) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once()
    owed = Shadows(node.db).owed(2)
    assert owed is not None
    with node.db.transaction():
        Retention(node.db).purge("1.2.3", "by a test", inputs=True, results=False)
        assert Shadows(node.db).begin(*owed) is None
    assert node.rows("SELECT * FROM shadow_run") == []


def test_looking_for_a_comparison_where_none_is_owed_takes_no_lock(node: Node, ct: Callable[..., list[Path]]) -> None:
    assert not node.shadow.run_once()
    node.comes(ct())
    assert node.worker.run_once() and node.shadow.run_once()
    with closing(sqlite3.connect(node.db.path, isolation_level=None)) as arrivals:
        arrivals.execute("BEGIN IMMEDIATE")
        arrivals.execute("UPDATE study SET reason = reason")
        node.db.execute("PRAGMA busy_timeout=0")
        assert not node.shadow.run_once()


def test_what_is_compared_is_not_gone_through_again(
    node: Node, ct: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shadows = Shadows(node.db)
    assert not node.shadow.run_once() and shadows.owed(2) is None
    for study in ("1.2.5", "1.2.6"):
        node.comes(ct(study=study))
        assert node.worker.run_once() and node.shadow.run_once()
    assert shadows.owed(2) is None
    asked: list[str] = []
    row = node.db.row

    def noted(sql: str, *values: Any, **named: Any) -> Any:
        asked.append(named.get("since", ""))
        return row(sql, *values, **named)

    monkeypatch.setattr(node.db, "row", noted)
    assert shadows.owed(2) is None
    newest = node.rows("SELECT MAX(changed_at) FROM job")[0][0]
    assert max(asked) == newest
