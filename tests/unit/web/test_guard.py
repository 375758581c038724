"""What every request meets before it is answered, and what every answer says to browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.domain.errors import DicomNodeError, OutOfResources
from dicomnode.domain.role import Role
from dicomnode.store.database import Database
from tests.conftest import Hands
from tests.unit.web.served import Served, problem


@pytest.fixture
def served(db: Database, tmp_path: Path, clock: Hands) -> Served:
    return Served(db, tmp_path, clock, web={"names": ["Node.Hospital.example"], "upload_mib": 1})


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True), ("LOCALHOST:11180", True), ("127.0.0.1:11180", True), ("[::1]:11180", True),
        ("192.0.2.7", True), ("node.hospital.example", True), ("node.hospital.example.:443", True),
        ("evil.example", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
        ("evil.example:127.0.0.1", False), ("localhost@evil.example", False),
    ],
)  # fmt: skip
def test_only_what_is_sent_to_a_name_of_this_node_is_answered(served: Served, host: str, ours: bool) -> None:
    answer = served.client().get("/api/caller", headers={"Host": host})
    assert answer.status_code == (401 if ours else 421)
    assert ours or problem(answer) == (421, "Host")


@pytest.mark.parametrize("path", ["/api", "/api/status", "/api/nowhere", "/api/openapi.json"])
def test_every_answer_tells_browsers_to_trust_nobody_else(served: Served, path: str) -> None:
    for host in ("localhost", "evil.example"):
        headers = served.client().get(path, headers={"Host": host}).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers


def test_a_body_that_is_too_large_is_refused_also_by_who_does_not_say_how_large_it_is(served: Served) -> None:
    client = served.client(Role.VIEWER)
    assert problem(client.post("/api/session", content=b"x" * ((1 << 20) + 1)))[0] == 413

    def dribbled() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (1 << 17)

    assert problem(client.post("/api/search", content=dribbled()))[0] == 413
    upload = {"file": ("a.dcm", b"x" * (2 << 20))}
    assert problem(client.post("/api/rules/test", files=upload))[0] == 413


def test_what_goes_wrong_is_always_told_in_the_same_form(served: Served) -> None:
    client = served.client(Role.ADMINISTRATOR)
    assert problem(client.get("/api/nowhere"))[0] == 404
    assert problem(client.put("/api/status"))[0] == 405
    assert problem(client.get("/api/studies/1.2.3")) == (404, "study 1.2.3")
    assert problem(client.get("/api/studies/..%2f..%2fetc"))[0] in (404, 422)
    assert problem(client.get("/api/studies/1.2.x")) == (422, "path.study_uid")
    assert problem(client.post("/api/people", content=b"{", headers={"Content-Type": "application/json"}))[0] == 422
    told = client.post("/api/people", json={"name": "x", "passcode": "DONT^LOGME"})
    assert told.status_code == 422 and "LOGME" not in told.text


def test_an_error_of_ours_is_its_sentence_a_full_disk_503_and_a_bug_no_traceback(served: Served) -> None:
    errors = {
        "/api/ours": DicomNodeError("series 1.2: no gap may be there"),
        "/api/full": OutOfResources("the disk is full"),
        "/api/bug": ValueError("DOE^JOHN"),
    }

    def raising(error: Exception) -> None:
        def answer() -> None:
            raise error

        path = next(path for path, one in errors.items() if one is error)
        served.app.add_api_route(path, answer)

    for error in errors.values():
        raising(error)
    client = served.client()
    assert client.get("/api/ours").json()["found"] == "series 1.2: no gap may be there"
    full = client.get("/api/full")
    assert full.status_code == 503 and int(full.headers["Retry-After"]) > 0
    bug = client.get("/api/bug")
    assert problem(bug) == (500, "the node") and "DOE" not in bug.text and "Traceback" not in bug.text
    assert "frame-ancestors 'none'" in bug.headers["Content-Security-Policy"]
