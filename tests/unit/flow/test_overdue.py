"""Who waits for longer than his rule promised is told once, and the result supersedes what he was told."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import parse
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.analyse import analyse
from dicomnode.flow.intake import Intake
from dicomnode.flow.operate import retry
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.overdue import Overdue
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.report import refusal
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, Answers
from tests.toy import write_bundle
from tests.unit.report.reading import texts


class Node:
    """A node whose study has settled and waits for its worker, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, folder: Path, outputs: list[str]) -> None:
        write_bundle(folder)
        rule = {
            "name": "r", "model": "toy", "outputs": outputs, "series": {"Modality": "CT"}, "deadline_seconds": 60,
        }  # fmt: skip
        settings = parse({"models": {"folder": str(folder)}, "peer": [PEER], "rule": [rule]})
        self.db, self.files, self.clock, self.settings = db, files, clock, settings
        self.pacs = Answers()
        self.intake = Intake(db, files, settings.rules)
        self.settle = Settle(db, files, settings, Planner(settings), lambda _a, _b: False)
        self.worker = Worker(db, files, settings, Sessions(threads=1), "work-1")
        self.outbox = Outbox(db, files, settings, self.pacs.send, "deliver-1")
        self.overdue = Overdue(db, files, settings)

    def send(self) -> list[Dataset]:
        """What is offered now."""
        before = len(self.pacs.offered)
        while self.outbox.run_once("PACS"):
            pass
        return [self.object(uid) for uid in self.pacs.offered[before:]]

    def object(self, uid: str) -> Dataset:
        row = self.db.row("SELECT path FROM result WHERE sop_instance_uid = ?", uid)
        assert row is not None
        return dcmread(self.files.path(row["path"]))


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path, ct: Any, receive: Any) -> Callable[..., Node]:
    def make(*outputs: str) -> Node:
        it = Node(db, files, clock, tmp_path / "models", list(outputs or ("seg", "sr")))
        receive(it.intake, ct())
        clock.forward(6)
        assert it.settle.sweep()
        return it

    return make


