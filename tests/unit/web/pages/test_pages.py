"""The dashboard: what each role sees and may do, where patients stand, and what goes wrong in one sentence."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from httpx import Client

from dicomnode.domain.errors import Unsuitable
from dicomnode.domain.role import Role
from dicomnode.flow.intake import Intake
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.story import Story
from dicomnode.web import previews
from tests.conftest import Hands, MakeArrival
from tests.owing import owe, states
from tests.toy import write_bundle
from tests.unit.web.served import PASSCODE, RULE, Served

WHO = {"PatientName": "Doe^Jane Mary", "PatientID": "P77", "AccessionNumber": "A99", "StudyDescription": "of Doe"}
SECRETS = ("Doe", "P77", "A99")
PAGES = ("/", "/live", "/live/spoken", "/studies", "/studies/1.2.3", "/studies/1.2.3/live", "/rules", "/models",
         "/models/toy", "/peers", "/disk", "/log", "/log?all=true")  # fmt: skip

#: Elements that have no end (HTML, 13.1.2).
VOID = {"meta", "link", "input", "img", "br"}


class Elements(HTMLParser):
    """The elements of a page; fails where one is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.all if name == tag]


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    write_bundle(tmp_path / "models")
    named = {"name": "named", "model": "toy", "series": {"PatientName": "ROE^RICHARD", "Modality": "CT"}}
    return Served(db, tmp_path, clock, rule=[RULE, named])


@pytest.fixture
def study(db: Database, files: Files, make_arrival: MakeArrival) -> str:
    intake = Intake(db, files, ())
    for number in (1, 2):
        intake.accept(make_arrival(number, **WHO))
    return "1.2.3"


def person(served: Served, role: Role) -> tuple[Client, str]:
    """A browser that is signed in as this role, and what its forms send back."""
    return served.person(str(role), role)


