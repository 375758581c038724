"""What a job comes to is in the books with its end: how it ended, of which scanner, how much was found, how urgent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from dicomnode.config import parse
from dicomnode.domain.notice import Message
from dicomnode.flow.alerts.post import Post
from dicomnode.flow.operate import rerun
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.store.affected import affected
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.toy import TOML, network, write_bundle
from tests.unit.flow.test_work import PEER, Node

URGENT = TOML.replace('label = "Dense"', 'label = "Dense"\nurgent = true')

MakeNode = Callable[..., Node]


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path) -> MakeNode:
    def make(toml: str = TOML, content: bytes | None = None) -> Node:
        models = tmp_path / "models"
        write_bundle(models, content, toml)
        document: dict[str, Any] = {
            "store": {"folder": str(files.folder)},
            "models": {"folder": str(models)},
            "notify": [{"name": "desk", "on": ["urgent", "failed", "not_analysed"], "url": "http://127.0.0.1:1/"}],
            "peer": [PEER],
            "rule": [{"name": "r", "model": "toy", "outputs": ["seg", "sr"], "series": {"Modality": "CT"}}],
        }
        return Node(db, files, clock, parse(document))

    return make


def outcome(it: Node) -> dict[str, Any]:
    row = it.db.row("SELECT * FROM outcome ORDER BY job_id DESC LIMIT 1")
    assert row is not None
    return dict(row)


def from_scanner(paths: list[Path]) -> list[Path]:
    for path in paths:
        ds = dcmread(path)
        ds.Manufacturer, ds.ManufacturerModelName, ds.StationName = "ACME", "Ring 64", "CT1"
        ds.save_as(path)
    return paths


def post(it: Node) -> tuple[Post, list[Message]]:
    messages: list[Message] = []

    def send(message: Message, _table: object, _node: str) -> str:
        messages.append(message)
        return ""

    return Post(it.db, it.settings, it.settings.notify[0], send), messages


def run(poster: Post) -> None:
    while poster.run_once():
        pass


def test_a_result_is_noted_with_its_scanner_its_volume_and_its_version(node: MakeNode, ct: Any, receive: Any) -> None:
    it = node()
    receive(it.intake, from_scanner(ct()))
    it.settled()
    it.work_until_idle()
    found = outcome(it)
    assert (found["ending"], found["version"], found["findings"], found["urgent"]) == ("done", "1.0.0", 1, "")
    assert (found["manufacturer"], found["scanner"], found["station"]) == ("ACME", "Ring 64", "CT1")
    # 4 slices of 10 × 10 pixels of 2 × 2 × 4 mm.
    assert found["volume_ml"] == pytest.approx(4 * 100 * 16 / 1000)
    (one,) = affected(it.db, model="toy", version="1.0.0", scanner="ring")
    assert one.study_instance_uid == "1.2.3" and {place.destination for place in one.places} == {"PACS"}
    assert affected(it.db, version="2.0.0") == affected(it.db, scanner="other") == []


def test_that_nothing_was_found_is_a_figure_too(node: MakeNode, ct: Any, receive: Any) -> None:
    it = node()
    receive(it.intake, ct(dense=False))
    it.settled()
    it.work_until_idle()
    assert (outcome(it)["ending"], outcome(it)["findings"], outcome(it)["volume_ml"]) == ("done", 0, 0.0)


def test_what_the_gate_blocks_is_told_with_the_rule_that_was_not_met(node: MakeNode, ct: Any, receive: Any) -> None:
    it = node(TOML.replace("minimum_slices = 4", "minimum_slices = 4\nkvp = [60.0, 100.0]"))
    poster, messages = post(it)
    receive(it.intake, from_scanner(ct()))
    it.settled()
    it.work_until_idle()
    found = outcome(it)
    assert (found["ending"], found["blocked_by"], found["version"]) == ("blocked", "kvp", "1.0.0")
    assert found["station"] == "CT1" and found["findings"] is None
    run(poster)
    assert [one.text for one in messages[0].notices] == ["model toy: not analysed, blocked by kvp"]


def test_a_fault_of_the_runtime_is_told_as_a_failure(node: MakeNode, ct: Any, receive: Any) -> None:
    it = node(content=b"no network")
    poster, messages = post(it)
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    assert outcome(it)["ending"] == "failed"
    run(poster)
    assert [one.topic for one in messages[0].notices] == ["failed"]
    assert "LOGME" not in messages[0].notices[0].text


def test_an_urgent_finding_is_told_once_however_often_it_is_found(
    node: MakeNode, ct: Any, receive: Any, clock: Hands
) -> None:
    it = node(URGENT)
    poster, messages = post(it)
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    run(poster)
    rerun(it.db, it.files, "1.2.3")
    it.settled()
    it.work_until_idle()
    clock.forward(100)
    run(poster)
    assert it.db.rows("SELECT urgent FROM outcome")[1]["urgent"] == "Dense"
    (message,) = messages
    (notice,) = message.notices
    assert (notice.topic, notice.text, notice.rule) == ("urgent", "model toy found: Dense", "r")
    assert notice.study_instance_uid == "1.2.3"


def test_nothing_urgent_is_told_where_it_was_looked_for_and_not_found(node: MakeNode, ct: Any, receive: Any) -> None:
    it = node(URGENT)
    poster, messages = post(it)
    receive(it.intake, ct(dense=False))
    it.settled()
    it.work_until_idle()
    run(poster)
    assert outcome(it)["urgent"] == "" and messages == []


def test_a_bundle_may_mark_segments_urgent(tmp_path: Path) -> None:
    assert load_bundle(write_bundle(tmp_path / "a", network(), URGENT)).segments[0].urgent
    assert not load_bundle(write_bundle(tmp_path / "b", network())).segments[0].urgent


def test_classes_and_scores_may_be_urgent(tmp_path: Path) -> None:
    from highdicom import Volume

    from dicomnode.domain.code import Code
    from dicomnode.domain.finding import Classification, Findings, Measurement, Segmentation, SourceSeries
    from dicomnode.domain.model import ClassLabel, ScoreSpec, unavailable
    from dicomnode.flow.ending import figures_of

    volume = Volume(np.zeros((1, 1, 1), np.uint8), np.eye(4), "PATIENT")
    yes, no = (Code(value=value, scheme="99T", meaning=value) for value in ("yes", "no"))
    risk, unit = Code(value="risk", scheme="99T", meaning="Risk"), Code(value="%", scheme="UCUM", meaning="percent")

    def urgent(answer: Code, value: float) -> tuple[str, ...]:
        findings = Findings(
            source=SourceSeries(volume=volume, planes=()),
            segmentation=Segmentation(volume=volume, segments=()),
            measurements=(Measurement(segment_number=0, name=risk, value=value, unit=unit),),
            classifications=(Classification(question=risk, answer=answer, probabilities=()),),
        )
        spec = replace(
            unavailable("m"),
            classes=(
                ClassLabel(number=0, label="bleeding", code=yes, urgent=True),
                ClassLabel(number=1, label="none", code=no),
            ),
            scores=(ScoreSpec(number=0, name=risk, unit=unit, urgent_at_least=80.0),),
        )  # fmt: skip
        figures = figures_of(findings, spec)
        assert figures.findings is None and figures.volume_ml is None
        return figures.urgent

    assert urgent(no, 79.9) == ()
    assert urgent(yes, 10.0) == ("bleeding",)
    assert urgent(no, 80.0) == ("Risk of at least 80",)
