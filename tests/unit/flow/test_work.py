"""Jobs end in results or in one report that says why not, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import OutOfResources, PeerUnreachable
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.intake import Intake
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.plan import Planner
from dicomnode.flow.reason import NO_MEMORY
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from tests.conftest import Hands
from tests.toy import network, write_bundle

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"


class Node:
    """All four loops on one store, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, settings: Settings) -> None:
        self.db, self.files, self.clock, self.settings = db, files, clock, settings
        self.intake = Intake(db, files, settings.rules)
        self.settle = Settle(db, files, settings, Planner(settings), lambda _a, _b: False)
        self.worker = Worker(db, files, settings, Sessions(threads=1), "work-1")

    def settled(self) -> None:
        self.clock.forward(6)
        assert self.settle.sweep()

    def job(self) -> dict[str, Any]:
        row = self.db.row("SELECT * FROM job ORDER BY job_id DESC LIMIT 1")
        assert row is not None
        return dict(row)

    def results(self) -> dict[str, Dataset]:
        rows = self.db.rows("SELECT role, path FROM result ORDER BY result_id")
        return {row["role"]: dcmread(self.files.path(row["path"])) for row in rows}

    def work_until_idle(self) -> None:
        for _ in range(20):
            if not self.worker.run_once():
                return
            self.clock.forward(11)
        raise AssertionError("the worker never came to rest")


def forms(role: str) -> set[str]:
    """A report, and the same report as the older SOP classes."""
    return {role, f"{role}-comprehensive", f"{role}-enhanced"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, models: Path) -> Callable[..., Node]:
    def make(outputs: tuple[str, ...] = ("seg", "sr"), content: bytes | None = None) -> Node:
        if not models.exists():
            write_bundle(models, content)
        document: dict[str, Any] = {
            "models": {"folder": str(models)},
            "peer": [PEER],
            "rule": [{"name": "r", "model": "toy", "outputs": list(outputs), "series": {"Modality": "CT"}}],
        }
        return Node(db, files, clock, parse(document))

    return make


