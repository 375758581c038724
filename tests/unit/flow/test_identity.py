"""Results that have waited go to an archive only as the patient's that it has by now, once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import Settings, parse
from dicomnode.domain.errors import DeliveryError, NoAssociation, PeerUnreachable
from dicomnode.domain.identity import StudyIdentity
from dicomnode.domain.network import Peer
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow import operate
from dicomnode.flow.identity import ask as asking
from dicomnode.flow.intake import Intake
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.overdue import Overdue
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.toy import write_bundle

PEER = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}

#: What the images say; an archive that knows no better says the same.
SAID = {"PatientID": "P1", "PatientName": "DONT^LOGME", "PatientSex": "O", "AccessionNumber": "A1", "StudyID": "1"}
MOVED = {**SAID, "PatientID": "P2", "PatientName": "MOVED^ALSO", "PatientBirthDate": "19700101", "PatientSex": "F"}


class Archives:
    """Peers that take what they are sent, and say of the study what a test has them say."""

    def __init__(self) -> None:
        self.says: dict[str, list[dict[str, str]] | None] = {}
        self.away: set[str] = set()
        self.error: DeliveryError | None = None
        self.asked: list[str] = []
        self.taken: dict[str, list[Dataset]] = {"PACS": [], "OTHER": []}

    def send(self, peer: Peer, batch: Sequence[Delivery]) -> Generator[Receipt]:
        if peer.name in self.away:
            raise NoAssociation(f"{peer.name}: no TCP connection")
        for one in batch:
            self.taken[peer.name].append(dcmread(one.path))
            yield Receipt(sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=False, text="0000")

    def question(self, peer: Peer, _study_instance_uid: str) -> list[StudyIdentity] | None:
        if peer.name in self.away:
            raise NoAssociation(f"{peer.name}: no TCP connection")
        self.asked.append(peer.name)
        if self.error is not None:
            raise self.error
        answers = self.says.get(peer.name, [SAID])
        return None if answers is None else [StudyIdentity(values=one) for one in answers]

    def patients(self, name: str = "PACS") -> list[tuple[str, str]]:
        """Modality and Patient ID of everything that a peer has."""
        return [(str(one.Modality), str(one.PatientID)) for one in self.taken[name]]


class Node:
    """All four loops on one store, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, settings: Settings) -> None:
        self.db, self.files, self.clock, self.settings = db, files, clock, settings
        self.archives = Archives()
        self.intake = Intake(db, files, settings.rules)
        self.settle = Settle(db, files, settings, Planner(settings), lambda _a, _b: False)
        self.worker = Worker(db, files, settings, Sessions(threads=1), "work-1")

    def analysed(self) -> None:
        """The study settles, and its jobs are done."""
        self.clock.forward(61)
        assert self.settle.sweep()
        while self.worker.run_once():
            self.clock.forward(11)

    def deliver(self) -> None:
        """Send whatever may go, as a process that has just begun."""
        outbox = Outbox(
            self.db, self.files, self.settings, self.archives.send, "deliver-1", question=self.archives.question
        )
        for _ in range(50):
            if not sum(outbox.run_once(name) for name in outbox.destinations()):
                return
        raise AssertionError("the outbox never came to rest")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.db.rows(sql)]

    def jobs(self) -> list[tuple[int, str]]:
        return self.rows("SELECT run, state FROM job ORDER BY job_id")

    def story(self) -> list[tuple[str, str]]:
        return self.rows("SELECT arrow, detail FROM event WHERE entity = 'identity' ORDER BY event_id")

    def held(self) -> str:
        return str(self.rows("SELECT held FROM study")[0][0])


@pytest.fixture
def make(db: Database, files: Files, clock: Hands, tmp_path: Path, ct: Any, receive: Any) -> Callable[..., Node]:
    """Makes a node with results of one study that have waited for two hours."""

    def node(*peers: dict[str, Any], rule: dict[str, Any] | None = None, hours: float = 2, **tables: Any) -> Node:
        write_bundle(tmp_path / "models")
        entries = [{**PEER, **one} for one in peers or ({},)]
        rules = [
            {
                "name": "r",
                "model": "toy",
                "series": {"Modality": "CT"},
                "destinations": [one["name"] for one in entries],
            }
        ]
        document = {"models": {"folder": str(tmp_path / "models")}, "peer": entries, **tables}
        it = Node(db, files, clock, parse({**document, "rule": [{**rules[0], **(rule or {})}]}))
        receive(it.intake, ct())
        it.analysed()
        clock.forward(hours * 3600)
        return it

    return node


