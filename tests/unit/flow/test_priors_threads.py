"""An archive that hangs holds up no other, and a thread that dies is missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from dicomnode.domain.errors import OutOfResources
from dicomnode.flow.priors.search import Priors
from dicomnode.flow.priors.threads import PriorThreads
from dicomnode.store.database import Database


class Scripted:
    """A loop that does what a test says."""

    def __init__(self, step: Callable[[], bool]) -> None:
        self.run_once = step


def threads(tmp_path: Path, steps: dict[str, Callable[[], bool]], stop: Event, cleaned: list[int]) -> PriorThreads:
    def priors(_db: Database, source: str) -> Priors:
        return cast(Priors, cast(Any, Scripted(steps[source])))

    return PriorThreads(lambda: Database(tmp_path / "node.db"), priors, lambda _: cleaned.append(1), list(steps), stop)


def test_a_source_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    stop, release, answered, cleaned = Event(), Event(), Event(), list[int]()

    def hang() -> bool:
        release.wait(30)
        return False

    def answer() -> bool:
        answered.set()
        return False

    with threads(tmp_path, {"slow": hang, "quick": answer}, stop, cleaned).running():
        assert answered.wait(30)
        stop.set()
        release.set()
    assert cleaned == [1]


def test_a_source_whose_thread_ended_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.flow.priors.threads._PAUSE_SECONDS", 0.05)
    stop, again, calls = Event(), Event(), list[int]()

    def step() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise OutOfResources("database: SQLITE_FULL")
        again.set()
        return False

    with threads(tmp_path, {"PACS": step}, stop, []).running():
        assert again.wait(30)
        stop.set()


def test_the_scratch_area_is_cleaned_also_where_no_rule_wants_priors(tmp_path: Path) -> None:
    stop, cleaned = Event(), Event()
    with PriorThreads(
        lambda: Database(tmp_path / "node.db"), cast(Any, None), lambda _: cleaned.set(), [], stop
    ).running():
        assert cleaned.wait(30)
        stop.set()
