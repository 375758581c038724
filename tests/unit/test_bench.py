"""All benchmarks in one table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as everything
from bench.rows import Row, table

ROOT = Path(__file__).parents[2]
ROW = Row(name="a row", ours=[1.0, 2.0, 3.0], ratio=2.0, limit=3.0, at_most=True)


def said(monkeypatch: pytest.MonkeyPatch, printed: str, status: int, error: str = "") -> list[str]:
    done = subprocess.CompletedProcess(args=[], returncode=status, stdout=printed, stderr=error)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    return list(everything._measured("ingest", 1))


def test_every_benchmark_of_the_table_can_be_run_by_its_name() -> None:
    assert [name for name in everything.BENCHMARKS if not (ROOT / "bench" / f"{name}.py").exists()] == []


def test_rows_are_taken_as_they_were_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = said(monkeypatch, f"said before\n{table([ROW])}\n", 0)
    assert row == table([ROW]).splitlines()[-1]
    assert everything._verdict(row) == "met"


def test_a_benchmark_that_fails_is_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = said(monkeypatch, "", 1, "Traceback\nRuntimeError: no storescp | here")
    assert everything._verdict(row) == "failed: RuntimeError: no storescp / here"
    assert row.count("|") == table([ROW]).splitlines()[-1].count("|")
    (silent,) = said(monkeypatch, "", 0, "a warning")
    assert everything._verdict(silent) == "failed: it printed no row"


def test_a_failure_is_the_exit_status_and_a_short_row_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(everything, "_measured", lambda *_: ["| x |  |  |  |  |  | **short** |"])
    monkeypatch.setattr(sys, "argv", ["bench", "ingest"])
    assert everything.main() == 0
    assert "1 short" in capsys.readouterr().err
    monkeypatch.setattr(everything, "_measured", lambda *_: ["| x |  |  |  |  |  | failed: no peer |"])
    assert everything.main() == 1