OTHER = {"name": "OTHER", "aet": "OTHER"}


def test_results_that_have_not_waited_go_unasked(make: Callable[..., Node]) -> None:
    it = make(hours=0.9)
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    assert it.archives.asked == [] and it.archives.patients() == [("SEG", "P1"), ("SR", "P1")]


def test_an_archive_that_agrees_gets_them_as_they_are(make: Callable[..., Node]) -> None:
    it = make()
    it.deliver()
    assert it.archives.asked == ["PACS"] and it.archives.patients() == [("SEG", "P1"), ("SR", "P1")]
    assert it.jobs() == [(1, "done")] and it.story() == []


@pytest.mark.parametrize(
    ("peer", "deliver"),
    [
        ({"identity": False}, {}),
        ({"role": "router"}, {}),
        ({"deidentify": []}, {}),
        ({}, {"ask_after_seconds": 0}),
    ],
)
def test_who_shall_not_be_asked_is_not(
    make: Callable[..., Node], peer: dict[str, Any], deliver: dict[str, Any]
) -> None:
    it = make(peer, deliver=deliver)
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    assert it.archives.asked == [] and len(it.archives.taken["PACS"]) == 2


def test_under_another_patient_they_are_held_made_again_and_sent_once(make: Callable[..., Node]) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    assert it.archives.taken["PACS"] == [] and it.jobs() == [(1, "done")]
    assert it.rows("SELECT DISTINCT state, reason FROM delivery") == [
        (
            "cancelled",
            "PACS says another PatientID, PatientName, PatientBirthDate, PatientSex of the study than its results do",
        )
    ]
    it.analysed()
    assert it.jobs() == [(1, "done"), (2, "done")]
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]
    for one in it.archives.taken["PACS"]:
        assert (one.PatientName, one.PatientBirthDate, one.PatientSex) == ("MOVED^ALSO", "19700101", "F")
        assert one.StudyInstanceUID == "1.2.3" and "LOGME" not in str(one)
    old = {uid for (uid,) in it.rows("SELECT sop_instance_uid FROM result JOIN job USING (job_id) WHERE run = 1")}
    assert old.isdisjoint(one.SOPInstanceUID for one in it.archives.taken["PACS"])
    it.clock.forward(7200)
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2
    ((arrow, detail),) = it.story()
    assert arrow == "changed" and detail.endswith("; 1 jobs are not sent and done again as it says")
    told = str(it.rows("SELECT * FROM event"))
    assert "P2" not in told and "MOVED" not in told and "LOGME" not in told


def test_what_was_sent_elsewhere_before_is_named_as_the_predecessor(make: Callable[..., Node]) -> None:
    it = make({}, OTHER, hours=0)
    it.archives.away = {"PACS"}
    it.deliver()
    (report,) = [one for one in it.archives.taken["OTHER"] if one.Modality == "SR"]
    it.archives.away, it.archives.says["PACS"] = set(), [MOVED]
    it.clock.forward(7200)
    it.deliver()
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]
    assert it.archives.patients("OTHER") == [("SEG", "P1"), ("SR", "P1"), ("SEG", "P2"), ("SR", "P2")]
    newer = it.archives.taken["PACS"][1]
    named = str(newer.get("PredecessorDocumentsSequence"))
    assert report.SOPInstanceUID in named


def test_an_archive_that_does_not_know_the_study_gets_them_and_that_is_told_once(make: Callable[..., Node]) -> None:
    it = make()
    it.archives.says["PACS"] = []
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2
    assert it.story() == [("not known there", "it does not have the study, and gets the results as they are")]


@pytest.mark.parametrize("error", [None, DeliveryError("PACS: C-FIND ended with A900 Identifier does not match")])
def test_an_archive_that_takes_no_queries_gets_them_and_that_is_told_once(
    make: Callable[..., Node], error: DeliveryError | None
) -> None:
    it = make()
    it.archives.says["PACS"], it.archives.error = None, error
    asked = asking.Identity(it.db, it.files, it.settings, it.archives.question)
    assert asked.agreed(1, it.settings.peers[0]) and asked.agreed(1, it.settings.peers[0])
    assert [arrow for arrow, _ in it.story()] == ["not asked"]
    assert len(it.archives.asked) == (1 if error is None else 2), "what may be otherwise the next time is asked again"
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2 and len(it.story()) == 1


