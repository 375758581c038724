"""A study comes from Orthanc and its results go back, both over TLS; what `check` says of certificates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.peers import CountingPacs
from tests.acceptance.phantom import Ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port
from tests.certificates import Authority, Identity

pytestmark = pytest.mark.acceptance


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def beside(node: Node, authority: Authority, identity: Identity) -> None:
    """Put the files of a node where its configuration names them."""
    shutil.copy(authority.certificate, node.folder / "ca.pem")
    shutil.copy(identity.certificate, node.folder / "node.pem")
    shutil.copy(identity.key, node.folder / "node.key")


TABLE = {"certificate": "node.pem", "key": "node.key", "ca": "ca.pem"}


def test_orthanc_sends_a_study_and_gets_its_results_over_tls_alone(
    make_node: MakeNode, make_orthanc: MakeOrthanc, authority: Authority, ct: Ct
) -> None:
    secure_port = free_port()
    pacs = authority.issue("pacs")
    secured = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pacs.certificate),
        "DicomTlsPrivateKey": str(pacs.key),
        "DicomTlsTrustedCertificates": str(authority.certificate),
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {
            "NODE": {"AET": "DICOMNODE", "Host": "127.0.0.1", "Port": secure_port, "UseDicomTls": True}
        },
    }  # fmt: skip
    orthanc = make_orthanc(0, more=secured)
    entry = peer("PACS", orthanc.aet, orthanc.port, tls=True, certificate_subject="CN=pacs, O=Hospital")
    node = make_node(peers=[entry], tls={**TABLE, "port": secure_port, "only": True})
    beside(node, authority, authority.issue("node"))

    checked = node.command("check")
    assert checked.returncode in (0, 3), checked.stdout
    assert "answers C-ECHO" in checked.stdout and "PS3.15 B.12" in checked.stdout

    node.start()
    stored = [orthanc.post("/instances", path.read_bytes()) for path in sorted(ct.folder.rglob("*.dcm"))]
    orthanc.post("/modalities/NODE/store", json.dumps([stored[0]["ParentStudy"]]).encode())

    found = eventually(lambda: {"SEG", "SR"} <= set(orthanc.instances(ct.study)), what="results in Orthanc")
    assert found
    assert "certificate='O=Hospital, CN=pacs'" in node.text()


def test_check_tells_of_certificates_that_end_and_the_log_does_too(
    make_node: MakeNode, authority: Authority, pacs: CountingPacs
) -> None:
    table = {**TABLE, "port": free_port()}
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], tls=table)
    beside(node, authority, authority.issue("soon", days=29))

    told = {one["subject"]: one for one in json.loads(node.command("check", "--json").stdout)}

    assert told["tls.certificate O=Hospital, CN=soon"]["verdict"] == "warn"
    assert told["tls.ca O=Hospital, CN=Test authority"]["verdict"] == "ok"
    node.start()
    assert "certificate_ends" in node.says("certificate_ends")


def test_check_fails_on_an_expired_certificate_and_on_an_open_key(
    make_node: MakeNode, authority: Authority, pacs: CountingPacs
) -> None:
    table = {**TABLE, "port": free_port()}
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], tls=table)
    beside(node, authority, authority.issue("gone", days=-1))
    done = node.command("check", "--json")
    told = {one["subject"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert told["tls.certificate O=Hospital, CN=gone"]["verdict"] == "fail"

    (node.folder / "node.key").chmod(0o644)
    failed = [one for one in json.loads(node.command("check", "--json").stdout) if one["verdict"] == "fail"]
    assert [one["found"].split(" = ")[0] for one in failed] == ["tls.key"]
    assert "chmod 0600" in failed[0]["remedy"]
    # Nor does the node start with it: exit status 2 says that the configuration is at fault.
    assert node.command("run").returncode == 2
