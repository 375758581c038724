"""A rule in shadow says what it would have run, and runs nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dicomnode.config import parse
from dicomnode.domain.errors import ConfigError, DicomNodeError
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.shadow.show import show_matches
from dicomnode.flow.shadow.since import since_text
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.shadow_matches import shadow_matches
from dicomnode.store.story import Story
from tests.conftest import Hands
from tests.toy import write_bundle

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}


@pytest.fixture
def settled(
    db: Database, files: Files, clock: Hands, tmp_path: Path, ct: Callable[..., list[Path]], receive: Any
) -> Database:
    """A study came under one rule that runs and three in shadow."""
    write_bundle(tmp_path / "models")
    rule = {"model": "toy", "series": {"Modality": "CT"}}
    settings = parse(
        {"models": {"folder": str(tmp_path / "models")}, "peer": [PEER],
         "rule": [{**rule, "name": "live"}, {**rule, "name": "tried", "shadow": True},
                  {**rule, "name": "elsewhere", "shadow": True, "series": {"Modality": "MR"}},
                  {**rule, "name": "broken", "shadow": True, "model": "absent"}]}
    )  # fmt: skip
    receive(Intake(db, files, settings.rules), ct())
    clock.forward(6)
    assert Settle(db, files, settings, Planner(settings), lambda _a, _b: False).sweep()
    return db


def test_a_rule_in_shadow_makes_no_job_and_its_match_stands_in_the_story(settled: Database) -> None:
    assert [row["rule"] for row in settled.rows("SELECT rule FROM job")] == ["live"]
    told = [(one.rule, one.text) for one in shadow_matches(settled)]
    assert told == [
        ("tried", "would have run toy on series 1.2.3.4 (10 objects), for PACS"),
        ("broken", "would have told “not analysed: model absent: no such bundle”, for PACS"),
    ]
    lines = [line.detail for line in Story(settled).why("1.2.3") if line.entity_id == "tried"]
    assert any(line.startswith("shadow: would have run toy") for line in lines)


def test_the_list_can_be_narrowed_by_rule_and_time(settled: Database) -> None:
    assert [one.rule for one in shadow_matches(settled, rule="tried")] == ["tried"]
    assert shadow_matches(settled, since=since_text("1h", settled.clock()))
    assert shadow_matches(settled, since="9999") == []
    plan = settled.rows(
        "EXPLAIN QUERY PLAN SELECT 1 FROM event"
        " WHERE entity = 'rule' AND substr(detail, 1, 8) = 'shadow: ' AND at >= ''"
    )
    assert "event_in_shadow" in plan[0]["detail"], "the log grows with every object, and this must not"


def test_the_list_is_printed_for_people(settled: Database) -> None:
    told = StringIO()
    show_matches(shadow_matches(settled), Console(file=told, width=200))
    assert "tried" in told.getvalue() and "would have run toy" in told.getvalue()
    show_matches([], Console(file=told))
    assert "no rule in shadow" in told.getvalue()


@pytest.mark.parametrize("more", [{"shadow": True, "shadow_model": "other"}, {"shadow_model": "toy"}])
def test_a_candidate_needs_a_result_to_compare_with_and_is_another_model(more: dict[str, Any]) -> None:
    rule = {"name": "r", "model": "toy", "series": {"Modality": "CT"}, **more}
    with pytest.raises(ConfigError) as caught:
        parse({"peer": [PEER], "rule": [rule]})
    assert [fault.key for fault in caught.value.faults] == ["rule r.shadow_model"]


def test_a_time_that_is_neither_age_nor_day_is_refused_in_one_sentence(clock: Hands) -> None:
    assert since_text("", clock()) == ""
    assert since_text("2026-11-20", clock()) == "2026-11-20T00:00:00.000000Z"
    with pytest.raises(DicomNodeError, match="24h or 7d"):
        since_text("yesterday", clock())
