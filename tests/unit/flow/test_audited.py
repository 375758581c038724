"""What the loops tell the audit trail."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from threading import Event as Flag
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset

from dicomnode.audit.cursor import Cursor
from dicomnode.audit.event import Source
from dicomnode.audit.file import Trail
from dicomnode.audit.message import this_process
from dicomnode.config import parse
from dicomnode.domain.commitment import Reference
from dicomnode.domain.errors import NoAssociation, OutOfResources, PeerUnreachable, Unsuitable
from dicomnode.domain.identity import StudyIdentity
from dicomnode.domain.network import Association, Peer, TurnedAway
from dicomnode.domain.study import Arrival
from dicomnode.domain.work import Delivery, Receipt
from dicomnode.flow.audited import trail as audit_trail
from dicomnode.flow.audited.archive import AuditedArchive, Came
from dicomnode.flow.audited.intake import AuditedIntake
from dicomnode.flow.audited.query import AuditedLine, audited_question
from dicomnode.flow.audited.read import shown, verified
from dicomnode.flow.audited.removal import tell_removals
from dicomnode.flow.audited.send import audited
from dicomnode.flow.audited.trail import open_trail, recorded, tell_act
from dicomnode.flow.audited.transfer import tell_interrupted
from dicomnode.flow.intake import Intake
from dicomnode.query.find import FoundStudy
from dicomnode.store.commitments import Wanted
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.scratch import Scratch
from dicomnode.store.untold import Untold
from tests.conftest import Hands, MakeArrival
from tests.unit.flow.estate import Estate

HERE = this_process(["DICOMNODE"])
PACS = Peer(name="PACS", aet="ORTHANC", host="10.0.0.5", port=104)
CT, SEG, SR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store" / "audit"


@pytest.fixture
def trail(folder: Path, clock: Hands) -> Trail:
    return Trail(folder, Source(id="N"), clock, sync=False)


def told(folder: Path) -> list[ElementTree.Element]:
    cursor, found = Cursor(folder), []
    while (line := cursor.next()) is not None:
        found.append(ElementTree.fromstring(line.message))
    return found


def kinds(folder: Path) -> list[str]:
    found = [one.find("EventIdentification/EventID") for one in told(folder)]
    return [one.get("csd-code", "") for one in found if one is not None]


def counts(message: ElementTree.Element) -> dict[str, str]:
    return {one.get("UID", ""): one.get("NumberOfInstances", "") for one in message.iter("SOPClass")}


# ---- what comes


@pytest.fixture
def intake(db: Database, files: Files, trail: Trail) -> AuditedIntake:
    return AuditedIntake(Intake(db, files, ()), trail, HERE)


def test_an_association_is_one_message_for_each_study_however_many_objects_it_brought(
    intake: AuditedIntake, make_arrival: MakeArrival, folder: Path
) -> None:
    arrivals = [
        make_arrival(number, study=f"1.{study}", series=f"1.{study}.4") for study in (1, 2) for number in range(4)
    ]
    intake.opened(arrivals[0].association)
    for arrival in arrivals:
        intake.accept(arrival)
    assert not folder.exists(), "nothing is written for each object"
    intake.closed(arrivals[0].association)
    assert kinds(folder) == ["110104", "110104"]
    assert [list(counts(message).values()) for message in told(folder)] == [["4"], ["4"]]


def test_what_is_refused_is_told_apart_from_what_is_taken(
    db: Database, files: Files, trail: Trail, make_arrival: MakeArrival, folder: Path
) -> None:
    class Full(Intake):
        def accept(self, arrival: Any) -> None:
            if arrival.sop_instance_uid.endswith("2"):
                raise OutOfResources("the disk is full")
            super().accept(arrival)

    it = AuditedIntake(Full(db, files, ()), trail, HERE)
    arrivals = [make_arrival(number) for number in (1, 2)]
    it.accept(arrivals[0])
    with pytest.raises(OutOfResources):
        it.accept(arrivals[1])
    it.closed(arrivals[0].association)
    outcomes = [one.find("EventIdentification") for one in told(folder)]
    assert [one.get("EventOutcomeIndicator") for one in outcomes if one is not None] == ["0", "4"]
    assert "refused with A700: the disk is full" in ElementTree.tostring(told(folder)[1], encoding="unicode")


def test_an_association_that_lasts_for_days_is_told_of_meanwhile(
    intake: AuditedIntake, make_arrival: MakeArrival, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.flow.audited.intake._TELL_SECONDS", 0.0)
    intake.accept(make_arrival(1))
    assert kinds(folder) == ["110104"]


def test_who_is_not_let_in_is_an_alert(intake: AuditedIntake, folder: Path) -> None:
    intake.turned_away(TurnedAway(address="10.0.0.9", reason="certificate has expired", times=7))
    intake.turned_away(TurnedAway(address="10.0.0.9", reason="no peer has this AE title", calling_aet="X"))
    first, second = (ElementTree.tostring(one, encoding="unicode") for one in told(folder))
    assert "110126" in first and "certificate has expired (7 times since the last message)" in first
    assert "110132" in second and "AETITLES=X" in second


def test_an_association_that_a_crash_has_ended_is_told_of_at_the_next_start(
    db: Database, files: Files, trail: Trail, make_arrival: MakeArrival, folder: Path
) -> None:
    inner, arrival = Intake(db, files, ()), make_arrival(1, study="1.77")
    inner.opened(arrival.association)
    inner.accept(arrival)
    tell_interrupted(db, trail, HERE)
    (message,) = told(folder)
    assert "1.77" in [one.get("ParticipantObjectID") for one in message.iter("ParticipantObjectIdentification")]
    assert message.findtext("EventIdentification/EventOutcomeDescription", "").startswith("the node ended during")


def test_an_association_whose_end_is_cut_by_a_kill_is_told_of_before_it_leaves_the_books(
    db: Database, files: Files, trail: Trail, make_arrival: MakeArrival, folder: Path
) -> None:
    class Killed(BaseException):
        pass

    class Dying(Intake):
        def closed(self, association: Association) -> None:
            assert kinds(folder) == ["110104"]
            raise Killed

    it, arrival = AuditedIntake(Dying(db, files, ()), trail, HERE), make_arrival(1)
    it.opened(arrival.association)
    it.accept(arrival)
    with pytest.raises(Killed):
        it.closed(arrival.association)
    tell_interrupted(db, trail, HERE)
    assert kinds(folder) == ["110104"] * 2, "once more, rather than not at all"


def test_an_association_that_a_crash_cut_while_it_brought_an_earlier_study_is_told_of(
    estate: Estate, trail: Trail, folder: Path
) -> None:
    arrival = replace(estate.images("1.55", "20250101")[0], move_originator="DICOMNODE")
    with estate.db.transaction():
        Scratch(estate.db, estate.files).ask("1.55", ["1.55.1"], "PACS")
    estate.intake.opened(arrival.association)
    estate.intake.accept(arrival)
    tell_interrupted(estate.db, trail, HERE)
    (message,) = told(folder)
    assert subjects(message) == ["1.55", "P1"]


def test_an_association_is_not_taken_where_the_trail_is_required_and_cannot_be_written(
    db: Database, files: Files, folder: Path, clock: Hands, make_arrival: MakeArrival
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    required = Trail(folder, Source(id="N"), clock, sync=False, required=True)
    it = AuditedIntake(Intake(db, files, ()), required, HERE, associations=True)
    with pytest.raises(OutOfResources):
        it.opened(make_arrival(1).association)
    assert db.row("SELECT COUNT(*) FROM association")[0] == 0  # type: ignore[index]


# ---- what goes


def delivery(uid: str, sop_class_uid: str, path: Path) -> Delivery:
    return Delivery(
        delivery_id=1, job_id=1, study_instance_uid="1.2.3", destination="PACS", sop_class_uid=sop_class_uid,
        sop_instance_uid=uid, transfer_syntax_uid="1.2.840.10008.1.2.1", path=path, attempts=1, lease="",
    )  # fmt: skip


@pytest.fixture
def batch(tmp_path: Path) -> list[Delivery]:
    ds = Dataset()
    ds.PatientID, ds.AccessionNumber = "P1", "A1"
    ds.save_as(tmp_path / "seg.dcm", implicit_vr=False, little_endian=True)
    return [delivery("9.1", SEG, tmp_path / "seg.dcm"), delivery("9.2", SR, tmp_path / "gone.dcm")]


def receipt(uid: str, *, stored: bool) -> Receipt:
    return Receipt(sop_instance_uid=uid, status=0, stored=stored, final=True, text="0122 SOP Class not supported")


def test_a_delivery_is_told_before_and_after(trail: Trail, folder: Path, batch: list[Delivery]) -> None:
    def send(_peer: Peer, given: Sequence[Delivery]) -> Generator[Receipt]:
        assert kinds(folder) == ["110102"], "before anything leaves"
        yield from (receipt(one.sop_instance_uid, stored=True) for one in given)

    assert len(list(audited(send, trail, HERE)(PACS, batch))) == 2
    assert kinds(folder) == ["110102", "110104", "110104"]
    assert [counts(one) for one in told(folder)] == [{SEG: "1", SR: "1"}, {SEG: "1"}, {SR: "1"}]


def test_no_object_counts_as_delivered_before_it_is_told(trail: Trail, folder: Path, batch: list[Delivery]) -> None:
    def send(_peer: Peer, given: Sequence[Delivery]) -> Generator[Receipt]:
        yield from (receipt(one.sop_instance_uid, stored=True) for one in given)

    with closing(audited(send, trail, HERE)(PACS, batch)) as receipts:
        for number, _receipt in enumerate(receipts, start=1):
            assert kinds(folder) == ["110102", *["110104"] * number], "a kill here leaves no gap"


def test_what_a_peer_refuses_and_what_then_stays_is_told_apart(
    trail: Trail, folder: Path, batch: list[Delivery]
) -> None:
    def send(_peer: Peer, _given: Sequence[Delivery]) -> Generator[Receipt]:
        yield receipt("9.1", stored=False)
        yield receipt("9.2", stored=True)

    with closing(audited(send, trail, HERE)(PACS, batch)) as receipts:
        assert not next(receipts).stored
    _, refused, rest = told(folder)
    assert "0122 SOP Class not supported" in ElementTree.tostring(refused, encoding="unicode")
    assert "not sent after one that failed" in ElementTree.tostring(rest, encoding="unicode")


def test_a_peer_that_is_away_is_a_failure(trail: Trail, folder: Path, batch: list[Delivery]) -> None:
    def send(_peer: Peer, _given: Sequence[Delivery]) -> Generator[Receipt]:
        yield from ()
        raise NoAssociation("PACS: no TCP connection")

    with pytest.raises(NoAssociation):
        next(audited(send, trail, HERE)(PACS, batch))
    assert kinds(folder) == ["110102", "110104"]
    assert "no TCP connection" in ElementTree.tostring(told(folder)[1], encoding="unicode")


def test_nothing_is_sent_where_the_trail_is_required_and_cannot_be_written(
    folder: Path, clock: Hands, batch: list[Delivery]
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")

    def send(_peer: Peer, _given: Sequence[Delivery]) -> Generator[Receipt]:
        yield from ()
        raise AssertionError("something was sent")

    required = Trail(folder, Source(id="N"), clock, sync=False, required=True)
    with pytest.raises(NoAssociation, match="audit trail"):
        next(audited(send, required, HERE)(PACS, batch))


# ---- what is asked


def keys_of(folder: Path) -> list[Dataset]:
    found = []
    for message in told(folder):
        encoded = b64decode(message.findtext("ParticipantObjectIdentification/ParticipantObjectQuery", ""))
        found.append(read_dataset(BytesIO(encoded), is_implicit_VR=True, is_little_endian=True))
    return found


class Shelf:
    """An archive without anything."""

    @contextmanager
    def asked(self) -> Any:
        yield self

    def studies(self, *_: object) -> list[Any]:
        return []

    def series(self, *_: object) -> list[Any]:
        return []

    def instances(self, *_: object) -> dict[str, str]:
        return {}

    def fetch(self, *_: object) -> str:
        return ""


def test_every_question_to_an_archive_is_kept_with_its_keys(trail: Trail, folder: Path) -> None:
    archive = AuditedArchive(Shelf(), Came(lambda _one: None), PACS, trail, HERE)
    with archive.asked() as questions:
        questions.studies("Ä7", date(2024, 1, 2), date(2026, 11, 21))
        questions.series("1.2.3")
        questions.instances("1.2.3", "1.2.3.4", 10)
        with pytest.raises(Unsuitable):
            questions.studies("*", date(2024, 1, 2), date(2026, 11, 21))
    assert kinds(folder) == ["110112"] * 3, "what is no key is not asked for"
    sent = keys_of(folder)
    assert sent[0].PatientID == "Ä7" and sent[0].StudyDate == "20240102-20261121"
    assert [one.QueryRetrieveLevel for one in sent] == ["STUDY", "SERIES", "IMAGE"]


GETTING = Peer(name="PACS", aet="ORTHANC", host="10.0.0.5", port=104, retrieve="get")


class Sending(Shelf):
    """Sends these objects for any series, and then fails if it is to."""

    def __init__(self, came: Came, arrivals: Sequence[Arrival], error: Exception | None = None) -> None:
        self.came, self.arrivals, self.error = came, arrivals, error

    def studies(self, *_: object) -> list[Any]:
        return [FoundStudy(study_instance_uid="1.2", study_date=date(2025, 1, 1), modalities=frozenset())]

    def fetch(self, *_: object) -> str:
        for one in self.arrivals:
            with suppress(OutOfResources):
                self.came.keep(one)
        if self.error is not None:
            raise self.error
        return ""


def subjects(message: ElementTree.Element) -> list[str | None]:
    return [one.get("ParticipantObjectID") for one in message.iter("ParticipantObjectIdentification")]


def test_a_series_fetched_by_c_move_is_left_to_the_intake(trail: Trail, folder: Path) -> None:
    AuditedArchive(Shelf(), Came(lambda _one: None), PACS, trail, HERE).fetch("1.2.3", "1.2.3.4", [CT])
    assert not folder.exists()


def test_what_came_by_c_get_is_told_with_its_patient_and_what_it_was(
    trail: Trail, folder: Path, make_arrival: MakeArrival
) -> None:
    came = Came(lambda _one: None)
    archive = AuditedArchive(
        Sending(came, [make_arrival(number, study="1.2") for number in (1, 2)]), came, GETTING, trail, HERE
    )
    assert not archive.fetch("1.2", "1.2.4", [CT])
    assert not archive.fetch("1.2", "1.2.5", [CT])
    assert kinds(folder) == ["110102", "110104"] * 2
    _, done, _, again = told(folder)
    assert subjects(done) == ["1.2", "P1"] and counts(done) == counts(again) == {CT: "2"}
    assert [one.get("UserIsRequestor") for one in done.iter("ActiveParticipant")] == ["false", "true"]


def test_what_came_by_c_get_before_the_association_was_lost_is_told_and_so_is_the_loss(
    trail: Trail, folder: Path, make_arrival: MakeArrival
) -> None:
    def keep(arrival: Arrival) -> None:
        if arrival.sop_instance_uid.endswith("2"):
            raise OutOfResources("priors: no room")

    came = Came(keep)
    lost = PeerUnreachable("PACS: lost after 2 objects")
    archive = AuditedArchive(
        Sending(came, [make_arrival(number, study="1.2") for number in (1, 2)], lost), came, GETTING, trail, HERE
    )
    with archive.asked() as questions:
        questions.studies("P1", date(2024, 1, 2), date(2026, 11, 21))
    with pytest.raises(PeerUnreachable, match="after 2 objects"):
        archive.fetch("1.2", "1.2.4", [CT])
    assert kinds(folder) == ["110112", "110102", *["110104"] * 3]
    begun, stored, refused, rest = told(folder)[1:]
    assert subjects(begun) == subjects(stored) == subjects(refused) == subjects(rest) == ["1.2", "P1"]
    reasons = [one.findtext("EventIdentification/EventOutcomeDescription", "") for one in (stored, refused, rest)]
    assert reasons == ["", "refused with A700: priors: no room", "PACS: lost after 2 objects"]


def test_whose_a_study_is_is_asked_for_after_that_is_recorded(trail: Trail, folder: Path) -> None:
    def question(_peer: Peer, _study: str) -> list[StudyIdentity]:
        assert kinds(folder) == ["110112"]
        return []

    assert audited_question(question, trail, HERE)(PACS, "1.2.3") == []
    (asked,) = keys_of(folder)
    assert (asked.QueryRetrieveLevel, asked.StudyInstanceUID) == ("STUDY", "1.2.3")


def test_the_question_what_an_archive_keeps_is_one_message_for_each_series(trail: Trail, folder: Path) -> None:
    class Line:
        def query(self, wanted: Any) -> dict[Reference, int]:
            return {one.reference: 0 for one in wanted}

    wanted = [
        Wanted(
            position=number, reference=Reference(sop_class_uid=SEG, sop_instance_uid=f"9.{number}"),
            study_instance_uid="1.2", series_instance_uid=f"1.2.{number // 2}", delivery_id=None, verdict=None, lost=0,
        )
        for number in range(4)
    ]  # fmt: skip
    assert len(AuditedLine(cast(Any, Line()), PACS, trail, HERE).query(iter(wanted))) == 4
    assert [(one.QueryRetrieveLevel, one.SeriesInstanceUID) for one in keys_of(folder)] == [
        ("IMAGE", "1.2.0"), ("IMAGE", "1.2.1")
    ]  # fmt: skip


def test_nothing_is_asked_where_the_trail_is_required_and_cannot_be_written(folder: Path, clock: Hands) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    required = Trail(folder, Source(id="N"), clock, sync=False, required=True)
    with (
        AuditedArchive(Shelf(), Came(lambda _one: None), PACS, required, HERE).asked() as questions,
        pytest.raises(PeerUnreachable),
    ):
        questions.series("1.2.3")


# ---- processes and people


def removed(db: Database, study: str, why: str, login: str = "") -> None:
    with db.transaction():
        Untold(db).add(study, why, login)


def test_a_removal_that_the_trail_could_not_take_is_told_when_it_can_with_its_time_and_who_did_it(
    db: Database, folder: Path, clock: Hands
) -> None:
    settings = parse({"store": {"folder": str(folder.parent)}, "audit": {"sync": False, "required": True}})
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    removed(db, "1.2", "by an operator", "smith")
    tell_removals(db, settings)
    folder.unlink()
    clock.forward(3600)
    tell_removals(db, settings)
    tell_removals(db, settings)
    (message,) = told(folder)
    event, who = message.find("EventIdentification"), message.find("ActiveParticipant")
    assert event is not None and event.get("EventDateTime") == "2026-11-21T08:00:00.000000Z"
    assert who is not None and who.get("UserID") == "smith"


def test_messages_lost_by_one_part_of_a_process_are_told_by_another(db: Database, folder: Path) -> None:
    settings = parse({"store": {"folder": str(folder.parent)}, "audit": {"sync": False}})
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    first = open_trail(settings)
    assert first is not None
    with recorded(settings, "receive"):
        folder.unlink()
    assert [one["event"] for one in shown(settings, 20, "")] == [
        "Security Alert: Audit Recording Started", "Application Activity: Application Stop", "Audit Log Used"
    ]  # fmt: skip
    assert shown(settings, 20, "")[0]["reason"].startswith("1 messages since ")


def test_processes_and_operators_are_in_the_trail(
    db: Database, files: Files, make_arrival: MakeArrival, folder: Path
) -> None:
    settings = parse({"store": {"folder": str(folder.parent)}, "audit": {"sync": False}})
    arrival = make_arrival(1, study="1.77")
    inner = Intake(db, files, ())
    inner.opened(arrival.association)
    inner.accept(arrival)
    with recorded(settings, "work"):
        tell_act(db, settings, "1.7", "retract: wrong patient")
    removed(db, "1.77", "its time is over")
    tell_removals(db, settings)
    with pytest.raises(RuntimeError), recorded(settings, "work"):
        raise RuntimeError
    found = shown(settings, 20, "")
    assert [one["event"] for one in found] == [
        "Application Activity: Application Start", "DICOM Instances Accessed", "Application Activity: Application Stop",
        "DICOM Study Deleted", "Application Activity: Application Start", "Application Activity: Application Stop",
        "Audit Log Used",
    ]  # fmt: skip
    assert [one["outcome"] for one in found] == ["success"] * 5 + ["failure", "success"]
    assert [one["event"] for one in shown(settings, 20, "1.77")] == ["DICOM Instances Accessed", "DICOM Study Deleted"]
    assert verified(settings, 1)["faults"] == () and verified(settings, 1)["last"] == 8


def test_what_sends_to_the_collector_is_started_anew_when_it_has_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying:
        starts = 0
        again = Flag()

        def __init__(self, *_: object) -> None:
            """Without a collector."""

        def run(self, stop: Flag) -> None:
            Dying.starts += 1
            if Dying.starts > 1:
                self.again.set()
                stop.wait(60)

    monkeypatch.setattr(audit_trail, "Forwarder", Dying)
    monkeypatch.setattr(audit_trail, "_PAUSE_SECONDS", 0.01)
    settings = parse({"store": {"folder": str(folder.parent)}, "audit": {"syslog_host": "h", "syslog_ca": "ca.pem"}})
    with audit_trail.forwarding(settings):
        assert Dying.again.wait(20)


def test_without_a_trail_nothing_is_written(db: Database, folder: Path) -> None:
    settings = parse({"store": {"folder": str(folder.parent)}, "audit": {"enabled": False}})
    with recorded(settings, "work"):
        removed(db, "1.2", "")
        tell_removals(db, settings)
    assert not folder.exists() and not Untold(db).next()


def test_the_names_of_a_caller_reach_the_trail(intake: AuditedIntake, make_arrival: MakeArrival, folder: Path) -> None:
    arrival = make_arrival(1)
    intake.accept(arrival)
    intake.closed(arrival.association)
    assert isinstance(arrival.association, Association)
    caller = told(folder)[0].find("ActiveParticipant")
    assert caller is not None and caller.get("AlternativeUserID") == f"AETITLES={arrival.association.calling_aet}"
