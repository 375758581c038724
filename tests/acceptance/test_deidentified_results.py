"""A destination that may not know the patient gets results without him, which still refer to each other."""

from __future__ import annotations

import json
import os
from io import BytesIO

import pytest
from pydicom import dcmread

from tests.acceptance.conftest import MakeNode
from tests.acceptance.peers import SEG, SR, CountingPacs, send
from tests.acceptance.phantom import PATIENT_ID, Ct
from tests.acceptance.reading import numbers, referenced_instances
from tests.acceptance.running import RULE, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance


def test_results_reach_a_research_archive_without_their_patient(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    more = {"deidentify": ["device", "dates-modified"]}
    rules = RULE.replace('model = "toy"', 'model = "toy"\noutputs = ["seg", "sr", "picture"]')
    peers = [peer("PACS", pacs.aet, pacs.port, **more)]
    node = make_node(peers=peers, rules=rules, deidentify={"secret_file": "secret"})
    secret = node.configuration.parent / "secret"
    secret.write_bytes(os.urandom(32))
    secret.chmod(0o600)
    node.start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: pacs.offers, what="a result in the archive")
    node.wait_idle()

    (seg,), (report,) = pacs.of_class(SEG), pacs.of_class(SR)
    assert seg.SOPInstanceUID in referenced_instances(report)
    assert any("Volume" in name for _, name in numbers(report))
    assert {seg.PatientIdentityRemoved, report.PatientIdentityRemoved} == {"YES"}
    assert seg.PatientID == report.PatientID != PATIENT_ID
    # Nothing that the scanner named is named here: not the patient, not the study, no image.
    known = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in ct.files} | {ct.study}
    for ds in (seg, report):
        stream = BytesIO()
        ds.save_as(stream, implicit_vr=False, little_endian=True)
        data = stream.getvalue()
        assert b"LOGME" not in data and PATIENT_ID.encode() not in data
        assert [uid for uid in known if uid.encode() in data] == []
    (row,) = node.rows("SELECT sop_instance_uid FROM result WHERE role = 'seg'")
    assert seg.SOPInstanceUID != row[0], "the node knows the object by its own UID"
    assert all(state == "done" for (state,) in node.rows("SELECT DISTINCT state FROM delivery"))

    found = {one["subject"]: one["verdict"] for one in json.loads(node.command("check", "--json").stdout)}
    assert found["de-identification for PACS"] == "ok"
    modes = {path.stat().st_mode & 0o077 for path in (node.folder / "store").rglob("*")}
    assert modes == {0}, "files of the store are for the node alone"
