"""What the REST interface tells and does: as the verbs, under the caller's name, and without patients for most."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from dicomnode.domain.role import Role
from dicomnode.flow.intake import Intake
from dicomnode.flow.operate import retry
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands, MakeArrival
from tests.owing import owe, states
from tests.toy import write_bundle
from tests.unit.web.served import RULE, Served, problem

WHO = {"PatientName": "DONT^LOGME", "PatientID": "P77", "AccessionNumber": "A99", "StudyDescription": "for LOGME"}
SECRETS = ("LOGME", "P77", "A99")


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    write_bundle(tmp_path / "models")
    named = {"name": "named", "model": "toy", "series": {"PatientName": "DOE^JANE", "Modality": "CT"}}
    return Served(db, tmp_path, clock, rule=[RULE, named])


@pytest.fixture
def study(db: Database, files: Files, clock: Hands, make_arrival: MakeArrival) -> str:
    intake = Intake(db, files, ())
    for number in (1, 2):
        intake.accept(make_arrival(number, **WHO))
    clock.forward(60)
    intake.accept(make_arrival(1, study="1.2.9", series="1.2.9.1", **{**WHO, "PatientName": "OTHER"}))
    return "1.2.3"


def trail(served: Served) -> list[tuple[str, str, str]]:
    """Event, who asked for it, and why, of every line of the audit trail."""
    found = []
    for path in sorted((served.settings.store.folder / "audit").glob("*.log")):
        for line in path.read_text().splitlines():
            root = ElementTree.fromstring(line[line.index("<AuditMessage") :])
            event, people = root.find("EventIdentification"), root.findall("ActiveParticipant")
            assert event is not None
            code = event.find("EventID")
            assert code is not None
            reason = event.findtext("EventOutcomeDescription", "")
            found.append((code.get("csd-code", ""), people[0].get("UserID", ""), reason))
    return found


def test_studies_are_listed_newest_first_page_by_page(served: Served, study: str) -> None:
    client = served.client(Role.VIEWER)
    first = client.get("/api/studies", params={"limit": 1}).json()
    assert [one["study_instance_uid"] for one in first["studies"]] == ["1.2.9"] and first["more"]
    second = client.get("/api/studies", params={"limit": 1, "offset": 1}).json()
    assert [one["study_instance_uid"] for one in second["studies"]] == [study] and not second["more"]
    (row,) = second["studies"]
    assert row["objects"] == 2 and row["modalities"] == ["CT"] and row["standing"] == "receiving"
    expected = (
        ({"uid": "1.2.3"}, 1),
        ({"standing": "done"}, 0),
        ({"since": "2026-11-21T08:00:30Z"}, 1),
        ({"until": "2026-11-21T09:00:30+01:00"}, 1),
        ({"until": "9999-12-31T23:59:59-12:00"}, 2),
    )
    for wanted, count in expected:
        assert len(client.get("/api/studies", params=wanted).json()["studies"]) == count, wanted


def test_who_the_patient_is_is_absent_for_whoever_may_not_see_it(served: Served, study: str) -> None:
    paths = ["/api/studies", f"/api/studies/{study}", f"/api/studies/{study}/rules", "/api/log", "/api/status",
             "/api/disk"]  # fmt: skip
    blind, sees = served.client(Role.ADMINISTRATOR), served.client(Role.VIEWER, sees_names=True)
    for path in paths:
        answer = blind.get(path)
        assert answer.status_code == 200 and not any(secret in answer.text for secret in SECRETS), path
    assert "patient" not in blind.get(f"/api/studies/{study}").json()["study"]
    shown = sees.get(f"/api/studies/{study}").json()["study"]["patient"]
    assert shown["patient_name"] == "DONT^LOGME" and shown["patient_id"] == "P77"
    sees.get(f"/api/studies/{study}")
    seen = [(who, why) for code, who, why in trail(served) if code == "110103"]
    assert seen == [("viewer-sees", "seen: shown with the patient's name")], "once, however often it is looked at"


def test_patients_are_searched_for_in_the_body_by_whoever_may_see_them(served: Served, study: str) -> None:
    sees = served.client(Role.VIEWER, sees_names=True)
    for wanted, found in (("logme", [study]), ("p77", ["1.2.9", study]), ("P7", ["1.2.9", study]), ("nobody", [])):
        answer = sees.post("/api/search", json={"patient": wanted}).json()
        assert [one["study_instance_uid"] for one in answer["studies"]] == found
    assert problem(served.client(Role.ADMINISTRATOR).post("/api/search", json={"patient": "x"}))[0] == 403


def test_a_study_comes_with_its_jobs_their_times_and_what_is_owed(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    told = served.client(Role.VIEWER).get("/api/studies/1").json()
    (job,) = told["jobs"]
    assert job["state"] == "done" and {one["name"] for one in job["journey"]} >= {"analysing"}
    assert {one["role"] for one in told["deliveries"]} == {"seg", "sr"}
    assert all(one["state"] == "waiting" and not one["can_go_again"] for one in told["deliveries"])
    assert [one["arrow"] for one in told["story"] if one["entity"] == "job"] == ["created", "claimed", "finished"]


def test_acts_are_those_of_the_verbs_and_stand_in_the_trail_under_the_callers_name(
    served: Served, db: Database, files: Files
) -> None:
    owe(db, files)
    client = served.client(Role.OPERATOR)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'failed'")
    assert client.post("/api/studies/1/retry").json() == {"done": "study 1: 0 jobs and 2 deliveries wait again"}
    assert set(states(db).values()) == {"waiting"}
    assert "2 deliveries cancelled" in client.post("/api/studies/1/cancel").json()["done"]
    assert "settles again" in client.post("/api/studies/1/rerun").json()["done"]
    done = client.post("/api/studies/1/retract", json={"reason": "wrong side", "code": "safety"})
    assert "nothing to take back" in done.json()["done"]
    told = [one for one in trail(served) if one[0] == "110103"]
    assert [why.split(":")[0] for _, _, why in told] == ["retry", "cancel", "rerun", "retract"]
    assert {who for _, who, _ in told} == {"operator-blind"}
    for act in ("retry", "rerun", "cancel"):
        # The verbs would take the beginning of a UID.
        assert problem(client.post(f"/api/studies/2/{act}")) == (404, "study 2")
    assert "flagged" in client.post("/api/studies/1/flag", json={"reason": "outlines the stomach"}).json()["done"]
    (flagged,) = client.get("/api/status").json()["flagged"]
    assert flagged == {"study": "1", "by": "operator-blind", "reason": "(for those who may see names)"}
    (flagged,) = served.client(Role.VIEWER, sees_names=True).get("/api/status").json()["flagged"]
    assert flagged["reason"] == "outlines the stomach"
    assert problem(client.post("/api/studies/1/retract", json={"reason": "", "code": "quality"}))[0] == 422
    assert problem(client.post("/api/studies/1/retract", json={"reason": "  ", "code": "quality"}))[0] == 409


def test_one_result_is_sent_again_and_its_confirmation_counts_no_more(
    served: Served, db: Database, files: Files
) -> None:
    owe(db, files)
    client = served.client(Role.OPERATOR)
    assert problem(client.post("/api/deliveries/1/resend"))[0] == 409, "it waits as it is"
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'done', confirmed_at = '2026', confirmed_by = 'commitment'")
    assert client.post("/api/deliveries/1/resend").json() == {"done": "study 1: seg to PACS waits again"}
    row = db.row("SELECT * FROM delivery WHERE delivery_id = 1")
    assert row is not None and (row["state"], row["confirmed_at"], row["in_doubt"]) == ("waiting", "", 1)
    assert states(db) == {"seg": "waiting", "sr": "done"}
    assert "sent again for operator-blind" in retry_story(db)
    db.execute("UPDATE job SET retracted = 'why'")
    assert "taken back" in client.post("/api/deliveries/2/resend").json()["found"]
    assert problem(client.post("/api/deliveries/99/resend"))[0] == 409
    assert problem(client.post(f"/api/deliveries/{2**70}/resend"))[0] == 422


def retry_story(db: Database) -> str:
    return " ".join(row["detail"] for row in db.rows("SELECT detail FROM event"))


def test_what_failed_after_a_resend_is_tried_again_as_ever(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'failed'")
    assert served.client(Role.OPERATOR).post("/api/deliveries/2/resend").status_code == 200
    assert states(db) == {"seg": "failed", "sr": "waiting"}
    assert "1 deliveries" in retry(db, files, "1")


def test_a_peer_is_asked_now_and_its_answer_kept(served: Served) -> None:
    client = served.client(Role.OPERATOR)
    (before,) = client.get("/api/peers").json()["peers"]
    assert "echo" not in before and before["traffic"]["deliveries"] == {}
    asked = client.post("/api/peers/PACS/echo").json()
    assert "PACS" in asked["failure"], "nobody listens on port 104 here"
    assert client.get("/api/peers").json()["peers"][0]["echo"] == asked
    assert problem(client.post("/api/peers/NONE/echo")) == (404, "peer NONE")


def test_models_are_told_with_what_this_site_decided(served: Served, tmp_path: Path) -> None:
    client = served.client(Role.ADMINISTRATOR)
    found = {one["name"]: one for one in client.get("/api/models").json()["models"]}
    assert found["toy"]["intact"] and found["toy"]["rules"] == ["named"] and "acceptance" not in found["toy"]
    assert "no bundle" in found["m"]["broken"]
    full = client.get("/api/models/toy").json()
    assert 'name = "toy"' in full["declared"] and full["card"].startswith("# A toy")
    assert client.post("/api/models/toy/disable", json={"reason": "odd masks"}).status_code == 200
    assert client.get("/api/models/toy").json()["model"]["disabled"] == "odd masks (administrator-blind)"
    assert client.post("/api/models/toy/enable").status_code == 200
    assert problem(client.post("/api/models/toy/enable"))[0] == 409, "it is not disabled"
    assert problem(client.post("/api/models/none/disable", json={"reason": "x"})) == (404, "model none")
    (tmp_path / "models" / "toy" / "model.onnx").write_bytes(b"changed")
    assert not client.get("/api/models/toy").json()["model"]["intact"], "what was known of its files is forgotten"


def dicom(**attributes: Any) -> bytes:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3.4.5"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", "1.2.3.4", "CT"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_a_file_is_held_against_every_rule_clause_by_clause(served: Served, files: Files) -> None:
    upload = {"file": ("CT.DONT^LOGME.dcm", dicom(PatientName="DONT^LOGME"))}
    sees, blind = served.client(Role.VIEWER, sees_names=True), served.client(Role.VIEWER)
    tried = {one["rule"]: one for one in sees.post("/api/rules/test", files=upload).json()["tried"]}
    assert tried["chest"]["matched"] and not tried["named"]["matched"]
    assert [(one["met"], one["text"]) for one in tried["named"]["clauses"]] == [
        (False, "PatientName equals DOE^JANE: found DONT^LOGME"), (True, "Modality equals CT: found CT"),
    ]  # fmt: skip
    told = blind.post("/api/rules/test", files=upload)
    hidden = {one["rule"]: one for one in told.json()["tried"]}["named"]["clauses"]
    assert hidden[0] == {"met": False, "text": "PatientName equals DOE^JANE"} and "LOGME" not in told.text
    assert not list(files.incoming.iterdir()), "it is not kept"
    left_out = blind.post("/api/rules/test", files={"file": ("x", b"no DICOM")}).json()
    assert left_out == {"tried": [], "left_out": ["1 file was left out, the file: no DICOM file"]}


def test_a_stored_study_is_held_against_the_rules_as_they_are(served: Served, study: str) -> None:
    client = served.client(Role.VIEWER)
    tried = client.get(f"/api/studies/{study}/rules").json()["tried"]
    assert [(one["rule"], one["matched"], one["objects"]) for one in tried] == [("chest", True, 2), ("named", False, 2)]
    assert problem(client.get("/api/studies/9.9/rules")) == (404, "study 9.9")
    assert [one["name"] for one in client.get("/api/rules").json()["rules"]] == ["chest", "named"]


def test_results_of_a_model_are_named_with_where_they_went(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    client = served.client(Role.VIEWER)
    (found,) = client.get("/api/results", params={"model": "m"}).json()["results"]
    assert found["study_instance_uid"] == "1" and {one["destination"] for one in found["places"]} == {"PACS"}
    assert client.get("/api/results", params={"model": "other"}).json() == {"results": [], "more": False}
    assert client.get("/api/results", params={"since": "2026-11-22T00:00:00Z"}).json()["results"] == []
    assert client.get("/api/drift").status_code == 200


def test_the_log_goes_backwards_and_tells_warnings_alone(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'cancelled', reason = 'why'")
    client = served.client(Role.VIEWER)
    events = client.get("/api/log", params={"limit": 3}).json()["events"]
    ids = [one["event_id"] for one in events]
    assert len(ids) == 3 and ids == sorted(ids, reverse=True)
    before = client.get("/api/log", params={"before": ids[-1], "limit": 1}).json()["events"]
    assert [one["event_id"] for one in before] == [ids[-1] - 1]
    warnings = client.get("/api/log", params={"warnings": True}).json()["events"]
    assert {one["arrow"] for one in warnings} == {"cancelled"} and warnings[0]["detail"] == "why"


def test_the_disk_is_told_with_what_goes_next(served: Served, study: str) -> None:
    told = served.client(Role.VIEWER).get("/api/disk").json()
    assert told["used_bytes"] > 0 and told["inputs_days"] == 30
    assert [one["study_instance_uid"] for one in told["oldest"]] == [study, "1.2.9"]
    assert told["oldest"][0]["goes_at"].startswith("2026-12-21") and told["oldest"][0]["owes"]


def test_signing_in_and_changing_who_may_do_so_stands_in_the_trail(served: Served) -> None:
    served.person("anna", Role.VIEWER)
    served.client().post("/api/session", json={"name": "anna", "passcode": "wrong"})
    told = trail(served)
    assert [(code, who) for code, who, _ in told] == [("110113", "root"), ("110114", "anna"), ("110114", "anna")]
    assert "anna may sign in as viewer" in told[0][2]


def test_the_description_names_every_operation_and_every_problem_once(served: Served) -> None:
    described = served.client().get("/api/openapi.json").json()
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids)) and all(name.isidentifier() and len(name) < 30 for name in ids)
    for path, methods in described["paths"].items():
        for one in methods.values():
            if path.startswith("/api"):
                assert one["summary"] and one["description"], path
                assert {"401", "403", "422", "429", "503"} <= set(one["responses"]), path
    page = served.client().get("/api")
    assert page.headers["Content-Type"].startswith("text/html") and "<script" not in page.text
    assert all(path in page.text for path in described["paths"])
    assert "HTTPValidationError" not in json.dumps(described)
