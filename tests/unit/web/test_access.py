"""Who gets in, with what, and what they may do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dicomnode.config import parse
from dicomnode.domain.errors import ConfigError, DicomNodeError
from dicomnode.domain.role import Role
from dicomnode.store.database import Database
from dicomnode.web.access import COOKIE
from dicomnode.web.rates import Rate
from tests.conftest import Hands
from tests.unit.web.served import PASSCODE, Served, problem


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    return Served(db, tmp_path, clock)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer nope", "Basic YTpi", "bearer x y", "Bearer \x00", "Bearer ' OR 1=1 --"]
)
def test_whoever_is_not_known_hears_the_same(served: Served, header: str) -> None:
    answers = [
        served.client().get("/api/status", headers={"Authorization": header}) if header else
        served.client().get("/api/status")
    ]  # fmt: skip
    for answer in answers:
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["found"] == "not known"


def test_a_token_gets_in_until_it_is_revoked(served: Served) -> None:
    client = served.client(Role.VIEWER)
    assert client.get("/api/caller").json() == {"name": "viewer-blind", "role": "viewer", "sees_names": False}
    served.accounts.revoke_token("viewer-blind")
    assert client.get("/api/caller").status_code == 401


def test_a_token_ends_with_its_days(served: Served, clock: Hands) -> None:
    token = served.accounts.add_token("short", Role.VIEWER, sees_names=False, days=1)
    client = served.client()
    client.headers["Authorization"] = f"Bearer {token}"
    assert client.get("/api/caller").status_code == 200
    clock.forward(86_401)
    assert client.get("/api/caller").status_code == 401


def test_neither_tokens_nor_passcodes_nor_sessions_lie_in_the_store(served: Served, db: Database) -> None:
    token = served.accounts.add_token("t", Role.VIEWER, sees_names=False)
    client, _ = served.person("anna", Role.VIEWER)
    session = client.cookies[COOKIE]
    assert len(token) == len(session) == 43, "256 bits in base64 without padding"
    (row,) = db.rows("SELECT digest FROM web_token")
    assert row["digest"] == hashlib.sha256(token.encode()).digest()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = db.path.read_bytes()
    assert not any(secret.encode() in kept for secret in (token, PASSCODE, session))


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/api/status", Role.VIEWER),
        ("POST", "/api/studies/1.2/retry", Role.OPERATOR),
        ("POST", "/api/deliveries/1/resend", Role.OPERATOR),
        ("POST", "/api/peers/X/echo", Role.OPERATOR),
        ("POST", "/api/models/m/enable", Role.ADMINISTRATOR),
        ("GET", "/api/tokens", Role.ADMINISTRATOR),
        ("GET", "/api/people", Role.ADMINISTRATOR),
    ],
)
def test_a_role_does_what_those_below_it_do_and_no_more(served: Served, method: str, path: str, least: Role) -> None:
    for role in Role:
        answer = served.client(role).request(method, path)
        assert (answer.status_code == 403) == (not role.covers(least)), role
    assert served.client().request(method, path).status_code == 401


def test_a_token_that_may_only_store_opens_nothing(served: Served) -> None:
    sender = served.client(Role.SENDER, sees_names=True)
    for path, methods in served.app.openapi()["paths"].items():
        if "get" in methods and path not in ("/healthz", "/readyz"):
            filled = path.replace("{study_uid}", "1.2").replace("{name}", "m").replace("{job_id}", "1")
            assert sender.get(filled).status_code in (403, 422), path
    for path in ("/", "/studies", "/studies/1.2", "/peers", "/log", "/people"):
        assert sender.get(path).status_code == 403, path
    with pytest.raises(DicomNodeError, match="for tokens"):
        served.accounts.add_person("anna", PASSCODE, Role.SENDER, sees_names=False)


def test_every_operation_wants_a_role(served: Served) -> None:
    for path, methods in served.app.openapi()["paths"].items():
        for method in methods:
            filled = path.replace("{study_uid}", "1.2").replace("{name}", "m").replace("{delivery_id}", "1")
            if filled in ("/healthz", "/readyz") or (method, path) == ("post", "/api/session"):
                continue
            with served.client() as stranger:
                served.app.state.strangers.forgive("testclient")
                answer = stranger.request(method, filled, json={"reason": "x"})
            # A question that is not as described is refused before it is asked who wants to know.
            assert answer.status_code in (401, 422), f"{method} {path}"
            assert answer.status_code == 401 or "401" in methods[method]["responses"]


def test_a_session_changes_nothing_without_what_its_pages_send_back(served: Served) -> None:
    client, csrf = served.person("anna", Role.ADMINISTRATOR)
    new = {"name": "t"}
    assert client.get("/api/tokens").status_code == 200
    assert client.post("/api/tokens", json=new).status_code == 403
    assert client.post("/api/tokens", json=new, headers={"X-CSRF-Token": csrf[:-1] + "x"}).status_code == 403
    assert client.post("/api/tokens", json=new, headers={"X-CSRF-Token": csrf}).status_code == 201


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(served: Served) -> None:
    served.accounts.add_person("anna", PASSCODE, Role.VIEWER, sees_names=False)
    sign_in = {"name": "anna", "passcode": PASSCODE}
    plain = served.client().post("/api/session", json=sign_in).headers["Set-Cookie"]
    assert "HttpOnly" in plain and "SameSite=strict" in plain and "Secure" not in plain
    secure = served.client(base_url="https://localhost").post("/api/session", json=sign_in).headers["Set-Cookie"]
    assert "Secure" in secure and secure.startswith("__Host-"), "nobody plants one from a page without TLS"


def test_a_session_ends_when_its_time_is_over_its_person_goes_or_signs_out(served: Served, clock: Hands) -> None:
    client, csrf = served.person("anna", Role.VIEWER)
    assert client.request("DELETE", "/api/session", headers={"X-CSRF-Token": csrf}).status_code == 200
    assert client.get("/api/caller").status_code == 401
    client, _ = served.person("ben", Role.VIEWER)
    assert client.get("/api/caller").status_code == 200
    clock.forward(8 * 3600 + 1)
    assert client.get("/api/caller").status_code == 401
    client, _ = served.person("cleo", Role.VIEWER)
    assert client.get("/api/caller").status_code == 200
    served.accounts.remove_person("cleo")
    assert client.get("/api/caller").status_code == 401


def test_wrong_guesses_run_out_by_address_and_by_name(served: Served) -> None:
    served.accounts.add_person("anna", PASSCODE, Role.VIEWER, sees_names=False)
    client, right = served.client(), {"name": "anna", "passcode": PASSCODE}
    for _ in range(10):
        assert client.post("/api/session", json={**right, "passcode": "wrong"}).status_code == 401
    answer = client.post("/api/session", json=right)
    assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
    assert served.client(address="192.0.2.9").post("/api/session", json=right).status_code == 200, "nor kept out"


def test_a_name_cannot_be_guessed_for_ever_from_ever_new_addresses(served: Served) -> None:
    client, wrong = served.client(), {"name": "nobody", "passcode": "wrong"}
    for _ in range(100):
        served.app.state.invented.take("nobody")
    assert client.post("/api/session", json=wrong).status_code == 429


def test_a_caller_that_asks_too_often_is_told_to_wait(db: Database, tmp_path: Path, clock: Hands) -> None:
    served = Served(db, tmp_path, clock, web={"requests_per_minute": 3})
    client = served.client(Role.VIEWER)
    statuses = [client.get("/api/caller").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert served.client(Role.OPERATOR).get("/api/caller").status_code == 200, "others are not held back"


def test_strangers_run_out_of_tries_and_nobody_who_is_known_does(served: Served) -> None:
    stranger = served.client()
    assert [stranger.get("/api/caller").status_code for _ in range(61)][-1] == 429
    assert served.client(Role.VIEWER).get("/api/caller").status_code == 200


def test_strangers_have_a_tenth_of_what_a_caller_has(db: Database, tmp_path: Path, clock: Hands) -> None:
    served = Served(db, tmp_path, clock, web={"requests_per_minute": 30})
    assert [served.client().get("/api/caller").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_rate_fills_up_with_time() -> None:
    now = [0.0]
    rate = Rate(2, 60.0, lambda: now[0])
    assert [rate.take("a") for _ in range(3)] == [0, 0, 30]
    assert rate.take("b") == 0
    now[0] = 30
    assert rate.wait("a") == 0 and rate.take("a") == 0 and rate.take("a") == 30


def test_a_name_stands_for_one_account_alone(served: Served) -> None:
    served.accounts.add_token("anna", Role.VIEWER, sees_names=False)
    with pytest.raises(DicomNodeError, match="has this name already"):
        served.accounts.add_person("anna", PASSCODE, Role.VIEWER, sees_names=False)
    with pytest.raises(DicomNodeError, match="letters, digits"):
        served.accounts.add_token("an na", Role.VIEWER, sees_names=False)
    with pytest.raises(DicomNodeError, match="15 to 256"):
        served.accounts.add_person("ben", "short", Role.VIEWER, sees_names=False)


def test_accounts_are_managed_over_the_interface_and_a_token_is_shown_once(served: Served) -> None:
    client = served.client(Role.ADMINISTRATOR)
    made = client.post("/api/tokens", json={"name": "prom", "days": 1})
    assert made.status_code == 201 and len(made.json()["token"]) == 43
    listed = client.get("/api/tokens").json()["accounts"]
    assert {one["name"] for one in listed} == {"prom", "administrator-blind"}
    assert made.json()["token"] not in client.get("/api/tokens").text
    assert problem(client.post("/api/tokens", json={"name": "prom"})) == (409, "the request")
    assert client.delete("/api/tokens/prom").status_code == 200
    assert problem(client.delete("/api/tokens/prom")) == (404, "token prom")
    person = {"name": "ben", "passcode": PASSCODE, "role": "operator"}
    assert client.post("/api/people", json=person).status_code == 201
    assert [one["role"] for one in client.get("/api/people").json()["accounts"]] == ["operator"]
    assert client.delete("/api/people/ben").status_code == 200


def test_what_is_reached_from_elsewhere_needs_a_certificate_or_a_proxy() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"web": {"port": 11180, "host": "0.0.0.0", "key": "k", "proxy_addresses": ["x"]}})
    assert {fault.key for fault in caught.value.faults} == {"web.host", "web.certificate", "web.proxy_addresses"}
    for more in ({"behind_proxy": True}, {"certificate": "c", "key": "k"}):
        assert parse({"web": {"port": 11180, "host": "0.0.0.0", **more}}).web.port
    for host in ("127.0.0.1", "::1", "localhost"):
        assert parse({"web": {"port": 11180, "host": host}}).web.port
    assert parse({"web": {"host": "0.0.0.0"}}).web.port == 0, "without a port nothing is reached"
