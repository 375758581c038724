"""A study moves to another patient at the PACS while its results wait for it: they arrive as the new patient's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicomnode.flow import failpoint
from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.peers import send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

MOVED = {
    "PatientID": "MOVED-2", "PatientName": "Moved^Müller", "PatientBirthDate": "19700102", "PatientSex": "F",
    "AccessionNumber": "A-MOVED",
}  # fmt: skip


def move(orthanc: Orthanc) -> None:
    """Give the only patient's study to another patient, and keep its UIDs."""
    # Orthanc 1.10 changes the Patient ID of whole patients alone, which is the same here.
    (name,) = orthanc.get("/patients")
    order: dict[str, Any] = {
        "Replace": MOVED, "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": True,
        "KeepSource": False, "Synchronous": True,
    }  # fmt: skip
    orthanc.post(f"/patients/{name}/modify", json.dumps(order).encode())
    assert [one["MainDicomTags"]["PatientID"] for one in orthanc.get("/patients?expand")] == [MOVED["PatientID"]]


@pytest.mark.parametrize("death", ["", *failpoint.IDENTITY_NAMES])
def test_results_of_a_study_that_was_moved_while_the_archive_was_away_arrive_once_under_the_new_patient(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int, tmp_path: Path, death: str
) -> None:
    orthanc = make_orthanc(node_port)
    for file in ct.files:
        orthanc.post("/instances", file.read_bytes())
    node = make_node(
        port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port)], deliver={"ask_after_seconds": 1}
    ).start()
    assert "PACS says whose a study is" in node.command("check").stdout
    orthanc.stop()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT failures FROM backoff WHERE failures >= 2"), what="the archive called in vain")
    assert node.rows("SELECT COUNT(*) FROM delivery WHERE state = 'waiting'") == [(2,)]
    node.stop()

    orthanc.start()
    move(orthanc)
    marker = tmp_path / "died"
    node.start({failpoint.VARIABLE: f"{death}={marker}"} if death else {})
    eventually(lambda: node.rows("SELECT 1 FROM job WHERE run = 2 AND state = 'done'"), 120, "the second run")
    node.wait_idle()

    assert marker.exists() == bool(death)
    found = orthanc.instances(ct.study)
    assert {modality: len(names) for modality, names in found.items()} == {"CT": len(ct.files), "SEG": 1, "SR": 1}
    for name in (*found["SEG"], *found["SR"]):
        result = dcmread(orthanc.fetch(name, tmp_path / name))
        assert {keyword: str(result[keyword].value) for keyword in MOVED} == MOVED
    studies = orthanc.get("/studies?expand")
    assert [one["PatientMainDicomTags"]["PatientID"] for one in studies] == [MOVED["PatientID"]]
    assert node.rows("SELECT run, state FROM job ORDER BY job_id") == [(1, "done"), (2, "done")]
    assert node.rows("SELECT run, delivery.state, COUNT(*) FROM delivery JOIN job USING (job_id) GROUP BY 1, 2") == [
        (1, "cancelled", 2), (2, "done", 2),
    ]  # fmt: skip
    story = [line for line in node.why(ct.study)["story"] if line["entity"] == "identity"]
    assert [(line["entity_id"], line["arrow"]) for line in story] == [("PACS", "changed")]
    assert not any(value in node.text() for value in MOVED.values() if len(value) > 1)