def test_an_archive_that_does_not_answer_gets_nothing_yet(make: Callable[..., Node]) -> None:
    it = make()
    it.archives.error = PeerUnreachable("PACS: no answer within 60 s")
    it.deliver()
    assert it.archives.taken["PACS"] == [] and it.archives.asked == ["PACS"]
    assert it.rows("SELECT DISTINCT state, attempts, in_doubt FROM delivery") == [("waiting", 0, 0)]
    it.archives.error = None
    it.clock.forward(60)
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2


def test_what_changes_again_while_it_waits_again_is_made_again(make: Callable[..., Node]) -> None:
    it = make()
    for patient in ("P2", "P3", "P1"):
        it.archives.says["PACS"] = [{**SAID, "PatientID": patient}]
        it.deliver()
        it.analysed()
        it.clock.forward(7200)
    it.deliver()
    assert it.archives.patients() == [("SEG", "P1"), ("SR", "P1")], "changed back in the end"
    assert [run for run, _ in it.jobs()] == [1, 2, 3, 4]
    it.clock.forward(7200)
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2


def test_a_job_that_runs_meanwhile_does_not_commit_what_it_has_read(
    make: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = make()
    operate.rerun(it.db, it.files, "1.2.3")
    it.clock.forward(61)
    assert it.settle.sweep()
    it.clock.forward(7200)
    it.archives.says["PACS"] = [MOVED]
    results = it.worker._maker.results
    moved: list[int] = []

    def interrupted(job: Any) -> Any:
        made = results(job)
        if not moved:
            moved.append(job.job_id)
            it.deliver()
        return made

    monkeypatch.setattr(it.worker._maker, "results", interrupted)
    assert it.worker.run_once()
    assert it.jobs() == [(1, "done"), (2, "cancelled")]
    it.analysed()
    it.deliver()
    assert it.jobs() == [(1, "done"), (2, "cancelled"), (3, "done")]
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]


@pytest.mark.parametrize("place", ["identity.before_commit", "identity.after_commit", "write", "stop", "reopen"])
def test_a_node_that_dies_at_any_step_sends_them_once(
    make: Callable[..., Node], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]

    def die(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    def point(name: str) -> None:
        if name == place:
            die()

    with monkeypatch.context() as patch:
        patch.setattr(asking, "failpoint", point)
        for owner, name in (("Corrections", "write"), ("Outdated", "stop"), ("Studies", "reopen")):
            if name == place:
                patch.setattr(f"dicomnode.flow.identity.change.{owner}.{name}", die)
        with pytest.raises(KeyboardInterrupt):
            it.deliver()
    it.deliver()
    assert it.archives.taken["PACS"] == []
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]
    assert len(it.story()) == 1 and it.jobs() == [(1, "done"), (2, "done")]


def test_answers_that_contradict_each_other_are_for_an_operator(make: Callable[..., Node]) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED, {**MOVED, "PatientID": "P3"}]
    it.deliver()
    assert it.archives.taken["PACS"] == [] and it.held().startswith("PACS gives 2 answers about the study")
    it.archives.says["PACS"] = [SAID, MOVED]
    operate.retry(it.db, it.files, "1.2.3")
    it.deliver()
    assert it.archives.patients() == [("SEG", "P1"), ("SR", "P1")], "one of two entries is the one that they are for"


def test_archives_that_contradict_each_other_are_for_an_operator(make: Callable[..., Node]) -> None:
    it = make({}, OTHER)
    it.archives.away, it.archives.says["PACS"] = {"OTHER"}, [MOVED]
    it.deliver()
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]
    it.archives.away = set()
    it.clock.forward(7200)
    it.deliver()
    assert it.archives.taken["OTHER"] == []
    assert it.held().startswith("OTHER still has the PatientID, PatientName") and "PACS has corrected" in it.held()
    assert len(it.jobs()) == 2
    it.archives.says["OTHER"] = [MOVED]
    operate.retry(it.db, it.files, "1.2.3")
    it.deliver()
    assert it.archives.patients("OTHER") == [("SEG", "P2"), ("SR", "P2")] and len(it.archives.taken["PACS"]) == 2


def test_a_study_that_is_too_old_by_now_is_made_again_all_the_same(make: Callable[..., Node]) -> None:
    it = make(hours=24 * 40)
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]


def test_of_a_study_whose_images_were_removed_an_operator_is_told(make: Callable[..., Node]) -> None:
    it = make()
    it.db.execute("UPDATE instance SET purged_at = 'x', standing = 'replaced'")
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    assert it.archives.taken["PACS"] == [] and it.held().endswith("send the study again")


