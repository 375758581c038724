"""The page on Orthanc works: its JSON in Orthanc, its TOML in the node, its script for studies that are stable."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.phantom import Ct
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually, free_port
from tests.unit.docs.documents import DOCS, blocks

pytestmark = pytest.mark.acceptance

PAGE = DOCS / "howto" / "orthanc.md"


def test_a_study_that_is_stable_in_orthanc_comes_back_with_seg_and_report(
    make_node: MakeNode, make_orthanc: MakeOrthanc, ct: Ct, node_port: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = json.loads(next(blocks(PAGE, "json")))
    modality = settings["DicomModalities"]["node"]
    assert (modality["AET"], modality["Port"]) == ("DICOMNODE", 11112)
    settings["DicomPort"], modality["Port"] = free_port(), node_port
    entry = tomllib.loads(next(blocks(PAGE, "toml")))["peer"][0]
    assert entry.pop("host") == "127.0.0.1"
    assert entry.pop("port") == 4242
    orthanc = make_orthanc(node_port, lua=next(blocks(PAGE, "lua")), more=settings)
    name, aet = entry.pop("name"), entry.pop("aet")
    node = make_node(port=node_port, peers=[peer(name, aet, settings["DicomPort"], **entry)]).start()

    for file in ct.files:
        orthanc.post("/instances", Path(file).read_bytes())

    eventually(lambda: {"SEG", "SR"} <= set(orthanc.instances(ct.study)), 120, "SEG and SR in Orthanc")
    asked = node.command("check")
    assert "C-ECHO" in asked.stdout or f"peer {name}" in asked.stdout, asked.stdout
    node.wait_idle()
    # What the pages print of a story and of `route` is what the verbs print.
    story, routed = node.command("why", ct.study[:12]).stdout, node.command("route", ct.folder).stdout
    quick, rule = (DOCS / "quick-start.md").read_text(), (DOCS / "howto" / "rule.md").read_text()
    for words in (
        "study revision 1 opened  first object from ORTHANC at 127.0.0.1, sent to DICOMNODE",
        "association closed and quiet for 0.5 s", "(CT, 12 objects) matches: Modality equals CT: found CT",
        "→ PACS: done  0000 Success",
    ):  # fmt: skip
        assert words in quick
        assert words in story
    assert "(CT, 12 objects) matches: Modality equals CT: found CT" in rule
    assert "(CT, 12 objects) matches: Modality equals CT: found CT" in routed
