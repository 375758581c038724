"""An operator takes results back: once, wherever they were sent, in the form that each destination understands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import parse
from dicomnode.domain.errors import DicomNodeError
from dicomnode.flow.intake import Intake
from dicomnode.flow.operate import rerun, retry
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.plan import Planner
from dicomnode.flow.retract import retract
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.owing import PEER, Answers
from tests.toy import write_bundle

KOS, ENHANCED_SR, SC = "1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.7"
WHY = "the sides are exchanged"


class Node:
    """A node whose study is analysed and whose results wait for PACS, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, folder: Path, **peer: Any) -> None:
        write_bundle(folder)
        rule = {"name": "r", "model": "toy", "outputs": ["seg", "sr", "picture"], "series": {"Modality": "CT"}}
        self.db, self.files, self.clock = db, files, clock
        self.settings = parse({"models": {"folder": str(folder)}, "peer": [{**PEER, **peer}], "rule": [rule]})
        self.pacs = Answers()
        self.intake = Intake(db, files, self.settings.rules)
        self.settle = Settle(db, files, self.settings, Planner(self.settings), lambda _a, _b: False)
        self.worker = Worker(db, files, self.settings, Sessions(threads=1), "work-1")
        self.outbox = Outbox(db, files, self.settings, self.pacs.send, "deliver-1")

    def analyse(self) -> None:
        self.clock.forward(6)
        assert self.settle.sweep() and self.worker.run_once()

    def send(self) -> list[str]:
        """What is offered now."""
        before = len(self.pacs.offered)
        while self.outbox.run_once("PACS"):
            pass
        return self.pacs.offered[before:]

    def retract(self, reason: str = WHY, code: str = "quality") -> str:
        return retract(self.db, self.files, self.settings, "1.2.3", reason, code)

    def object(self, uid: str) -> Dataset:
        row = self.db.row("SELECT path FROM result WHERE sop_instance_uid = ?", uid)
        assert row is not None
        return dcmread(self.files.path(row["path"]))

    def story(self) -> list[tuple[str, str]]:
        return [(row["arrow"], row["detail"]) for row in self.db.rows("SELECT * FROM event ORDER BY event_id")]


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path, ct: Any, receive: Any) -> Callable[..., Node]:
    def make(**peer: Any) -> Node:
        it = Node(db, files, clock, tmp_path / "models", **peer)
        receive(it.intake, ct())
        it.analyse()
        return it

    return make


def rejected(note: Dataset) -> set[str]:
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    return {
        str(one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }


def test_an_archive_that_knows_rejection_notes_gets_one_that_names_what_it_has(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    sent = it.send()
    assert it.retract(code="safety").startswith("study 1.2.3: 2 objects are taken back from PACS")
    (uid,) = it.send()
    note = it.object(uid)
    assert (note.SOPClassUID, note.ConceptNameCodeSequence[0].CodeValue) == (KOS, "113037")
    assert rejected(note) == set(sent)
    assert ("retracted", f"Rejected for Patient Safety Reasons: {WHY}; 2 objects at destinations") in it.story()


def test_another_gets_a_report_and_a_picture_marked_withdrawn(node: Callable[..., Node]) -> None:
    it = node()
    sent = it.send()
    it.retract()
    report, picture = sorted((it.object(uid) for uid in it.send()), key=lambda ds: str(ds.Modality), reverse=True)
    assert (report.SOPClassUID, picture.SOPClassUID) == (ENHANCED_SR, SC)
    assert rejected(report) == set(sent)
    assert (
        report.PredecessorDocumentsSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedSOPInstanceUID
        in sent
    )
    assert picture.ImageComments == "WITHDRAWN"


def test_an_archive_that_refuses_the_note_is_told_in_words(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    it.send()
    it.retract()
    row = it.db.row("SELECT sop_instance_uid FROM result WHERE kind = 'rejection'")
    assert row is not None
    it.pacs.answers[row["sop_instance_uid"]] = 0x0122
    offered = [it.object(uid).SOPClassUID for uid in it.send()]
    assert offered[0] == KOS and set(offered[1:]) == {ENHANCED_SR, SC}


def test_what_was_not_sent_is_cancelled_and_nothing_is_taken_back(node: Callable[..., Node]) -> None:
    it = node()
    assert "nothing to take back; 0 jobs and 2 deliveries cancelled" in it.retract()
    assert it.send() == []
    retry(it.db, it.files, "1.2.3")
    assert it.send() == []


def test_the_same_command_twice_does_nothing_new(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    it.send()
    it.retract()
    rows = it.db.rows("SELECT COUNT(*) FROM result")[0][0]
    assert "nothing to take back" in it.retract("again")
    assert len(it.send()) == 1 and it.db.rows("SELECT COUNT(*) FROM result")[0][0] == rows
    assert [arrow for arrow, _ in it.story()].count("retracted") == 1


def test_a_new_analysis_after_it_is_a_result_again_and_can_be_taken_back_too(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    it.send()
    it.retract()
    it.send()
    rerun(it.db, it.files, "1.2.3")
    it.analyse()
    anew = it.send()
    assert len(anew) == 2
    it.retract("worse")
    (uid,) = it.send()
    assert rejected(it.object(uid)) == set(anew)


def test_an_object_that_was_being_sent_is_taken_back_and_not_tried_again(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    seg = it.db.rows("SELECT sop_instance_uid FROM result WHERE role = 'seg'")[0][0]
    it.pacs.dies_after = seg
    with pytest.raises(KeyboardInterrupt):
        it.outbox.run_once("PACS")
    it.pacs.dies_after = ""
    it.retract()
    (uid,) = it.send()
    assert seg in rejected(it.object(uid)), "it may be there"
    assert it.pacs.offered == [seg, uid]


def test_a_job_that_runs_while_its_study_is_retracted_commits_nothing(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node(rejection_notes=True)
    it.send()
    rerun(it.db, it.files, "1.2.3")
    it.clock.forward(6)
    assert it.settle.sweep()
    finish = it.worker._jobs.finish

    def late(*args: Any) -> None:
        monkeypatch.undo()
        # Another process has done so between the end of the analysis and its commit.
        it.db.execute("COMMIT")
        it.retract()
        it.db.execute("BEGIN IMMEDIATE")
        finish(*args)

    monkeypatch.setattr(it.worker._jobs, "finish", late)
    assert it.worker.run_once()
    assert it.db.rows("SELECT state FROM job ORDER BY job_id DESC LIMIT 1")[0][0] == "cancelled"
    assert [it.object(uid).SOPClassUID for uid in it.send()] == [KOS]


def test_a_retraction_goes_out_although_the_study_is_held(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    it.send()
    it.db.execute("UPDATE study SET held = 'two objects of one UID'")
    it.retract()
    assert it.outbox.destinations() == ["PACS"] and len(it.send()) == 1


@pytest.mark.parametrize(
    ("reason", "code", "needed"), [(" ", "quality", "reason"), ("wrong", "nonsense", "quality, safety")]
)
def test_a_retraction_needs_a_reason_and_a_known_code(
    node: Callable[..., Node], reason: str, code: str, needed: str
) -> None:
    with pytest.raises(DicomNodeError, match=needed):
        node().retract(reason, code)