def test_the_archive_forwards_its_corrected_images_and_nothing_contradicts_them(
    make: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    first, *rest = [_as(path, MOVED) for path in ct()]
    receive(it.intake, [first])
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")], (
        "one of them has come, the others are said to follow"
    )
    receive(it.intake, rest)
    it.analysed()
    it.deliver()
    assert {patient for _, patient in it.archives.patients()} == {"P2"}


def test_images_that_come_back_as_they_were_overrule_what_the_archive_has_said(
    make: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    receive(it.intake, [_as(path, MOVED) for path in ct()])
    receive(it.intake, ct())
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P1"), ("SR", "P1")]


def test_a_late_slice_under_the_old_patient_is_taken_for_the_new_one(
    make: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    receive(it.intake, ct(range(10, 11)))
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]


def test_images_of_a_third_patient_that_came_later_are_not_taken_for_what_the_archive_has_said(
    make: Callable[..., Node], ct: Any, receive: Any
) -> None:
    it = make()
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    receive(it.intake, [_as(path, {"PatientID": "P3"}) for path in ct()])
    it.analysed()
    it.clock.forward(7200)
    it.deliver()
    assert it.archives.taken["PACS"] == [] and len(it.story()) == 2
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P2"), ("SR", "P2")]


def test_a_value_that_no_result_can_bear_is_no_reason_to_make_it_again(
    make: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = make()
    monkeypatch.setattr(asking, "_told_by", lambda _path: StudyIdentity(values={**SAID, "PatientSex": "F"}))
    it.deliver()
    assert len(it.archives.taken["PACS"]) == 2 and it.jobs() == [(1, "done")]


@pytest.mark.parametrize("lost", [False, True], ids=["images at hand", "images lost"])
def test_the_report_that_says_not_analysed_is_made_again_likewise(
    make: Callable[..., Node], tmp_path: Path, lost: bool
) -> None:
    it = make(rule={"model": "none"})
    assert it.jobs() == [(1, "failed")]
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    if lost:
        for (path,) in it.rows("SELECT path FROM instance"):
            it.files.path(path).unlink()
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SR", "P2")]


def test_a_notice_that_a_deadline_was_missed_says_whose_the_study_is_now(make: Callable[..., Node]) -> None:
    it = make(rule={"deadline_seconds": 60})
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    it.clock.forward(61)
    assert it.settle.sweep()
    it.clock.forward(61)
    assert Overdue(it.db, it.files, it.settings).sweep() == 1
    it.deliver()
    assert it.archives.patients() == [("SR", "P2")]


def test_what_an_archive_has_lost_does_not_come_back_as_the_old_patient(make: Callable[..., Node]) -> None:
    it = make()
    it.deliver()
    it.db.execute("UPDATE delivery SET state = 'waiting', reason = 'lost'")
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    it.analysed()
    it.deliver()
    assert it.archives.patients() == [("SEG", "P1"), ("SR", "P1"), ("SEG", "P2"), ("SR", "P2")]
    it.db.execute("UPDATE delivery SET state = 'waiting', reason = 'lost' WHERE state = 'done' AND job_id = 2")
    it.clock.forward(7200)
    it.deliver()
    assert it.archives.patients()[4:] == [("SEG", "P2"), ("SR", "P2")] and len(it.jobs()) == 2


def test_what_was_made_as_the_archive_says_is_not_made_again_beside_what_was_not(make: Callable[..., Node]) -> None:
    it = make()
    it.deliver()
    operate.rerun(it.db, it.files, "1.2.3")
    it.analysed()
    it.clock.forward(7200)
    it.archives.says["PACS"] = [MOVED]
    it.deliver()
    it.analysed()
    assert it.jobs() == [(1, "done"), (2, "done"), (3, "done")] and len(it.archives.taken["PACS"]) == 2
    it.db.execute("UPDATE delivery SET state = 'waiting', reason = 'lost' WHERE state = 'done'")
    it.clock.forward(7200)
    it.deliver()
    it.analysed()
    it.deliver()
    assert it.archives.patients()[2:] == [("SEG", "P2"), ("SR", "P2")]
    assert it.jobs() == [(1, "done"), (2, "done"), (3, "done")], "the newest run speaks for the study"


def _as(path: Path, values: dict[str, str]) -> Path:
    ds = dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return path
