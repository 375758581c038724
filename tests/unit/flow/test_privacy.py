"""A patient whose name makes a library fail is in no line of the log."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dicomnode import log
from dicomnode.config import parse
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.intake import Intake
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, owe
from tests.toy import write_bundle

#: A line of the traceback shows the code, so that the name must not stand there.
NAME = "^".join(("DONT", "LOGME"))


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("final", "stored"), [(False, False), (True, False), (True, True)])
def test_what_a_peer_says_of_a_patient_in_its_comment_is_in_the_story_and_in_no_line_of_the_log(
    form: str, final: bool, stored: bool, db: Database, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("debug", form, "test")
    owe(db, files)

    def send(_peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        for one in batch:
            yield Receipt(
                sop_instance_uid=one.sop_instance_uid, status=0xC000, stored=stored, final=final, text="C000 Refused",
                comment=f"patient {NAME} is locked",
            )  # fmt: skip

    Outbox(db, files, parse({"peer": [PEER]}), send, "deliver-1").run_once("PACS")
    shown = capsys.readouterr().err
    assert "delivery answered" in shown and "C000 Refused" in shown
    assert "LOGME" not in shown
    assert [row for row in db.rows("SELECT reason FROM delivery") if NAME in row["reason"]]


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