def test_pages_are_whole_and_have_no_script_or_style_of_their_own(served: Served, study: str) -> None:
    viewer = served.client(Role.VIEWER)
    for path in PAGES:
        answer = viewer.get(path)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"), path
        page = Elements(answer.text)
        assert not any(name == "style" or name.startswith("on") for _, attributes in page.all for name in attributes)
        assert not page.of("style") and all(one["src"] for one in page.of("script")), path
        outside = [one for _, attributes in page.all for name, one in attributes.items()
                   if name in ("src", "href", "action") and one and not one.startswith(("/", "#"))]  # fmt: skip
        assert outside == [], path
        ids = [attributes["id"] for _, attributes in page.all if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        labelled = {one.get("for") for one in page.of("label")}
        for one in (*page.of("input"), *page.of("select"), *page.of("textarea")):
            assert one.get("type") in ("hidden", "checkbox") or one.get("id") in labelled, (path, one)
        if "live" not in path:
            assert len(page.of("h1")) == len(page.of("main")) == 1 and page.of("html") == [{"lang": "en"}], path


def test_no_page_says_who_the_patient_is_to_whoever_may_not_see_that(served: Served, study: str) -> None:
    blind = served.client(Role.ADMINISTRATOR)
    for path in (*PAGES, "/people"):
        text = blind.get(path).text
        assert not any(secret in text for secret in SECRETS), path


def test_who_may_see_names_sees_them(served: Served, study: str) -> None:
    sees = served.client(Role.VIEWER, sees_names=True)
    assert "Doe, Jane Mary" in sees.get("/").text
    page = sees.get(f"/studies/{study}").text
    assert "<h1>Doe, Jane Mary</h1>" in page and "P77" in page and "A99" in page


def test_a_peers_comment_is_for_those_who_may_see_names(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'failed', reason = 'A700 Refused: Out of Resources: no room for Doe'")
    for path in ("/", "/studies/1", "/log"):
        told = served.client(Role.OPERATOR).get(path).text
        assert "A700 Refused: Out of Resources" in told and "Doe" not in told
    assert "no room for Doe" in served.client(Role.VIEWER, sees_names=True).get("/studies/1").text


def test_a_viewer_finds_nothing_to_press_and_is_refused_in_one_sentence(
    served: Served, db: Database, files: Files
) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'failed'")
    viewer, csrf = person(served, Role.VIEWER)
    for path in ("/", "/studies/1", "/peers", "/models/toy"):
        forms = Elements(viewer.get(path).text).of("form")
        assert [one["action"] for one in forms] == ["/sign-out"], path
    refused = ("/studies/1/retry", "/studies/1/rerun", "/studies/1/cancel", "/studies/1/retract", "/studies/1/flag",
               "/studies/1/deliveries/1/resend", "/peers/PACS/echo", "/models/toy/disable", "/people",
               "/tokens")  # fmt: skip
    for path in refused:
        answer = viewer.post(path, data={"csrf_token": csrf, "reason": "because"})
        assert answer.status_code == 403 and "<h1>Not allowed</h1>" in answer.text, path
        (sentence,) = re.findall(r'<p class="words">(.+)</p>', answer.text)
        assert sentence.startswith("the caller: role viewer; needed role ")
    assert set(states(db).values()) == {"failed"}
    assert viewer.get("/people").status_code == 403 and "/people" not in viewer.get("/").text


def test_an_operator_has_no_button_for_what_administrators_do(served: Served, study: str) -> None:
    operator, csrf = person(served, Role.OPERATOR)
    assert "/studies/1.2.3/rerun" in operator.get(f"/studies/{study}").text
    assert "/models/toy/disable" not in operator.get("/models/toy").text
    assert operator.post("/models/toy/disable", data={"csrf_token": csrf, "reason": "x"}).status_code == 403


def test_a_form_that_no_page_of_ours_has_sent_does_nothing(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    operator, _ = person(served, Role.OPERATOR)
    for data in ({}, {"csrf_token": "forged"}):
        assert operator.post("/studies/1/cancel", data=data).status_code == 403
    assert set(states(db).values()) == {"waiting"}


def test_a_stranger_is_led_to_the_sign_in_and_back(served: Served, study: str) -> None:
    served.accounts.add_person("anna", PASSCODE, Role.OPERATOR, sees_names=False)
    browser = served.client()
    led = browser.get(f"/studies/{study}", follow_redirects=False)
    assert (led.status_code, led.headers["Location"]) == (303, f"/sign-in?next=/studies/{study}")
    assert browser.get("/live", headers={"HX-Request": "true"}).headers["HX-Redirect"] == "/sign-in"
    form = {"name": "anna", "passcode": PASSCODE, "next": f"/studies/{study}"}
    wrong = browser.post("/sign-in", data={**form, "passcode": "something else"}, follow_redirects=False)
    assert wrong.status_code == 401 and "Name or passcode is wrong." in wrong.text and "anna" not in wrong.text
    entered = browser.post("/sign-in", data=form, follow_redirects=False)
    assert (entered.status_code, entered.headers["Location"]) == (303, f"/studies/{study}")
    page = browser.get(f"/studies/{study}")
    (csrf,) = set(re.findall(r'name="csrf_token" value="(\w+)"', page.text))
    assert browser.post("/sign-out", data={"csrf_token": csrf}, follow_redirects=False).status_code == 303
    assert browser.get("/", follow_redirects=False).status_code == 303


def test_nobody_is_led_elsewhere_after_signing_in(served: Served) -> None:
    served.accounts.add_person("anna", PASSCODE, Role.VIEWER, sees_names=False)
    for after in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        form = {"name": "anna", "passcode": PASSCODE, "next": after}
        answer = served.client().post("/sign-in", data=form, follow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/"), after


def test_an_operator_resends_from_the_page_and_reads_once_what_was_done(
    served: Served, db: Database, files: Files
) -> None:
    owe(db, files)
    db.execute("UPDATE delivery SET state = 'running'")
    db.execute("UPDATE delivery SET state = 'done'")
    operator, csrf = person(served, Role.OPERATOR)
    assert 'aria-label="Resend seg to PACS"' in operator.get("/studies/1").text
    done = operator.post("/studies/1/deliveries/1/resend", data={"csrf_token": csrf}, follow_redirects=False)
    assert done.status_code == 303 and "PACS" not in done.headers["Location"]
    told = "study 1: seg to PACS waits again"
    assert told in operator.get(done.headers["Location"]).text
    assert told not in operator.get(done.headers["Location"]).text
    assert states(db) == {"seg": "waiting", "sr": "done"}
    refused = operator.post("/studies/1/deliveries/1/resend", data={"csrf_token": csrf})
    assert refused.status_code == 409 and "it is waiting" in refused.text


def test_a_complaint_stands_in_the_story_under_the_callers_name(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    operator, csrf = person(served, Role.OPERATOR)
    operator.post("/studies/1/flag", data={"csrf_token": csrf, "reason": "the spleen is no lung"})
    sees = served.client(Role.VIEWER, sees_names=True)
    assert "by operator: the spleen is no lung" in sees.get("/studies/1").text
    assert "the spleen is no lung" in sees.get("/").text
    # Whoever complains may have named the patient.
    for path in ("/", "/studies/1", "/log?all=true"):
        told = operator.get(path).text
        assert "by operator" in told and "spleen" not in told, path


def test_a_study_that_is_not_here_is_one_sentence(served: Served, study: str) -> None:
    viewer = served.client(Role.VIEWER)
    answer = viewer.get("/studies/1.9.9")
    assert answer.status_code == 404 and "<h1>Not here</h1>" in answer.text and "1.9.9" in answer.text
    led = viewer.get("/studies/1.2", follow_redirects=False)
    assert (led.status_code, led.headers["Location"]) == (303, f"/studies/{study}")
    for path in ("/studies/..%2fetc", "/studies/x", "/models/nope", "/studies/1.2.3/results/1.9", "/nowhere"):
        assert viewer.get(path).status_code in (403, 404, 422), path


def test_studies_are_searched_for_and_turned_over(served: Served, study: str, db: Database) -> None:
    viewer = served.client(Role.VIEWER)
    for wanted, found in (({"uid": "1.2"}, True), ({"uid": "9"}, False), ({"standing": "receiving"}, True),
                          ({"standing": "failed"}, False), ({"from": "2026-11-21"}, True),
                          ({"to": "2026-11-20"}, False), ({"from": "rubbish"}, True)):  # fmt: skip
        assert (f"/studies/{study}" in viewer.get("/studies", params=wanted).text) is found, wanted
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO study"
        " (study_instance_uid, state, changed_at, calling_aet, called_aet, address, peer, first_arrival_at,"
        " last_arrival_at) SELECT '9.' || i, 'settled', '', 'A', 'B', '', '', '', '2026-11-20T00:00:00.000000Z' FROM n"
    )
    first = viewer.get("/studies", params={"standing": "nothing to do"}).text
    assert first.count('class="uid"') == 25 and "/studies?standing=nothing+to+do&amp;page=2" in first
    assert viewer.get("/studies?standing=nothing+to+do&page=3").text.count('class="uid"') == 10


def test_patients_are_searched_for_in_the_body_alone(served: Served, study: str) -> None:
    sees = served.client(Role.VIEWER, sees_names=True)
    for wanted, found in (("jane", True), ("Doe, Jane", True), ("P7", True), ("77", False), ("nobody", False)):
        answer = sees.post("/studies", data={"patient": wanted})
        assert (f"/studies/{study}" in answer.text) is found, wanted
    assert 'name="patient"' not in served.client(Role.OPERATOR).get("/studies").text
    assert served.client(Role.OPERATOR).post("/studies", data={"patient": "Doe"}).status_code == 403


def test_the_rules_are_tried_on_a_stored_study_without_telling_whose_it_is(served: Served, study: str) -> None:
    sees = served.client(Role.VIEWER, sees_names=True)
    text = served.client(Role.VIEWER).post("/rules", data={"study": "1.2"}).text
    assert "Modality equals CT: found CT" in text and "would run m" in text
    assert "PatientName equals ROE^RICHARD" in text and not any(secret in text for secret in SECRETS)
    assert "found Doe^Jane Mary" in sees.post("/rules", data={"study": "1.2"}).text


def test_the_rules_are_tried_on_a_file_that_is_not_kept(served: Served, study: str, files: Files) -> None:
    viewer = served.client(Role.VIEWER)
    before = set(files.folder.rglob("*"))
    answer = viewer.post("/rules", files={"file": ("a.dcm", b"no DICOM file", "application/dicom")})
    assert answer.status_code == 200 and "the file: no DICOM file" in answer.text
    assert viewer.post("/rules", data={}).status_code == 422
    assert set(files.folder.rglob("*")) == before


def test_a_model_is_disabled_with_a_reason_and_enabled_again(served: Served, study: str) -> None:
    administrator, csrf = person(served, Role.ADMINISTRATOR)
    assert "Dense voxels" in administrator.get("/models/toy").text
    done = administrator.post("/models/toy/disable", data={"csrf_token": csrf, "reason": "outlines the stomach"})
    assert done.status_code == 200 and "outlines the stomach (administrator)" in done.text
    assert "disabled" in administrator.get("/").text
    assert "model toy is enabled" in administrator.post("/models/toy/enable", data={"csrf_token": csrf}).text


def test_people_are_let_in_and_a_token_is_shown_once(served: Served) -> None:
    administrator, csrf = served.person("administrator", Role.ADMINISTRATOR, sees_names=True)
    new = {"csrf_token": csrf, "name": "bert", "passcode": PASSCODE, "role": "operator", "sees_names": "true"}
    assert "bert may sign in as operator" in administrator.post("/people", data=new).text
    short = administrator.post("/people", data={**new, "name": "carl", "passcode": "short"})
    assert short.status_code == 409 and "found 5 characters" in short.text
    made = administrator.post("/tokens", data={"csrf_token": csrf, "name": "ris", "role": "viewer", "days": "30"})
    (token,) = re.findall(r'<code class="uid">([\w-]{43})</code>', made.text)
    assert served.client().get("/api/caller", headers={"Authorization": f"Bearer {token}"}).json()["name"] == "ris"
    assert token not in administrator.get("/people").text
    assert "token ris is revoked" in administrator.post("/tokens/ris/revoke", data={"csrf_token": csrf}).text
    assert "may not sign in" in administrator.post("/people/bert/remove", data={"csrf_token": csrf}).text


def test_a_result_is_downloaded_by_whoever_may_see_names_and_the_trail_says_so(
    served: Served, db: Database, files: Files
) -> None:
    owe(db, files)
    (files.folder / "seg").write_bytes(b"the bytes of a SEG")
    db.execute("UPDATE result SET sop_instance_uid = '9.7' WHERE role = 'seg'")
    assert served.client(Role.ADMINISTRATOR).get("/studies/1/results/9.7").status_code == 403
    answer = served.client(Role.VIEWER, sees_names=True).get("/studies/1/results/9.7")
    assert answer.content == b"the bytes of a SEG" and answer.headers["Content-Type"] == "application/dicom"
    assert "attachment" in answer.headers["Content-Disposition"]
    trail = "".join(path.read_text() for path in (served.settings.store.folder / "audit").glob("*.log"))
    assert "seg was downloaded from the dashboard" in trail and "viewer-sees" in trail


def test_a_log_names_nobody_to_anybody(served: Served, db: Database, files: Files) -> None:
    owe(db, files)
    db.event("1", "study", "", "flagged", "by anna: Doe has no spleen")
    db.event("1", "rule", "chest", "does not match", "PatientName equals X: found Doe")
    sees = served.client(Role.ADMINISTRATOR, sees_names=True)
    for path in ("/log?all=true", "/api/log"):
        told = sees.get(path).text
        assert "by anna" in told and "Doe" not in told, path


def test_a_valid_token_without_end_does_not_read_as_revoked(served: Served) -> None:
    served.accounts.add_token("ris", Role.VIEWER, sees_names=False)
    page = served.client(Role.ADMINISTRATOR).get("/people").text
    assert "no end" in page and "revoked</td>" not in page


def test_people_change_their_passcode_and_administrators_change_their_rights(served: Served) -> None:
    served.accounts.add_person("anna", PASSCODE, Role.VIEWER, sees_names=False)
    form, new = {"name": "anna", "passcode": PASSCODE}, "quite another passcode"
    mine, other = served.client(), served.client()
    csrf = [one.post("/api/session", json=form).json()["csrf_token"] for one in (mine, other)]
    page = mine.get("/passcode").text
    assert 'autocomplete="new-password"' in page and "/passcode" in mine.get("/").text
    wrong = mine.post("/passcode", data={"csrf_token": csrf[0], "old": new, "new": new})
    assert wrong.status_code == 403 and "it is not this" in wrong.text
    short = mine.put("/api/passcode", json={"old": PASSCODE, "new": "short"}, headers={"X-CSRF-Token": csrf[0]})
    assert short.status_code == 422
    done = mine.post("/passcode", data={"csrf_token": csrf[0], "old": PASSCODE, "new": new})
    assert done.status_code == 200 and "the passcode is changed" in done.text
    assert mine.get("/api/caller").status_code == 200 and other.get("/api/caller").status_code == 401
    assert served.client().post("/api/session", json=form).status_code == 401
    program = served.client(Role.ADMINISTRATOR)
    assert program.put("/api/passcode", json={"old": new, "new": PASSCODE}).status_code == 403
    administrator, key = person(served, Role.ADMINISTRATOR)
    rights = {"csrf_token": key, "role": "operator"}
    assert "anna is operator from now on" in administrator.post("/people/anna/change", data=rights).text
    assert mine.get("/api/caller").json()["role"] == "operator"
    # Nobody gives a right that they do not have.
    refused = administrator.post("/people/anna/change", data={**rights, "sees_names": "true"})
    assert refused.status_code == 409 and not mine.get("/api/caller").json()["sees_names"]
    gone = program.put("/api/people/nobody", json={"role": "viewer", "sees_names": False})
    assert gone.status_code == 404
    trail = "".join(path.read_text() for path in (served.settings.store.folder / "audit").glob("*.log"))
    assert "person anna has another passcode" in trail and "person anna is changed as operator" in trail


def test_what_is_not_undone_is_asked_a_second_time(served: Served, study: str, db: Database) -> None:
    administrator, _ = person(served, Role.ADMINISTRATOR)
    assert "Yes, remove administrator, which is you" in administrator.get("/people").text
    db.execute("UPDATE study SET held = 'two of one UID'")
    page = administrator.get(f"/studies/{study}").text
    assert "End the hold and retry" in page and ">Retry</button>" not in page


def test_where_a_study_stands_comes_first_and_renews_itself(served: Served, study: str) -> None:
    viewer = served.client(Role.VIEWER)
    page = viewer.get(f"/studies/{study}").text
    assert page.index('id="stands"') < page.index('id="facts"') and 'id="silent"' in page and "hx-swap-oob" not in page
    assert (
        '<p id="stands" role="status" aria-live="polite" hx-swap-oob="true">'
        in viewer.get(f"/studies/{study}/live").text
    )


def test_an_error_inside_the_node_is_a_sentence(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Story, "backlog", fails)
    told = served.client(Role.VIEWER).get("/")
    assert told.status_code == 500 and "the node: an error inside the node; its log has the details." in told.text


def test_what_looks_as_it_did_is_not_sent_again(served: Served, study: str, db: Database) -> None:
    viewer = served.client(Role.VIEWER)

    def asks(path: str) -> str:
        (asked,) = (one["hx-get"] for one in Elements(viewer.get(path).text).of("div") if one.get("id") == "live")
        return str(asked)

    page, overview = asks(f"/studies/{study}"), asks("/")
    assert viewer.get(page).status_code == viewer.get(overview).status_code == 204
    db.event(study, "study", "", "flagged", "by anna: no lung")
    assert "by anna: (for those who may see names)" in viewer.get(page).text and viewer.get(overview).status_code == 204
    db.execute("UPDATE study SET held = 'an operator looks at it'")
    assert "an operator looks at it" in viewer.get(overview).text


def test_style_and_script_come_from_here_and_may_be_kept(served: Served) -> None:
    for name in ("dashboard.css", "htmx.min.js", "alive.js", "icon.svg"):
        answer = served.client().get(f"/static/{name}")
        assert answer.status_code == 200 and "no-store" not in answer.headers.get("Cache-Control", "")
    assert served.client().get("/static/../access.py").status_code == 404


def test_a_picture_is_drawn_once_and_kept_under_its_digest(
    served: Served, db: Database, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(db, files)
    db.execute("UPDATE result SET digest = 'd' || result_id")
    asked: list[bool] = []

    def draw(_mask: Path, _sources: object, *, sees_names: bool) -> bytes:
        asked.append(sees_names)
        if not sees_names:
            raise Unsuitable("preview: the image may have the patient's name burnt into it")
        return b"a picture"

    monkeypatch.setattr(previews, "preview", draw)
    sees = served.client(Role.VIEWER, sees_names=True)
    first = sees.get("/studies/1/pictures/1.png")
    assert first.content == b"a picture" and first.headers["Content-Type"] == "image/png"
    assert first.headers["Cache-Control"] == "no-store"
    assert sees.get("/studies/1/pictures/1.png").content == b"a picture" and asked == [True]
    again = sees.get("/studies/1/pictures/1.png", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    withheld = served.client(Role.OPERATOR).get("/studies/1/pictures/1.png")
    assert withheld.status_code == 404 and "burnt into it" in withheld.text
    for path in ("/studies/2/pictures/1.png", "/studies/1/pictures/99.png"):
        assert sees.get(path).status_code == 404
    for path in ("/studies/1/pictures/x.png", "/studies/1/pictures/99999999999999999999999.png"):
        assert sees.get(path).status_code in (404, 422)
    assert served.client().get("/studies/1/pictures/1.png", follow_redirects=False).status_code == 303
