"""How often somebody may guess, from where, and what they may send before they are known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from httpx import Client

from dicomnode.domain.role import Role
from dicomnode.store.database import Database
from dicomnode.web.rates import Rate, place_of
from tests.conftest import Hands
from tests.unit.web.served import PASSCODE, Served, problem


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    made = Served(db, tmp_path, clock, web={"upload_mib": 2})
    for name in ("ada", "vera"):
        made.accounts.add_person(name, PASSCODE, Role.VIEWER, sees_names=False)
    return made


def guess(client: Client, name: str, passcode: str = "wrong") -> int:
    return client.post("/api/session", json={"name": name, "passcode": passcode}).status_code


def test_who_knows_one_passcode_has_no_more_guesses_of_another(served: Served) -> None:
    client = served.client()
    statuses = [guess(client, "ada") for _ in range(9)]
    assert guess(client, "vera", PASSCODE) == 200
    statuses += [guess(client, "ada") for _ in range(9)]
    assert statuses.count(401) == 10 and set(statuses[10:]) == {429}
    assert guess(served.client(address="192.0.2.9"), "ada", PASSCODE) == 200, "she comes in from elsewhere"


def test_as_many_guesses_count_at_once_as_one_after_another(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.store.web_people.matches", lambda *_: False)
    client = served.client()
    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda _: guess(client, "ada"), range(30)))
    assert statuses.count(401) <= 10 and set(statuses) <= {401, 429}


def test_one_address_alone_never_uses_up_what_a_name_has(served: Served) -> None:
    now = [0.0]
    state = served.app.state
    for rate in (state.wrong, state.paired, state.guessed):
        rate.monotonic = lambda: now[0]
    client, statuses = served.client(), []
    for _ in range(60):
        now[0] += 1200.0
        # Ten tries whenever one may have come back, for most of a day.
        state.requests.forgive("ada")
        while not state.paired.wait("testclient ada") and not state.wrong.wait("testclient"):
            for rate, key in ((state.paired, "testclient ada"), (state.wrong, "testclient"), (state.guessed, "ada")):
                statuses.append(rate.take(key))
    assert guess(client, "ada") == 429 and set(statuses) == {0.0}
    assert guess(served.client(address="192.0.2.9"), "ada", PASSCODE) == 200


def test_invented_names_make_nothing_forgotten(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.web.rates._REMEMBERED", 3)
    for _ in range(100):
        served.app.state.guessed.take("ada")
    for number in range(8):
        assert guess(served.client(), f"nobody{number}") == 401
    assert guess(served.client(address="192.0.2.9"), "ada", PASSCODE) == 429


def test_of_ipv6_a_whole_network_counts_as_one_address() -> None:
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:1") == place_of("2001:db8::2%eth0")
    assert place_of("2001:db8:0:1::1") != place_of("2001:db8::1")
    assert place_of("::ffff:192.0.2.7") == place_of("192.0.2.7") != place_of("192.0.2.8")
    assert place_of("testclient") == "testclient"


def test_what_is_given_back_is_never_more_than_there_was() -> None:
    rate = Rate(2, 60.0, lambda: 0.0)
    rate.take("a")
    for _ in range(3):
        rate.give_back("a")
    assert [rate.take("a") for _ in range(3)] == [0, 0, 30]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403), ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": "http://localhost:11180"}, 200), ({"Sec-Fetch-Site": "none"}, 200), ({}, 200),
    ],
)  # fmt: skip
def test_nobody_is_signed_in_by_the_page_of_another_site(served: Served, headers: dict[str, str], status: int) -> None:
    right = {"name": "vera", "passcode": PASSCODE}
    client = served.client()
    assert client.post("/api/session", json=right, headers=headers).status_code == status
    page = served.client().post("/sign-in", data=right, headers=headers, follow_redirects=False)
    assert page.status_code == (303 if status == 200 else 403) and ("Set-Cookie" in page.headers) == (status == 200)


def test_what_others_send_as_authorization_does_not_hide_the_session(served: Served) -> None:
    client, _ = served.person("anna", Role.VIEWER)
    assert client.get("/api/caller", headers={"Authorization": "Basic YTpi"}).json()["name"] == "anna"
    assert client.get("/api/caller", headers={"Authorization": "Bearer nope"}).status_code == 401


@pytest.mark.parametrize("path", ["/api/rules/test", "/rules"])
def test_a_file_is_taken_of_those_who_are_known_alone(served: Served, path: str) -> None:
    upload = {"file": ("a.dcm", b"x" * (3 << 19))}
    assert served.client(Role.VIEWER).post(path, files=upload).status_code == 200
    refused = served.client().post(path, files=upload)
    assert problem(refused) == (401, "the caller") and refused.headers["WWW-Authenticate"] == "Bearer"
    assert served.client(Role.SENDER).post(path, files=upload).status_code == 401


def test_a_file_is_taken_where_one_is_tried_and_nowhere_else(served: Served) -> None:
    upload = {"file": ("a.dcm", b"x" * (3 << 19))}
    for path in ("/sign-in", "/api/session", "/api/search", "/studies", "/dicomweb/studies"):
        assert served.client(Role.VIEWER).post(path, files=upload).status_code == 413, path
