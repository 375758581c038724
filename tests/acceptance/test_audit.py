"""The audit trail of the installed command: who sent what, who got what, who was not let in; whole after kill -9."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import CountingPacs, send
from tests.acceptance.phantom import PATIENT_ID, Ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually, free_port
from tests.certificates import Authority
from tests.unit.audit.collector import CollectorStandIn

pytestmark = pytest.mark.acceptance

SCHEMA = Path(__file__).parents[1] / "unit" / "audit" / "audit-message.rng"


def lines(node: Node) -> list[str]:
    files = sorted((node.store / "audit").glob("audit-*.log"))
    return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def told(node: Node, *words: str) -> list[str]:
    """Lines of the trail that hold all these words."""
    return [line for line in lines(node) if all(word in line for word in words)]


def verified(node: Node) -> dict[str, Any]:
    """What `audit verify` says; its words name no patient."""
    answer: dict[str, Any] = json.loads(node.command("audit", "verify", "--json").stdout)
    return answer


def analysed(node: Node, ct: Ct, pacs: CountingPacs) -> None:
    """A study goes in, and its results come out."""
    send(sorted(ct.folder.rglob("*.dcm")), node.port)
    eventually(lambda: len(pacs.offers) >= 2, what="results at the PACS")
    node.wait_idle()


def test_what_happens_to_a_study_is_in_the_trail(node: Node, ct: Ct, pacs: CountingPacs, tmp_path: Path) -> None:
    node.start()
    analysed(node, ct, pacs)
    AE("NOBODY").associate("127.0.0.1", node.port, contexts=ct_contexts(), ae_title="DICOMNODE")
    eventually(lambda: told(node, "110113", "110132", "NOBODY"), what="an alert about the stranger")
    assert node.stop() == 0

    (brought,) = told(node, '"110104"', ct.study, 'EventActionCode="C"')
    assert f'ParticipantObjectID="{PATIENT_ID}"' in brought and 'NumberOfInstances="12"' in brought
    assert len(told(node, '"110102"', ct.study)) == 1
    sent = told(node, '"110104"', ct.study, 'EventActionCode="R"')
    assert [one.count("<SOPClass ") for one in sent] == [1, 1], "each result as the peer has answered it"
    assert all("<Anonymized>false</Anonymized>" in one for one in sent)
    assert len(told(node, '"110120"')) == len(told(node, '"110121"')) == 3, "each process started and stopped"

    assert verified(node)["faults"] == []
    folder = node.store / "audit"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    _validate(lines(node), tmp_path)


def _validate(found: list[str], folder: Path) -> None:
    tool = shutil.which("xmllint")
    if tool is None:
        return
    paths = []
    for number, line in enumerate(found):
        paths.append(folder / f"message-{number}.xml")
        paths[-1].write_text(line.split(" ", 3)[3], encoding="utf-8")
    command = [tool, "--noout", "--relaxng", str(SCHEMA), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_trail_is_whole_after_kill_9_and_tells_of_the_association_that_was_cut(
    node: Node, ct: Ct, pacs: CountingPacs
) -> None:
    node.start()
    assoc = AE("ORTHANC").associate("127.0.0.1", node.port, contexts=ct_contexts(), ae_title="DICOMNODE")
    assert assoc.is_established
    first = sorted(ct.folder.rglob("*.dcm"))[0]
    assert assoc.send_c_store(str(first)).Status == 0
    node.kill()
    assert told(node, '"110104"') == [], "the association had not ended"

    node.start()
    (cut,) = told(node, '"110104"', ct.study)
    assert "the node ended during the association" in cut and f'"{PATIENT_ID}"' in cut
    analysed(node, ct, pacs)
    assert verified(node)["faults"] == []


def ct_contexts() -> list[Any]:
    ae = AE()
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"])
    return ae.requested_contexts


def test_a_certificate_that_is_not_believed_is_a_node_that_did_not_authenticate(
    make_node: MakeNode, tmp_path: Path, pacs: CountingPacs
) -> None:
    authority = Authority(tmp_path / "authority")
    own = authority.issue("node")
    port = free_port()
    table = {"port": port, "ca": str(authority.certificate), "certificate": str(own.certificate), "key": str(own.key)}
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], tls=table).start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    for _ in range(5):
        with (
            pytest.raises(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.recv(1)
            raise OSError("closed")
    eventually(lambda: told(node, "110113", "110126"), what="an alert about the handshake")
    assert node.text().count("tls_refused") == 1, "who tries again and again does not fill the log"
    assert len(told(node, "110126")) == 1


def test_a_collector_gets_the_whole_trail_also_what_happened_while_it_was_away(
    make_node: MakeNode, ct: Ct, pacs: CountingPacs, tmp_path: Path
) -> None:
    collector = CollectorStandIn(tmp_path / "ca").start()
    table = {"syslog_host": "localhost", "syslog_port": collector.port, "syslog_ca": str(collector.ca)}
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], audit=table).start()
    eventually(lambda: len(collector.frames) >= 3, what="the start of three processes at the collector")
    collector.stop()
    analysed(node, ct, pacs)
    collector.start()
    eventually(lambda: set(collector.sequences()) == set(range(1, len(lines(node)) + 1)), what="the whole trail")
    node.stop()
    node.start()
    eventually(lambda: set(collector.sequences()) == set(range(1, len(lines(node)) + 1)), what="the whole trail")
    node.stop()
    collector.stop()
    assert any(b"110104" in frame for frame in collector.frames)


def test_nothing_is_taken_that_cannot_be_recorded_where_the_trail_is_required(
    make_node: MakeNode, ct: Ct, pacs: CountingPacs
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], audit={"required": True})
    node.store.mkdir(parents=True)
    (node.store / "audit").write_text("a file stands in the way")
    node.start()
    assoc = AE("ORTHANC").associate("127.0.0.1", node.port, contexts=ct_contexts(), ae_title="DICOMNODE")
    eventually(lambda: not assoc.is_established, what="the association to be aborted")
    node.says("audit_trail_not_written")
    assert node.rows("SELECT COUNT(*) FROM instance") == [(0,)]

    (node.store / "audit").unlink()
    analysed(node, ct, pacs)
    assert told(node, "messages since"), "what is missing is told"
    assert verified(node)["faults"] == []
