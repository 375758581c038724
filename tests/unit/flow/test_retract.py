"""An operator takes results back: once, wherever they were sent, in the form that each destination understands."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import parse
from dicomnode.domain.errors import DicomNodeError, NoAssociation, PeerUnreachable
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.intake import Intake
from dicomnode.flow.operate import cancel, rerun, retry
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.plan import Planner
from dicomnode.flow.retract import retract
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.node.recover import sweep
from dicomnode.store.database import Database
from dicomnode.store.deliveries import Deliveries
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from tests.conftest import Hands
from tests.owing import PEER, Answers
from tests.toy import write_bundle
from tests.unit.report.reading import texts

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


def cut_off(node: Node, error: type[PeerUnreachable]) -> list[str]:
    """PACS is sent the first object, and the association ends before it answers; what was offered."""
    offered: list[str] = []

    def send(_peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        offered.append(batch[0].sop_instance_uid)
        yield from ()
        raise error("the association ended")

    node.outbox._send = send
    assert node.outbox.run_once("PACS")
    node.outbox._send = node.pacs.send
    return offered


def test_an_object_whose_answer_was_lost_is_taken_back_and_what_came_after_it_is_not(
    node: Callable[..., Node],
) -> None:
    it = node(rejection_notes=True)
    (seg,) = cut_off(it, PeerUnreachable)
    assert it.retract() == "study 1.2.3: 1 objects are taken back from PACS; 0 jobs, 2 deliveries cancelled"
    it.clock.forward(3600)
    (uid,) = it.send()
    assert rejected(it.object(uid)) == {seg}
    assert "nothing to take back" in it.retract("again")


def test_what_a_peer_without_association_was_to_get_is_not_taken_back(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    cut_off(it, NoAssociation)
    assert "nothing to take back" in it.retract()
    it.clock.forward(3600)
    assert it.send() == []


def test_what_a_sender_that_died_was_sending_is_taken_back_after_its_claims_went_back(
    node: Callable[..., Node],
) -> None:
    it = node(rejection_notes=True)
    seg = it.db.rows("SELECT sop_instance_uid FROM result WHERE role = 'seg'")[0][0]
    it.pacs.dies_after = seg
    with pytest.raises(KeyboardInterrupt):
        it.outbox.run_once("PACS")
    it.pacs.dies_after = ""
    with it.db.transaction():
        Deliveries(it.db, it.files).hand_back("deliver-1", "process died", counts=True)
    it.retract()
    (uid,) = it.send()
    assert seg in rejected(it.object(uid))


def test_cancelling_does_not_stop_a_retraction(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    sent = it.send()
    it.retract()
    assert "0 jobs and 0 deliveries cancelled" in cancel(it.db, it.files, "1.2.3")
    (uid,) = it.send()
    assert rejected(it.object(uid)) == set(sent)


@pytest.mark.parametrize(("lost", "notes"), [("one", True), ("all", False), ("inputs too", True)])
def test_results_whose_files_are_lost_are_taken_back_by_what_the_books_say(
    node: Callable[..., Node], lost: str, notes: bool
) -> None:
    it = node(rejection_notes=notes)
    sent = it.send()
    for row in it.db.rows("SELECT path FROM result" + (" WHERE role = 'seg'" if lost == "one" else "")):
        it.files.path(row["path"]).unlink()
    if lost == "inputs too":
        for row in it.db.rows("SELECT path FROM instance"):
            it.files.path(row["path"]).unlink()
    assert it.retract().startswith("study 1.2.3: 2 objects are taken back from PACS")
    told = [it.object(uid) for uid in it.send()]
    assert len(told) == (1 if notes else 2)
    assert all(
        (ds.PatientID, str(ds.PatientName), ds.StudyInstanceUID, ds.AccessionNumber)
        == ("P1", "DONT^LOGME", "1.2.3", "A1")
        for ds in told
    )
    (named,) = [ds for ds in told if ds.SOPClassUID in (KOS, ENHANCED_SR)]
    assert rejected(named) == set(sent)
    if not notes:
        (line,) = [text for text in texts(named) if "Segmentation Storage" in text]
        assert " of 2026-" in line and line.startswith("Withdrawn: ")


def test_a_study_that_is_receiving_when_it_is_retracted_is_not_analysed_again_unasked(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node(rejection_notes=True)
    it.send()
    receive(it.intake, ct(range(10, 11)))
    assert "the study is receiving: when it settles, what was analysed before is not analysed again" in it.retract()
    assert [it.object(uid).SOPClassUID for uid in it.send()] == [KOS]
    it.analyse()
    told = [it.object(uid) for uid in it.send()]
    assert {str(ds.SOPClassUID) for ds in told} == {ENHANCED_SR, SC}
    (report,) = [ds for ds in told if ds.SOPClassUID == ENHANCED_SR]
    assert WHY in texts(report)[0] and texts(report)[0].startswith("Not analysed: an operator took the results")
    rerun(it.db, it.files, "1.2.3")
    it.analyse()
    assert len(it.send()) == 2, "who asks for it gets a result"
    receive(it.intake, ct(range(11, 12)))
    it.analyse()
    assert len(it.send()) == 2, "and from then on a late slice counts as ever"


def test_what_was_taken_back_is_told_of_once_however_often_its_study_settles(node: Callable[..., Node]) -> None:
    it = node(rejection_notes=True)
    it.send()
    it.retract()
    it.send()
    it.db.execute("UPDATE study SET state = 'receiving', revision = revision + 1")
    it.clock.forward(6)
    assert it.settle.sweep() and not it.worker.run_once() and it.send() == []


def test_a_study_that_was_never_analysed_is_analysed_after_a_retraction_and_the_answer_says_so(
    db: Database, files: Files, clock: Hands, tmp_path: Path, ct: Any, receive: Any
) -> None:
    it = Node(db, files, clock, tmp_path / "models")
    receive(it.intake, ct())
    answer = it.retract()
    assert "nothing to take back" in answer and answer.endswith("what never was is analysed")
    it.analyse()
    assert len(it.send()) == 2


def test_files_of_notices_that_no_row_names_are_swept_once_they_have_lain_for_a_while(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    it.send()

    def crash(name: str) -> None:
        if name == "retract.before_commit":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.flow.retract.failpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            it.retract()
    it.clock.forward(5)
    it.retract()
    notices = set((it.files.folder / "notices").glob("*/*"))
    named = {it.files.path(path) for path in Jobs(it.db, it.files).files("1.2.3")}
    assert len(notices) == 6 and len(notices & named) == 3
    sweep(it.db, it.files, ["work"], 0.0)
    assert {path for path in notices if path.exists()} == notices, "another process may be about to commit them"
    for path in notices:
        os.utime(path, (0, 0))
    sweep(it.db, it.files, ["work"], 0.0)
    assert {path for path in notices if path.exists()} == notices & named
