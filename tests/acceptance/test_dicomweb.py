"""Studies in and results out over the web, with Orthanc's DICOMweb plugin and a client of others."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from dicomnode.flow.failpoint import VARIABLE
from tests.acceptance.conftest import MakeNode
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import CountingPacs, data_set_of
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port

pytestmark = pytest.mark.acceptance


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc that speaks DICOMweb; to be started by the test."""
    one = Orthanc(tmp_path / "orthanc", free_port(), dicomweb=True)
    yield one
    one.stop()


@pytest.fixture
def port() -> int:
    """Where the node takes what is posted."""
    return free_port()


def token(node: Node, name: str) -> str:
    """A new token of that name."""
    done = node.command("web", "token", "add", name, "--role", "viewer")
    assert done.returncode == 0, done.stderr
    return max(done.stdout.split(), key=len)


def posting(node: MakeNode, port: int, orthanc: Orthanc, **more: object) -> Node:
    """A node whose only peer is on the web in both directions."""
    entry = peer("PACS", orthanc.aet, 0, stow=orthanc.dicomweb, token="pacs", **more)
    return node(peers=[entry], stow={"port": port, "tls": False})


def post(port: int, secret: str, ct: Ct) -> list[str]:
    """Post a study as a client of others does; the objects that were acknowledged."""
    client = DICOMwebClient(
        f"http://127.0.0.1:{port}/dicomweb", headers={"Authorization": f"Bearer {secret}"}, chunk_size=100_000
    )
    client.set_http_retry_params(retry=False)
    answer = client.store_instances([dcmread(file) for file in ct.files], study_instance_uid=ct.study)
    return sorted(str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence", ()))


def uids(ct: Ct) -> list[str]:
    return sorted(str(dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in ct.files)


def assert_nothing_lost(node: Node, ct: Ct) -> None:
    """Every object is in the books and on the disk once, byte for byte, and nothing else is."""
    kept = [node.store / path for (path,) in node.rows("SELECT path FROM instance WHERE standing = 'current'")]
    assert sorted(map(data_set_of, kept)) == sorted(map(data_set_of, ct.files))
    assert {path for path in (node.store / "studies").rglob("*") if path.is_file()} == set(kept)
    assert list((node.store / "incoming").iterdir()) == []


def test_an_archive_posts_a_study_and_gets_its_results_posted(
    make_node: MakeNode, orthanc: Orthanc, port: int, ct: Ct, tmp_path: Path
) -> None:
    node = posting(make_node, port, orthanc)
    secret = token(node, "pacs")
    orthanc.start()
    for file in ct.files:
        orthanc.post("/instances", file.read_bytes())
    (study,) = orthanc.get("/studies")
    server: Any = {"Url": f"http://127.0.0.1:{port}/dicomweb", "HttpHeaders": {"Authorization": f"Bearer {secret}"}}
    address = orthanc.dicomweb
    assert requests.put(f"{address}/servers/node", json=server, timeout=60).ok
    node.start()

    request = json.dumps({"Resources": [study], "Synchronous": True}).encode()
    orthanc.post("/dicom-web/servers/node/stow", request)

    eventually(lambda: len(orthanc.instances(ct.study)) == 3, what="the results in Orthanc")
    node.wait_idle()
    kept = orthanc.instances(ct.study)
    assert {modality: len(instances) for modality, instances in kept.items()} == {"CT": 12, "SEG": 1, "SR": 1}
    made = [data_set_of(node.store / path) for (path,) in node.rows("SELECT path FROM result")]
    for modality in ("SEG", "SR"):
        came = orthanc.fetch(kept[modality][0], tmp_path / modality)
        assert data_set_of(came) in made
    assert node.rows("SELECT state, attempts FROM delivery") == [("done", 1), ("done", 1)]
    assert node.rows("SELECT calling_aet, peer FROM study") == [("ORTHANC", "PACS")]
    check = json.loads(node.command("check", "--json").stdout)
    checks = check if isinstance(check, list) else check["checks"]
    assert any("PACS" in one["subject"] and one["verdict"] == "ok" for one in checks)
    assert node.command("echo", "PACS").returncode == 0
    trail = "".join(path.read_text() for path in (node.store / "audit").iterdir() if path.is_file())
    assert trail.count(ct.study) >= 3


def test_results_wait_for_an_archive_that_is_away(make_node: MakeNode, orthanc: Orthanc, port: int, ct: Ct) -> None:
    node = posting(make_node, port, orthanc)
    secret = token(node, "pacs")
    node.start()
    assert post(port, secret, ct) == uids(ct)
    eventually(lambda: node.rows("SELECT failures FROM backoff WHERE failures > 1"), what="tries that failed")
    assert {state for (state,) in node.rows("SELECT state FROM delivery")} == {"waiting"}
    assert node.command("echo", "PACS").returncode == 1
    orthanc.start()
    node.wait_idle()
    orthanc.stop()
    orthanc.start()
    kept = orthanc.instances(ct.study)
    assert {modality: len(instances) for modality, instances in kept.items()} == {"SEG": 1, "SR": 1}
    assert {state for (state,) in node.rows("SELECT state FROM delivery")} == {"done"}


@pytest.mark.parametrize("name", ["intake.before_commit", "intake.after_commit"])
def test_a_kill_at_a_commit_loses_nothing_that_was_acknowledged(
    make_node: MakeNode, pacs: CountingPacs, port: int, tmp_path: Path, name: str
) -> None:
    ct = make_ct(tmp_path / "ct", announced=12)
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, token="pacs")], stow={"port": port, "tls": False})
    secret, marker = token(node, "pacs"), tmp_path / "killed"
    node.start({VARIABLE: f"{name}={marker}"})
    with pytest.raises(requests.ConnectionError):
        post(port, secret, ct)
    assert marker.exists()

    def stored() -> list[str]:
        try:
            return post(port, secret, ct)
        except requests.ConnectionError:
            return []

    assert eventually(stored, what="the listener to be back") == uids(ct)
    node.wait_idle()
    assert_nothing_lost(node, ct)
    assert node.rows("SELECT state, run, revision FROM job") == [("done", 1, 1)]


