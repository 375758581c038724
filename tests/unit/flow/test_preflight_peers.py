"""The check before the start says what every destination accepts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE

from dicomnode.config import parse
from dicomnode.flow.preflight.peers import peers
from dicomnode.flow.verdict import Check, Verdict
from dicomnode.store.database import Database


@pytest.fixture
def port() -> Iterator[int]:
    """Of an archive that takes SEG and nothing else of ours."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(SegmentationStorage, ExplicitVRLittleEndian)
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield server.server_address[1]
    ae.shutdown()


def checks(folder: Path, port: int, **more: Any) -> dict[str, Check]:
    document = {
        "store": {"folder": str(folder)},
        "deliver": {"connect_timeout_seconds": 5},
        "peer": [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": port, **more}],
    }
    return {one.subject: one for one in peers(parse(document))}


def test_what_a_destination_accepts_is_told_kind_by_kind_with_the_date(tmp_path: Path, port: int) -> None:
    found = checks(tmp_path, port)
    seg, report, contours = found["PACS takes seg"], found["PACS takes sr"], found["PACS takes rtstruct"]
    assert seg.verdict is Verdict.OK and seg.found.startswith("Explicit VR Little Endian (asked 20")
    assert report.verdict is Verdict.WARN and report.found.startswith("not accepted (asked 20")
    assert "Comprehensive 3D SR Storage" in report.remedy
    assert contours.verdict is Verdict.OK and contours.found.startswith("not accepted")


def test_a_kind_that_a_destination_lists_and_does_not_accept_is_a_warning(tmp_path: Path, port: int) -> None:
    found = checks(tmp_path, port, outputs=["rtstruct"])
    assert found["PACS takes rtstruct"].verdict is Verdict.WARN
    assert found["PACS takes sr"].verdict is Verdict.OK


def test_of_a_peer_that_is_away_its_last_answer_is_shown(tmp_path: Path) -> None:
    ae = AE(ae_title="PACS")
    ae.add_supported_context(SegmentationStorage, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    port = server.server_address[1]
    assert "PACS takes seg" in checks(tmp_path, port) and not list(tmp_path.iterdir()), "a check sets up no store"
    Database(tmp_path / "node.db").close()
    asked = checks(tmp_path, port)
    ae.shutdown()
    found = checks(tmp_path, port)
    (echo,) = [one for subject, one in found.items() if subject.startswith("peer PACS")]
    assert echo.verdict is Verdict.FAIL
    assert found["PACS takes seg"] == asked["PACS takes seg"]


def test_a_modality_that_is_sent_nothing_is_not_asked(tmp_path: Path) -> None:
    (only,) = checks(tmp_path, 1, role="modality").values()
    assert only.verdict is Verdict.OK and "not asked" in only.found


def test_a_sender_that_would_get_nothing_for_want_of_one_line_is_told_so(tmp_path: Path, port: int) -> None:
    rule = {"name": "chest", "model": "m", "series": {"Modality": "CT"}}
    for accepted, use, warned in ((False, "research", True), (True, "research", False), (False, "clinical", False)):
        peer = {"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": port, "accept_research": accepted}
        document = {"store": {"folder": str(tmp_path)}, "peer": [peer], "rule": [{**rule, "use": use}]}
        subjects = {one.subject for one in peers(parse(document)) if one.verdict is Verdict.WARN}
        assert ("PACS as sender" in subjects) is warned
