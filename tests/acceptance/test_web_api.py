"""The REST interface of a running node, held against its own description; and how the process comes and goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port

pytestmark = pytest.mark.acceptance

#: Enough for a fuzzer; what is held back is tested elsewhere.
_PER_MINUTE = 100_000


class Web:
    """A node that answers, and clients with tokens."""

    def __init__(self, node: Node, port: int) -> None:
        self.node, self.url = node, f"http://127.0.0.1:{port}"

    def token(self, name: str, *options: str) -> str:
        done = self.node.command("web", "token", "add", name, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture
def web(make_node: MakeNode, pacs: CountingPacs, models: Path) -> Iterator[Web]:
    port = free_port()
    table = {"port": port, "requests_per_minute": _PER_MINUTE}
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], models=models, web=table)
    node.start()
    yield Web(node, port)


def test_a_node_answers_as_it_describes_itself_whatever_it_is_asked(
    web: Web, pacs: CountingPacs, ct: Ct, tmp_path: Path
) -> None:
    send(ct.files, web.node.port)
    eventually(lambda: bool(web.node.rows("SELECT 1 FROM delivery WHERE state = 'done'")), what="a result")
    web.node.wait_idle()
    uid = ct.study
    with web.client(web.token("walker", "--role", "operator", "--names")) as client:
        (found,) = client.get("/api/studies").json()["studies"]
        assert found["study_instance_uid"] == uid and found["standing"] == "done"
        study = client.get(f"/api/studies/{uid}").json()
        assert [job["state"] for job in study["jobs"]] == ["done"] and study["jobs"][0]["stages"]
        assert all(one["can_go_again"] for one in study["deliveries"])
        stored = len(pacs.offers)
        first = study["deliveries"][0]["delivery_id"]
        assert client.post(f"/api/deliveries/{first}/resend").status_code == 200
        eventually(lambda: len(pacs.offers) > stored, what="the result to come again")
        assert client.post("/api/peers/PACS/echo").json()["failure"] == ""
        web.node.wait_idle()
    complaints = fuzzed(web, tmp_path, uid)
    assert complaints.returncode == 0, complaints.stdout[-8000:]
    assert "request failed" not in web.node.text(), "a bug was answered with 500"
    with web.client(web.token("after")) as client:
        assert client.get("/api/status").status_code == 200


def fuzzed(web: Web, folder: Path, study_uid: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis finds; half of what it asks is about a study that there is."""
    settings = folder / "schemathesis.toml"
    settings.write_text(f'[parameters]\n"path.study_uid" = {json.dumps([study_uid, "1.2.3"])}\n')
    checks = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "response_headers_conformance", "unsupported_method", "ignored_auth",
    )  # fmt: skip
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(settings), "run",
        f"{web.url}/api/openapi.json", "--include-path-regex", "^/api",
        "--header", f"Authorization: Bearer {web.token('fuzzer', '--role', 'administrator', '--names')}",
        "--phases", "examples,coverage,fuzzing", "--max-examples", "4", "--seed", "8", "--continue-on-failure",
        "--checks", ",".join(checks), "--no-color",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_the_process_drains_in_time_and_comes_again_after_it_was_killed(web: Web) -> None:
    token = web.token("t")
    client = web.client(token)
    assert client.get("/api/caller").json()["name"] == "t"
    os.kill(web.node.child("web"), signal.SIGKILL)

    def answers() -> bool:
        try:
            return client.get("/api/caller").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, what="the process to be started again")
    began = time.monotonic()
    assert web.node.stop() == 0
    assert time.monotonic() - began < 10 + 5, "drain_seconds and the margin"
    client.close()


def test_a_port_that_is_taken_is_one_sentence(web: Web, make_node: MakeNode) -> None:
    taken: dict[str, Any] = {"port": int(web.url.rsplit(":", 1)[1])}
    done = make_node("second", web=taken).command("run", "--only", "web")
    assert done.returncode != 0 and "web.port" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_unit_without_a_port_has_nothing_to_do_and_says_so(make_node: MakeNode) -> None:
    done = make_node().command("run", "--only", "web")
    assert done.returncode == 0 and "nothing to answer on" in done.stderr