def test_what_was_answered_survives_the_end_of_everything(
    make_node: MakeNode, pacs: CountingPacs, port: int, ct: Ct
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, token="pacs")], stow={"port": port, "tls": False})
    secret = token(node, "pacs")
    node.start()
    assert post(port, secret, ct) == uids(ct)
    node.kill()
    node.start()
    node.wait_idle()
    assert_nothing_lost(node, ct)


def test_a_kill_in_the_middle_of_a_request_leaves_nothing_half(
    make_node: MakeNode, pacs: CountingPacs, port: int, ct: Ct
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, token="pacs")], stow={"port": port, "tls": False})
    secret = token(node, "pacs")
    node.start()
    parts = [b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file.read_bytes() + b"\r\n" for file in ct.files]
    body = b"".join(parts) * 20  # so long that some of it is kept before it ends
    head = (
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {secret}\r\n"
        'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n'
        f"Content-Length: {len(body) + 5}\r\n\r\n"
    ).encode()
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        connection.sendall(head + body)
        eventually(lambda: node.rows("SELECT 1 FROM instance"), what="objects in the books")
        assert node.rows("SELECT COUNT(*) FROM association") == [(1,)]
        os.kill(node.child("receive"), signal.SIGKILL)
    eventually(lambda: "process died" in node.text(), what="the death to be noticed")
    eventually(
        lambda: node.text().count("node ready") and node.rows("SELECT 1 FROM association") == [], what="recovery"
    )

    def stored() -> list[str]:
        try:
            return post(port, secret, ct)
        except requests.ConnectionError:
            return []

    assert eventually(stored, what="the listener to be back") == uids(ct)
    node.wait_idle()
    assert_nothing_lost(node, ct)


def test_a_reload_gives_the_port_on(make_node: MakeNode, pacs: CountingPacs, port: int, ct: Ct) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, token="pacs")], stow={"port": port, "tls": False})
    secret = token(node, "pacs")
    node.start()
    before = node.child("receive")
    assert post(port, secret, ct) == uids(ct)
    node.peers.append(peer("OTHER", "OTHER", 104))
    node.configure()
    done = node.command("reload")
    assert done.returncode == 0, done.stderr
    eventually(lambda: before not in node.processes(), what="the former process to be gone")
    assert eventually(lambda: post(port, secret, ct), what="an answer") == uids(ct)
    assert "process died" not in node.text()
