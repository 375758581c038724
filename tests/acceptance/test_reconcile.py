"""A study that an archive did not send is found, sent by the command that is named, and then has its results."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.peers import send
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.running import Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def reconciled(node: Node, status: int) -> dict[str, Any]:
    done = node.command("reconcile", "PACS", "--since", "24h", "--json")
    assert done.returncode == status, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_study_that_orthanc_never_sent_is_found_sent_by_the_named_command_and_found_analysed(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int, tmp_path: Path
) -> None:
    if shutil.which("movescu") is None:
        pytest.skip("movescu is not installed; Debian package dcmtk")
    allowed = {"DicomAlwaysAllowMove": True, "DicomAlwaysAllowFind": True}
    orthanc = make_orthanc(node_port, more=allowed)
    known, forgotten = ct, make_ct(tmp_path / "forgotten", seed=2)
    for file in (*known.files, *forgotten.files):
        orthanc.post("/instances", file.read_bytes())
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port)]).start()
    assert set(send(known.files, node.port).values()) == {0}
    node.wait_idle()

    found = reconciled(node, 1)
    assert (found["studies"], found["matching"]) == (2, 2)
    (one,) = found["lacking"]
    assert (one["study_instance_uid"], one["why"], one["rule"]) == (forgotten.study, "never came here", "dense")

    moved = subprocess.run(shlex.split(one["command"]), capture_output=True, text=True, timeout=60, check=False)
    assert moved.returncode == 0, moved.stderr
    came = "SELECT 1 FROM study WHERE study_instance_uid = ?"
    eventually(lambda: node.rows(came, forgotten.study), what="it to come")
    node.wait_idle()
    found = reconciled(node, 0)
    assert found["matching"] == 2 and found["lacking"] == []
    for study in (known.study, forgotten.study):
        assert {"CT", "SEG", "SR"} == set(orthanc.instances(study))

    for series in orthanc.get("/series?expand"):
        if series["MainDicomTags"]["Modality"] == "SR":
            orthanc.delete(f"/series/{series['ID']}")
    lost = reconciled(node, 1)["lacking"]
    assert {one["why"] for one in lost} == {"1 series of results were delivered and are not there any more"}
    assert len(lost) == 2
    # Every question is in the audit trail (110112, DCM, "Query"), which the log of a test must not show.
    trail = b"".join(path.read_bytes() for path in (node.store / "audit").iterdir())
    assert trail.count(b"110112") >= 9
