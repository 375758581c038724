"""What of the web stands in the audit trail, and what is refused where it cannot stand there."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

from dicomnode.domain.role import Role
from dicomnode.flow.intake import Intake
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands, MakeArrival
from tests.owing import owe
from tests.toy import write_bundle
from tests.unit.web.served import PASSCODE, RULE, Served, problem
from tests.unit.web.test_api import WHO, trail


@pytest.fixture
def study(db: Database, files: Files, make_arrival: MakeArrival) -> str:
    Intake(db, files, ()).accept(make_arrival(1, **WHO))
    return "1.2.3"


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    write_bundle(tmp_path / "models")
    named = {"name": "named", "model": "toy", "series": {"StudyDescription": {"contains": "x"}, "Modality": "CT"}}
    return Served(db, tmp_path, clock, rule=[RULE, named])


LOOKS = ["/api/studies/1.2.3", "/api/studies", "/api/studies/1.2.3/rules", "/", "/live", "/studies", "/studies/1.2.3",
         "/studies/1.2.3/live"]  # fmt: skip


def test_what_has_to_be_recorded_and_cannot_is_not_shown_however_often_it_is_asked_for(
    db: Database, tmp_path: Path, clock: Hands, study: str
) -> None:
    served = Served(db, tmp_path, clock)
    sees = served.client(Role.VIEWER, sees_names=True)
    blind = served.client(Role.VIEWER)
    (tmp_path / "no folder").write_text("")
    broken = {"required": True, "folder": tmp_path / "no folder"}
    audit = served.settings.audit.model_copy(update=broken)
    object.__setattr__(served.desk, "settings", served.settings.model_copy(update={"audit": audit}))
    for path in LOOKS:
        for _ in range(2):
            answer = sees.get(path)
            assert answer.status_code == 503 and "LOGME" not in answer.text, path
        assert blind.get(path).status_code == 200, "who sees nobody need not be recorded"
    assert sees.post("/api/search", json={"patient": "logme"}).status_code == 503
    assert sees.post("/studies", data={"patient": "logme"}).status_code == 503
    assert sees.post("/rules", data={"study": "1.2.3"}).status_code == 503


def test_lists_with_patients_and_searches_are_told_each_once_in_a_while(served: Served, study: str) -> None:
    sees = served.client(Role.VIEWER, sees_names=True)
    for _ in range(2):
        for path in ("/", "/studies", "/api/studies"):
            assert sees.get(path).status_code == 200
        for wanted in ("logme", "other"):
            sees.post("/api/search", json={"patient": wanted})
    queries = [who for code, who, _ in trail(served) if code == "110112"]
    assert queries == ["viewer-sees"] * 5
    served.client(Role.VIEWER).get("/studies")
    assert len([code for code, *_ in trail(served) if code == "110112"]) == 5


def test_what_is_refused_is_not_told_as_done(served: Served) -> None:
    client = served.client(Role.ADMINISTRATOR)
    person = {"name": "ada", "passcode": PASSCODE}
    assert client.post("/api/people", json=person).status_code == 201
    before = trail(served)
    assert client.post("/api/people", json={**person, "role": "administrator"}).status_code == 409
    assert client.post("/api/tokens", json={"name": "ada"}).status_code == 409
    for path in ("/people/nobody/remove", "/tokens/nobody/revoke"):
        assert client.post(path).status_code == 409
    assert client.post("/api/models/toy/enable").status_code == 409
    assert trail(served) == before


def test_nobody_grants_over_the_network_what_they_do_not_have(served: Served) -> None:
    blind, sees = served.client(Role.ADMINISTRATOR), served.client(Role.ADMINISTRATOR, sees_names=True)
    token, person = {"name": "t", "sees_names": True}, {"name": "p", "passcode": PASSCODE, "sees_names": True}
    for path, form in (("/api/tokens", token), ("/api/people", person)):
        refused = blind.post(path, json=form)
        assert refused.status_code == 409 and "patient names" in refused.json()["found"]
        assert blind.post(path.removeprefix("/api"), data=form).status_code == 409
        assert sees.post(path, json=form).status_code == 201
    assert {one["name"] for one in sees.get("/api/people").json()["accounts"]} == {"p"}


def test_holding_a_model_and_letting_it_run_stands_in_the_trail_with_who(served: Served) -> None:
    client = served.client(Role.ADMINISTRATOR)
    assert client.post("/api/models/toy/disable", json={"reason": "odd masks"}).status_code == 200
    assert client.post("/models/toy/enable", follow_redirects=False).status_code == 303
    told = [(who, why) for code, who, why in trail(served) if code == "110113" and "model toy" in why]
    assert [who for who, _ in told] == ["administrator-blind"] * 2
    assert "disabled: odd masks" in told[0][1] and "enabled" in told[1][1]


def test_pages_act_on_whole_studies_and_on_deliveries_of_theirs(
    served: Served, db: Database, files: Files, study: str
) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'done'")
    operator = served.client(Role.OPERATOR)
    for act in ("retry", "rerun", "cancel", "retract", "flag"):
        refused = operator.post("/studies/1.2/" + act, data={"reason": "wrong side"})
        assert refused.status_code == 404, act
    assert operator.post(f"/studies/{study}/deliveries/1/resend").status_code == 404
    assert not any(code == "110103" for code, *_ in trail(served))
    done = operator.post("/studies/1/deliveries/1/resend", follow_redirects=False)
    assert done.status_code == 303, done.text


@pytest.mark.parametrize("reason", ["bad \x01", "bad \x00", "bad \x1b[2J", "bad \x9b"])
def test_reasons_have_no_control_characters(served: Served, study: str, reason: str) -> None:
    operator, administrator = served.client(Role.OPERATOR), served.client(Role.ADMINISTRATOR)
    for act in ("flag", "retract"):
        assert operator.post(f"/api/studies/{study}/{act}", json={"reason": reason}).status_code == 422
        assert operator.post(f"/studies/{study}/{act}", data={"reason": reason}).status_code == 422
    assert administrator.post("/api/models/toy/disable", json={"reason": reason}).status_code == 422
    assert operator.post(f"/api/studies/{study}/flag", json={"reason": "two\nlines, Müller"}).status_code == 200


def test_text_that_only_looks_like_a_time_stays_as_it_is(served: Served, study: str) -> None:
    operator = served.client(Role.OPERATOR, sees_names=True)
    for odd in ("2026-99-99T99:99:99.000000Z", "0000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z"):
        assert operator.post(f"/api/studies/{study}/flag", json={"reason": odd}).status_code == 200
        assert operator.get(f"/studies/{study}").status_code == operator.get("/").status_code == 200
    assert "2026-99-99T99:99:99.000000Z" in operator.get(f"/studies/{study}").text


def test_the_tester_says_of_headers_only_what_is_technique(served: Served, study: str) -> None:
    told = served.client(Role.VIEWER).get(f"/api/studies/{study}/rules").json()["tried"]
    clauses = next(one["clauses"] for one in told if one["rule"] == "named")
    assert [one["text"] for one in clauses] == ["StudyDescription contains x", "Modality equals CT: found CT"]


def test_a_deflated_file_is_not_inflated_for_a_trial(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = CTImageStorage, "1.5", "1.6", "1.7"
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    monkeypatch.setattr(zlib, "decompress", lambda *_: pytest.fail("it was inflated"))
    upload = {"file": ("a.dcm", buffer.getvalue())}
    client = served.client(Role.VIEWER)
    told = client.post("/api/rules/test", files=upload).json()
    assert told["tried"] == [] and "found a deflated one" in told["left_out"][0]
    assert "found a deflated one" in client.post("/rules", files=upload).text


def test_files_are_tried_one_after_another(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from dicomnode.flow.asked import trial

    monkeypatch.setattr(trial, "_PATIENCE_SECONDS", 0.01)
    with trial._ONE:
        answer = served.client(Role.VIEWER).post("/api/rules/test", files={"file": ("a.dcm", b"x")})
    assert problem(answer) == (503, "the node")
