"""Storage commitment with Orthanc: it commits to our results, and asks us to commit to images that it has sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually, free_port

pytestmark = pytest.mark.acceptance

CT = "1.2.840.10008.5.1.4.1.1.2"


def test_orthanc_commits_to_every_result_that_it_was_sent(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int
) -> None:
    orthanc = make_orthanc(node_port)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port, commitment=True)]).start()
    assert "Storage Commitment Push Model accepted" in node.command("check").stdout

    assert set(send(ct.files, node.port).values()) == {0}

    def confirmed() -> bool:
        rows = node.rows("SELECT state, confirmed_by, confirmed_at > changed_at FROM delivery")
        return len(rows) >= 2 and set(rows) == {("done", "commitment", 1)}

    eventually(confirmed, what="every delivery confirmed")
    assert node.rows("SELECT COUNT(*) FROM commitment_transaction") == [(1,)], "one request for the batch"
    lines = [(line["arrow"], line["detail"]) for line in node.why(ct.study)["story"] if line["entity"] == "commitment"]
    assert lines == [("confirmed", "2 objects, by storage commitment")]


def test_what_an_archive_does_not_commit_to_is_found_by_c_find(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int
) -> None:
    orthanc = make_orthanc(node_port)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port, verify=True)]).start()

    assert set(send(ct.files, node.port).values()) == {0}

    def confirmed() -> bool:
        rows = node.rows("SELECT DISTINCT state, confirmed_by FROM delivery")
        return rows == [("done", "query")]

    eventually(confirmed, what="every delivery confirmed")


def asked_by(scanner: Orthanc, objects: list[list[str]]) -> Any:
    """What an Orthanc hears of its request to the node for these objects (SOP class, SOP instance)."""
    transaction = scanner.post("/modalities/NODE/storage-commitment", json.dumps({"DicomInstances": objects}).encode())
    report = f"/storage-commitment/{transaction['ID']}"

    def answered() -> Any:
        found = scanner.get(report)
        return found if found["Status"] != "Pending" else None

    return eventually(answered, what="the report of the node")


@pytest.mark.parametrize("by", [{"commitment": True}, {}], ids=["commitment", "query"])
def test_a_modality_hears_that_its_images_are_kept_only_where_an_archive_keeps_them(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int, by: dict[str, bool], tmp_path: Path
) -> None:
    pacs, scanner_port = make_orthanc(node_port), free_port()
    scanner = make_orthanc(
        node_port, more={"DicomAet": "SCANNER", "DicomPort": scanner_port, "DicomCheckCalledAet": False}
    )
    node = make_node(
        port=node_port,
        peers=[
            peer("PACS", pacs.aet, pacs.port, **by),
            peer("CT1", "SCANNER", scanner_port, role="modality", committed_by=["PACS"]),
        ],
        rules="",
        commitment={"answer_within_seconds": 4},
    ).start()
    assert set(send(ct.files, node.port, calling="SCANNER").values()) == {0}
    for file in ct.files[:-1]:
        pacs.post("/instances", file.read_bytes())
    sent = [uid for (uid,) in node.rows("SELECT sop_instance_uid FROM instance ORDER BY path")]
    there = {
        str(pacs.get(f"/instances/{one}/tags?simplify")["SOPInstanceUID"]) for one in pacs.get("/instances")
    }  # fmt: skip

    kept = asked_by(scanner, [[CT, uid] for uid in sorted(there)])
    mixed = asked_by(scanner, [[CT, uid] for uid in sent] + [[CT, "1.2.3"]])

    assert kept["Status"] == "Success" and len(kept["Success"]) == 11
    assert mixed["Status"] == "Failure" and len(mixed["Success"]) == 11
    (lacking,) = set(sent) - there
    failed = {one["SOPInstanceUID"]: one["FailureReason"] for one in mixed["Failures"]}
    assert failed == {lacking: 0x0112, "1.2.3": 0x0112}
