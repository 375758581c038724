"""A patient whose name makes a library fail is in no line of the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicomnode import log
from dicomnode.config import parse
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER
from tests.toy import write_bundle

#: A line of the traceback shows the code, so that the name must not stand there.
NAME = "^".join(("DONT", "LOGME"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_job_whose_exception_names_the_patient_names_him_in_no_line_and_in_no_reason(
    form: str,
    db: Database,
    files: Files,
    clock: Hands,
    tmp_path: Path,
    ct: Callable[..., list[Path]],
    receive: Callable[[Intake, list[Path]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("debug", form, "test")
    write_bundle(tmp_path / "models")
    settings = parse(
        {
            "models": {"folder": str(tmp_path / "models")},
            "peer": [PEER],
            "rule": [{"name": "r", "model": "toy", "series": {"Modality": "CT"}}],
        }
    )
    receive(Intake(db, files, settings.rules), ct())
    clock.forward(100)
    assert Settle(db, files, settings, Planner(settings), lambda _a, _b: True).sweep()
    worker = Worker(db, files, settings, Sessions(1, "cpu"), "work-1")

    def fail(_job: Any) -> Any:
        try:
            raise ValueError(f"Invalid value {NAME!r} for VR PN")
        except ValueError as error:
            raise KeyError(NAME) from error

    monkeypatch.setattr(worker._maker, "results", fail)
    while worker.run_once():
        clock.forward(11)

    shown = capsys.readouterr().err
    assert "job failed" in shown and "KeyError: (words withheld)" in shown
    assert "LOGME" not in shown
    events = [str(tuple(row)) for row in db.rows("SELECT * FROM event")]
    assert not [one for one in events if "LOGME" in one]
    (job,) = db.rows("SELECT state, reason FROM job")
    assert job["state"] == "failed" and "LOGME" not in job["reason"]