def test_a_job_ends_in_result_files_and_the_deliveries_owed_for_them(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()
    assert it.worker.run_once()
    job, results = it.job(), it.results()
    assert job["state"] == "done" and set(results) == {"seg", *forms("sr"), *forms("sr-without-seg")}
    assert int(results["seg"].pixel_array.sum()) == 4 * 10 * 10
    states = it.db.rows("SELECT destination, state FROM delivery")
    assert [tuple(row) for row in states] == [("PACS", "waiting"), ("PACS", "waiting")]
    assert not it.worker.run_once()


def test_radiomics_come_in_a_report_of_their_own_where_the_rule_asks(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node(outputs=("seg", "sr", "radiomics"))
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    companies = ("sr", "sr-with-seg", "sr-with-radiomics", "sr-without-seg", "radiomics", "radiomics-without-seg")
    reports = {role for company in companies for role in forms(company)}
    assert set(it.results()) == {"seg", *reports}


def test_every_kind_of_output_is_made_where_the_rule_asks(node: Callable[..., Node], ct: Any, receive: Any) -> None:
    it = node(outputs=("seg", "sr", "rtstruct", "picture", "pdf"))
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    results = it.results()
    assert it.job()["state"] == "done", it.job()["reason"]
    companies = ("sr", "sr-with-seg-rtstruct-pdf", "sr-with-seg", "sr-without-seg")
    reports = {role for company in companies for role in forms(company)}
    assert set(results) - reports == {"seg", "rtstruct", "picture-1", "picture-2", "pdf"}
    owed = it.db.rows("SELECT role FROM delivery JOIN result USING (result_id) ORDER BY delivery_id")
    assert [row["role"] for row in owed] == ["seg", "rtstruct", "pdf", "sr-with-seg-rtstruct-pdf"], (
        "pictures wait for a refusal of the SEG"
    )
    assert len({ds.SOPInstanceUID for ds in results.values()}) == len(results)


def test_a_report_as_an_older_class_differs_in_its_class_and_its_name_alone(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    results = it.results()
    for role in ("sr", "sr-without-seg"):
        for name, sop_class in (("comprehensive", "1.2.840.10008.5.1.4.1.1.88.33"), ("enhanced", ENHANCED_SR)):
            older = results[f"{role}-{name}"]
            assert older.SOPClassUID == older.file_meta.MediaStorageSOPClassUID == sop_class
            assert older.SOPInstanceUID == older.file_meta.MediaStorageSOPInstanceUID
            changed = [one.keyword for one in older if one != results[role][one.tag]]
            assert changed == ["SOPClassUID", "SOPInstanceUID"]


def test_a_rule_that_makes_pictures_shows_a_refusal_as_picture_too(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node(outputs=("seg", "picture"))
    receive(it.intake, ct(range(3)))
    it.settled()
    it.work_until_idle()
    assert it.job()["state"] == "failed" and set(it.results()) == {"refusal", "refusal-picture"}


def test_a_repeated_job_makes_the_same_uids(node: Callable[..., Node], ct: Any, receive: Any) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()
    it.worker.run_once()
    first = {role: ds.SOPInstanceUID for role, ds in it.results().items()}
    it.db.execute("DELETE FROM delivery")
    it.db.execute("DELETE FROM result")
    for state in ("'failed'", "'waiting'"):
        it.db.execute("DROP TRIGGER IF EXISTS job_guard")
        it.db.execute(f"UPDATE job SET state = {state}")
    it.clock.forward(60)
    it.worker.run_once()
    assert {role: ds.SOPInstanceUID for role, ds in it.results().items()} == first


def test_a_second_report_names_the_first(node: Callable[..., Node], ct: Any, receive: Any) -> None:
    it = node()
    receive(it.intake, ct(range(9)))
    it.settled()
    it.worker.run_once()
    first = it.results()["sr"].SOPInstanceUID
    Outbox(it.db, it.files, it.settings, Pacs().send, "deliver-1").run_once("PACS")
    receive(it.intake, ct(range(9, 10)))
    it.settled()
    it.worker.run_once()
    second = it.results()["sr"]
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert second.SOPInstanceUID != first and named.ReferencedSOPInstanceUID == first


@pytest.mark.parametrize("slices", [range(2), range(3)])
def test_a_series_that_does_not_fit_gives_one_report_that_says_why(
    node: Callable[..., Node], ct: Any, receive: Any, slices: range
) -> None:
    it = node()
    receive(it.intake, ct(slices))
    it.settled()
    it.work_until_idle()
    job, results = it.job(), it.results()
    assert job["state"] == "failed" and job["reason"].startswith("not analysed: ") and job["attempts"] == 1
    assert set(results) == {"refusal"} and results["refusal"].SOPClassUID == ENHANCED_SR
    assert [row["state"] for row in it.db.rows("SELECT state FROM delivery")] == ["waiting"]


def test_a_model_whose_hash_differs_refuses_after_its_attempts(
    node: Callable[..., Node], ct: Any, receive: Any, models: Path
) -> None:
    it = node()
    (models / "toy" / "model.onnx").write_bytes(network(500.0))
    receive(it.intake, ct())
    it.settled()
    it.work_until_idle()
    assert it.job()["attempts"] == it.settings.work.max_attempts
    assert "SHA-256" in it.job()["reason"] or "hash" in it.job()["reason"]
    assert set(it.results()) == {"refusal"}


def test_a_model_that_vanished_is_named_in_the_refusal(
    node: Callable[..., Node], ct: Any, receive: Any, models: Path
) -> None:
    it = node()
    receive(it.intake, ct())
    (models / "toy" / "model.toml").unlink()
    it.settled()
    it.work_until_idle()
    assert set(it.results()) == {"refusal"} and "toy" in it.job()["reason"]


def test_a_model_changed_after_settling_is_not_run_under_the_old_uids(
    node: Callable[..., Node], ct: Any, receive: Any, models: Path
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()
    path = models / "toy" / "model.toml"
    path.write_text(path.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    it.work_until_idle()
    assert it.job()["state"] == "cancelled" and "was changed since this job was made" in it.job()["reason"]
    it.settled()
    it.work_until_idle()
    assert it.job()["state"] == "done" and it.job()["job_id"] == 2


def test_a_listener_and_a_worker_that_disagree_about_a_rule_end_in_a_refusal_not_in_a_loop(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node()
    stale = it.settings.rules[0]
    edited = replace(stale, outputs=("seg",))
    settings = it.settings.model_copy(update={"rules": (edited,)})
    it.worker = Worker(it.db, it.files, settings, Sessions(threads=1), "work-restarted-after-an-edit")
    receive(it.intake, ct())
    for _ in range(20):
        it.clock.forward(6)
        it.settle.sweep()
        it.worker.run_once()
        if it.job()["state"] == "failed":
            break
    assert it.job()["run"] == 6 and "again and again" in it.job()["reason"]
    assert set(it.results()) == {"refusal"}


def test_an_unforeseen_failure_is_tried_again_and_told_in_the_end(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def broken(*_args: Any, **_named: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("dicomnode.flow.results.analyse", broken)
    it.work_until_idle()
    assert it.job()["attempts"] == 3 and it.job()["state"] == "failed"
    assert "ZeroDivisionError in " in it.job()["reason"] and set(it.results()) == {"refusal"}
    assert "a bug" not in it.job()["reason"], "the words may quote a value of a patient"


def test_an_analysis_that_does_not_fit_into_memory_is_refused_at_once_in_a_sentence(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def huge(*_args: Any, **_named: Any) -> Any:
        return np.empty((1 << 40, 1 << 10))

    monkeypatch.setattr("dicomnode.flow.results.analyse", huge)
    it.work_until_idle()
    assert it.job()["attempts"] == 1 and it.job()["reason"] == f"not analysed: {NO_MEMORY}"
    report = it.results()["refusal"].to_json()
    assert NO_MEMORY in report and "Unable to allocate" not in report


def test_a_job_that_kills_its_process_runs_out_of_attempts_and_is_told(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def killed(*_args: Any, **_named: Any) -> Any:
        raise SystemExit  # leaves the loop as a kill would: without a verdict

    with monkeypatch.context() as patch:
        patch.setattr("dicomnode.flow.results.analyse", killed)
        for death in range(3):
            with pytest.raises(SystemExit):
                it.worker.run_once()
            it.clock.forward(61)
            it.worker = Worker(it.db, it.files, it.settings, Sessions(threads=1), f"work-after-{death}")
    it.work_until_idle()
    assert "ended without a result 3 times" in it.job()["reason"] and set(it.results()) == {"refusal"}


def test_a_full_disk_puts_the_job_off_without_using_up_its_attempts(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def full(*_args: Any, **_named: Any) -> Any:
        raise OutOfResources("store: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Files, "keep_result", full)
        for _ in range(5):
            assert it.worker.run_once()
            it.clock.forward(11)
    assert it.job()["state"] == "waiting" and it.job()["attempts"] == 0
    it.work_until_idle()
    assert it.job()["state"] == "done"


def test_a_study_that_grows_while_its_job_runs_fences_the_commit(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct(range(9)))
    it.settled()
    keep = Files.keep_result

    def late(self: Files, *args: Any) -> Any:
        monkeypatch.setattr(Files, "keep_result", keep)
        receive(it.intake, ct(range(9, 10)))
        it.settled()
        return keep(self, *args)

    monkeypatch.setattr(Files, "keep_result", late)
    it.work_until_idle()
    states = [(row["revision"], row["state"]) for row in it.db.rows("SELECT * FROM job ORDER BY job_id")]
    assert states == [(1, "cancelled"), (2, "done")]
    assert len(it.db.rows("SELECT * FROM delivery")) == 2


def test_a_verdict_that_could_not_be_written_frees_the_job_as_soon_as_there_is_room(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def full(*_args: Any, **_named: Any) -> Any:
        raise OutOfResources("database: SQLITE_FULL")

    with monkeypatch.context() as patch:
        patch.setattr(Jobs, "finish", full)
        patch.setattr(Jobs, "put_off", full)
        assert not it.worker.run_once()
    assert it.job()["state"] == "running"
    it.work_until_idle()
    assert it.job()["state"] == "done" and it.job()["attempts"] == 1


def test_a_refusal_that_cannot_be_written_still_ends_the_job(
    node: Callable[..., Node], ct: Any, receive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()

    def broken(*_args: Any, **_named: Any) -> Any:
        raise NotImplementedError("unknown VR")

    monkeypatch.setattr("dicomnode.flow.results.analyse", broken)
    monkeypatch.setattr("dicomnode.flow.encode.refusal.write", broken)
    it.work_until_idle()
    assert it.job()["state"] == "failed" and "no report could be written" in it.job()["reason"]


@pytest.mark.parametrize("outputs", [("seg",), ("radiomics",)])
def test_an_empty_mask_never_ends_in_silence(
    node: Callable[..., Node], ct: Any, receive: Any, outputs: tuple[str, ...]
) -> None:
    it = node(outputs=outputs)
    receive(it.intake, ct(dense=False))
    it.settled()
    it.work_until_idle()
    assert set(it.results()) == forms("sr")


def test_an_empty_mask_sends_no_seg_but_a_report(node: Callable[..., Node], ct: Any, receive: Any) -> None:
    it = node()
    receive(it.intake, ct(dense=False))
    it.settled()
    it.work_until_idle()
    assert it.job()["state"] == "done", it.job()["reason"]
    assert set(it.results()) == forms("sr")


class Pacs:
    """Answers the outbox as told."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.answer: Callable[[Delivery], Receipt] = lambda one: receipt(one, stored=True)
        self.down = False

    def send(self, _peer: Any, batch: Any) -> Any:
        if self.down:
            raise PeerUnreachable("connection refused")
        for delivery in batch:
            self.offered.append(delivery.sop_instance_uid)
            yield self.answer(delivery)


def receipt(delivery: Delivery, *, stored: bool, final: bool = True) -> Receipt:
    text = "0000 Success" if stored else "A700 Out of resources"
    return Receipt(sop_instance_uid=delivery.sop_instance_uid, status=0, stored=stored, final=final, text=text)


@pytest.fixture
def owing(node: Callable[..., Node], ct: Any, receive: Any) -> tuple[Node, Pacs, Outbox]:
    """A node that owes the PACS a SEG and an SR."""
    it = node()
    receive(it.intake, ct())
    it.settled()
    it.worker.run_once()
    pacs = Pacs()
    return it, pacs, Outbox(it.db, it.files, it.settings, pacs.send, "deliver-1")


def delivery_states(it: Node) -> list[str]:
    return [row["state"] for row in it.db.rows("SELECT state FROM delivery ORDER BY delivery_id")]


def test_results_are_sent_seg_first_and_once(owing: tuple[Node, Pacs, Outbox]) -> None:
    it, pacs, outbox = owing
    assert outbox.run_once("PACS") and not outbox.run_once("PACS")
    results = it.results()
    assert pacs.offered == [results["seg"].SOPInstanceUID, results["sr"].SOPInstanceUID]
    assert delivery_states(it) == ["done", "done"]


def test_a_pacs_that_is_down_for_days_gets_its_results_in_the_end(owing: tuple[Node, Pacs, Outbox]) -> None:
    it, pacs, outbox = owing
    pacs.down = True
    for _ in range(200):
        for destination in outbox.destinations():
            outbox.run_once(destination)
        it.clock.forward(900)
    assert delivery_states(it) == ["waiting", "waiting"]
    assert outbox.run_once("PACS")
    assert not outbox.run_once("PACS"), "a peer in back-off is left alone whoever asks"
    it.clock.forward(900)
    pacs.down = False
    for destination in outbox.destinations():
        outbox.run_once(destination)
    assert delivery_states(it) == ["done", "done"]


def test_a_busy_pacs_is_asked_again_later_and_the_report_waits_for_the_seg(
    owing: tuple[Node, Pacs, Outbox],
) -> None:
    it, pacs, outbox = owing
    pacs.answer = lambda one: receipt(one, stored=False, final=False)
    outbox.run_once("PACS")
    assert len(pacs.offered) == 1 and delivery_states(it) == ["waiting", "waiting"]
    assert outbox.destinations() == []
    it.clock.forward(6)
    pacs.answer = lambda one: receipt(one, stored=True)
    assert outbox.destinations() == ["PACS"]
    outbox.run_once("PACS")
    assert delivery_states(it) == ["done", "done"]


def test_a_refused_seg_is_final_and_a_report_goes_out_that_does_not_refer_to_it(
    owing: tuple[Node, Pacs, Outbox],
) -> None:
    it, pacs, outbox = owing
    results = it.results()
    pacs.answer = lambda one: receipt(one, stored=one.sop_instance_uid != results["seg"].SOPInstanceUID)
    while outbox.run_once("PACS"):
        pass
    alone = results["sr-without-seg"]
    assert pacs.offered == [results["seg"].SOPInstanceUID, alone.SOPInstanceUID]
    assert delivery_states(it) == ["failed", "done"]
    assert results["seg"].SOPInstanceUID not in str(alone)


def test_a_peer_that_left_the_configuration_fails_its_deliveries_visibly(owing: tuple[Node, Pacs, Outbox]) -> None:
    it, pacs, _ = owing
    outbox = Outbox(it.db, it.files, parse({}), pacs.send, "deliver-1")
    outbox.run_once("PACS")
    reasons = {row["reason"] for row in it.db.rows("SELECT reason FROM delivery")}
    assert reasons == {"no peer is named PACS in the configuration any more"}


@pytest.mark.parametrize(
    ("before", "element"),
    [
        (b"\x10\x00\x10\x00PN", b"\x08\x00\x32\x10SQ\0\0\x04\0\0\0\x01\x02\x03\x04"),
        (b"\x28\x00\x02\x00US", b"\x20\x00\x00\x40US\x01\x00A"),
    ],
    ids=["a procedure code cut short", "a comment of half a number"],
)
def test_an_attribute_that_nobody_needs_and_nobody_can_read_spoils_no_result(
    node: Callable[..., Node], ct: Any, receive: Any, before: bytes, element: bytes
) -> None:
    it = node()
    paths = ct()
    for path in paths:
        data = path.read_bytes()
        start = data.index(before)
        path.write_bytes(data[:start] + element + data[start:])
    receive(it.intake, paths)
    it.settled()
    it.work_until_idle()
    assert it.job()["state"] == "done" and {"seg", "sr"} <= {role.split("-")[0] for role in it.results()}


def test_a_reader_is_told_from_the_books_when_the_headers_are_of_no_use(
    node: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = node()
    receive(it.intake, ct())
    it.settled()
    for row in it.db.rows("SELECT path FROM instance"):
        it.files.path(row["path"]).unlink()
    it.work_until_idle()
    assert it.job()["state"] == "failed" and "no report" not in it.job()["reason"]
    (row,) = it.db.rows("SELECT path FROM result WHERE role = 'refusal'")
    told = dcmread(it.files.path(row["path"]))
    assert (told.PatientID, str(told.PatientName), told.AccessionNumber) == ("P1", "DONT^LOGME", "A1")
    (study,) = told.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 10


def test_objects_of_two_patients_in_one_study_are_told_to_nobody_but_the_operator(
    node: Callable[..., Node], ct: Any, receive: Any, clock: Hands
) -> None:
    it = node()
    paths = ct()
    other = dcmread(paths[0])
    other.PatientID = "P2"
    other.save_as(paths[0])
    receive(it.intake, paths)
    for _ in range(8):
        clock.forward(900)
        it.settle.sweep()
    it.work_until_idle()
    assert it.job()["state"] == "failed" and it.results() == {}
    assert "no report could be written: source of 10 headers: found 2 patients" in it.job()["reason"]