def predecessor(report: Dataset) -> str:
    (study,) = report.PredecessorDocumentsSequence
    return str(study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def reports(sent: list[Dataset]) -> list[Dataset]:
    return [ds for ds in sent if ds.Modality == "SR"]


def test_a_missed_deadline_is_told_once_and_the_result_supersedes_it(node: Callable[..., Node]) -> None:
    it = node()
    it.clock.forward(59)
    assert it.overdue.sweep() == 0
    it.clock.forward(2)
    assert it.overdue.sweep() == 1 and it.overdue.sweep() == 0
    (notice,) = it.send()
    assert texts(notice)[0].startswith("Not analysed yet: the deadline of 60 s")
    assert any("announce no number" in text for text in texts(notice)), "and how complete the study was"
    assert it.worker.run_once()
    (report,) = reports(it.send())
    assert predecessor(report) == notice.SOPInstanceUID
    assert it.overdue.sweep() == 0
    told = it.db.rows("SELECT detail FROM event WHERE arrow = 'overdue'")
    assert len(told) == 1


def test_a_result_in_time_tells_of_no_deadline(node: Callable[..., Node]) -> None:
    it = node()
    assert it.worker.run_once()
    it.clock.forward(600)
    assert it.overdue.sweep() == 0
    (report,) = reports(it.send())
    assert "PredecessorDocumentsSequence" not in report


def test_a_notice_that_was_not_sent_gives_way_to_the_result(node: Callable[..., Node]) -> None:
    it = node()
    it.clock.forward(61)
    it.overdue.sweep()
    assert it.worker.run_once()
    sent = it.send()
    assert len(sent) == 2 and "PredecessorDocumentsSequence" not in reports(sent)[0]
    rows = it.db.rows("SELECT role, state, delivery.reason FROM delivery JOIN result USING (result_id) ORDER BY role")
    assert [tuple(row) for row in rows if row["role"] == "overdue"] == [("overdue", "cancelled", "the result is here")]


def test_a_deadline_that_passes_while_the_network_runs_is_named_by_the_result_all_the_same(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    notices: list[Dataset] = []

    def slow(*args: Any, **named: Any) -> Any:
        done = analyse(*args, **named)
        it.clock.forward(61)
        it.overdue.sweep()
        notices.extend(it.send())
        return done

    monkeypatch.setattr("dicomnode.flow.results.analyse", slow)
    assert it.worker.run_once()
    (report,) = reports(it.send())
    assert [predecessor(report)] == [str(one.SOPInstanceUID) for one in notices]


def test_a_late_refusal_supersedes_the_notice_too(node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> None:
    it = node("seg", "sr", "picture")
    it.clock.forward(61)
    it.overdue.sweep()
    first = it.send()
    assert sorted(ds.Modality for ds in first) == ["OT", "SR"]
    monkeypatch.setattr("dicomnode.flow.results.analyse", lambda *_args, **_named: 1 / 0)
    for _ in range(3):
        it.worker.run_once()
        it.clock.forward(11)
    second = it.send()
    assert sorted(ds.Modality for ds in second) == ["OT", "SR"]
    assert predecessor(reports(second)[0]) == reports(first)[0].SOPInstanceUID
    retry(it.db, it.files, "1.2.3")
    it.clock.forward(600)
    assert it.overdue.sweep() == 0, "whoever asks for another try knows that it is late"


@pytest.mark.parametrize("moment", ["overdue.before_commit", "overdue.after_commit"])
def test_a_crash_in_the_middle_neither_loses_nor_doubles_the_notice(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    it = node()
    it.clock.forward(61)

    def crash(name: str) -> None:
        if name == moment:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.flow.overdue.failpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            it.overdue.sweep()
    it.overdue.sweep()
    assert len(it.send()) == 1


def test_a_study_that_is_receiving_again_or_held_is_not_told_of(node: Callable[..., Node]) -> None:
    it = node()
    it.clock.forward(61)
    it.db.execute("UPDATE study SET held = 'two objects of one UID'")
    assert it.overdue.sweep() == 0
    it.db.execute("UPDATE study SET held = '', state = 'receiving'")
    assert it.overdue.sweep() == 0


def test_a_job_that_cannot_be_told_of_does_not_keep_the_others_waiting(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct(study="1.2.5"))
    it.clock.forward(6)
    assert it.settle.sweep()
    write = refusal.write

    def odd(datasets: Any, *args: Any, **named: Any) -> Dataset:
        if datasets[0].StudyInstanceUID == "1.2.3":
            raise RuntimeError("DONT^LOGME")
        return write(datasets, *args, **named)

    monkeypatch.setattr("dicomnode.report.refusal.write", odd)
    it.clock.forward(61)
    assert it.overdue.sweep() == 2 and it.overdue.sweep() == 0
    assert [str(ds.StudyInstanceUID) for ds in it.send()] == ["1.2.5"]
    rows = it.db.rows("SELECT study_instance_uid, detail FROM event WHERE arrow = 'overdue' ORDER BY event_id")
    told = {row["study_instance_uid"]: row["detail"] for row in rows}
    assert "and no report could be written: RuntimeError in " in told["1.2.3"] and "DONT" not in told["1.2.3"]
    assert "no report" not in told["1.2.5"]


def test_a_missed_deadline_is_told_from_the_books_where_no_file_can_be_read(node: Callable[..., Node]) -> None:
    it = node()
    for row in it.db.rows("SELECT path FROM instance"):
        it.files.path(row["path"]).unlink()
    it.clock.forward(61)
    assert it.overdue.sweep() == 1
    (notice,) = it.send()
    assert (notice.PatientID, str(notice.PatientName), notice.StudyInstanceUID) == ("P1", "DONT^LOGME", "1.2.3")


def test_a_notice_that_was_on_its_way_when_the_result_came_goes_on_before_it(node: Callable[..., Node]) -> None:
    it = node()
    it.clock.forward(61)
    it.overdue.sweep()

    def send(_peer: Peer, _batch: Sequence[Delivery]) -> Generator[Receipt]:
        assert it.worker.run_once()
        yield from ()
        raise PeerUnreachable("the association ended")

    it.outbox._send = send
    it.outbox.run_once("PACS")
    it.outbox._send = it.pacs.send
    it.clock.forward(600)
    notice, *results = it.send()
    assert texts(notice)[0].startswith("Not analysed yet") and len(results) == 2
    assert predecessor(reports(results)[0]) == notice.SOPInstanceUID
