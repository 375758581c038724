"""A made study goes through the running node to a real archive, is found there, and leaves nothing on our side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from dicomnode.domain.uid import CHECK_ROOT
from tests.acceptance.conftest import MakeNode, MakeOrthanc
from tests.acceptance.orthanc import FORWARD_EVERYTHING
from tests.acceptance.peers import CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.running import COMMAND, RULE, Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

#: A second rule that also takes the study, and would send it elsewhere.
RULES = RULE + RULE.replace('"dense"', '"other"')


def round_trip(node: Node, *more: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit status and stages by subject."""
    done = node.command("check", "--round-trip", "--json", *more)
    assert done.stdout, done.stderr
    return done.returncode, {one["subject"]: one for one in json.loads(done.stdout)}


def left(node: Node) -> dict[str, int]:
    """How many rows every table of the store has, and how many files lie there."""
    tables = ("study", "series", "instance", "job", "result", "delivery", "association", "removal")
    rows = {name: node.rows(f"SELECT COUNT(*) FROM {name}")[0][0] for name in tables}
    folders = ("studies", "results", "incoming")
    return rows | {name: sum(one.is_file() for one in (node.store / name).rglob("*")) for name in folders}


def test_a_made_study_comes_back_to_orthanc_and_leaves_no_trace_but_the_audit_event(
    make_node: MakeNode, make_orthanc: MakeOrthanc, node_port: int
) -> None:
    # An archive that forwards everything brings the results home, at once and, here, also afterwards.
    orthanc = make_orthanc(node_port, lua=FORWARD_EVERYTHING)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port)], rules=RULES).start()
    before = left(node)

    status, stages = round_trip(node)

    assert status == 0, stages
    assert list(stages) == [
        "sent by C-STORE", "settled", "analysed by rule dense", "seg to PACS", "sr to PACS",
        "found again in PACS by C-FIND", "removed from this side",
    ]  # fmt: skip
    (study,) = orthanc.get("/studies?expand")
    tags = study["MainDicomTags"] | study["PatientMainDicomTags"]
    assert tags["StudyInstanceUID"].startswith(CHECK_ROOT)
    assert (tags["PatientID"], tags["PatientName"]) == ("DICOMNODE-CHECK", "DICOMNODE^CHECK")
    assert sorted(orthanc.instances(tags["StudyInstanceUID"])) == ["SEG", "SR"]
    assert tags["StudyInstanceUID"] in stages["found again in PACS by C-FIND"]["found"]
    eventually(lambda: not orthanc.busy(), what="Orthanc to have forwarded")
    for instances in orthanc.instances(tags["StudyInstanceUID"]).values():
        for instance in instances:
            orthanc.post("/modalities/NODE/store", instance.encode())
    node.wait_idle()
    assert left(node) == before
    assert not list(node.store.glob("round-trip.json*"))
    assert tags["StudyInstanceUID"] in node.command("audit", "show").stdout


def test_real_studies_are_left_alone_and_the_next_events_are_numbered_on(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)]).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT state FROM job") == [("done",)], what="the analysis")
    node.wait_idle()
    story, before = node.why(ct.study), left(node)

    status, stages = round_trip(node, "--rule", "dense", "--peer", "PACS")

    # A counting PACS answers no queries: that is told, and is no failure.
    assert (status, stages["found again in PACS by C-FIND"]["verdict"]) == (3, "warn")
    assert (left(node), node.why(ct.study)) == (before, story)
    (newest,) = node.rows("SELECT MAX(event_id) FROM event")[0]
    assert newest > len(story["story"])


def test_a_round_trip_that_was_killed_is_cleaned_up_by_the_next(make_node: MakeNode, pacs: CountingPacs) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], completion={"quiet_seconds": 5}).start()
    before = left(node)
    line = [*COMMAND, "check", "--round-trip", "--config", str(node.configuration)]
    running = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    eventually(lambda: left(node)["instance"] > 0, what="the first images")
    running.send_signal(signal.SIGKILL)
    running.wait(timeout=60)
    assert (node.store / "round-trip.json").stat().st_mode & 0o777 == 0o600

    _status, stages = round_trip(node)

    assert stages["removed from this side"]["verdict"] == "ok"
    assert left(node) == before


def test_ctrl_c_is_quiet_and_cleans_up(make_node: MakeNode, pacs: CountingPacs) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)], completion={"quiet_seconds": 30}).start()
    line = [*COMMAND, "check", "--round-trip", "--config", str(node.configuration)]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    eventually(lambda: left(node)["instance"] == 60, what="all images")
    os.killpg(running.pid, signal.SIGINT)
    _out, told = running.communicate(timeout=60)

    assert (running.returncode, told) == (130, "")
    assert left(node)["study"] == 0
    assert not (node.store / "round-trip.json").exists()


def test_without_a_node_or_a_destination_nothing_is_sent_and_the_remedy_is_told(
    make_node: MakeNode, pacs: CountingPacs
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port)])
    status, stages = round_trip(node)
    assert status == 1 and "systemctl start" in stages["running node"]["remedy"]

    node.start()
    status, stages = round_trip(node, "--rule", "dens")
    assert status == 1 and "known: dense" in stages["round trip"]["found"]
    pacs.stop()
    status, stages = round_trip(node)
    assert status == 1 and "no TCP connection" in stages["peer PACS"]["found"]
    assert left(node)["study"] == 0


def test_an_archive_that_acts_on_rejection_notes_gets_one(
    make_node: MakeNode, make_orthanc: MakeOrthanc, node_port: int
) -> None:
    orthanc = make_orthanc(node_port)
    entry = peer("PACS", orthanc.aet, orthanc.port, rejection_notes=True)
    node = make_node(port=node_port, peers=[entry]).start()

    status, stages = round_trip(node)

    assert status == 0, stages
    assert "2 objects are taken back from PACS" in stages["taken back"]["found"]
    (study,) = orthanc.get("/studies?expand")
    assert sorted(orthanc.instances(study["MainDicomTags"]["StudyInstanceUID"])) == ["KO", "SEG", "SR"]
    assert left(node)["study"] == 0
