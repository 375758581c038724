"""What takes results back, what is late, and what is for research alone, with archives that nobody here wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicomnode.flow.failpoint import VARIABLE
from tests.acceptance.conftest import DcmSend, MakeNode, MakeOrthanc
from tests.acceptance.peers import LABELMAP, PICTURE, REFUSAL, SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct, make_ct
from tests.acceptance.reading import mask_on, predecessors, referenced_instances, words
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.validators import dciodvfy
from tests.acceptance.waiting import eventually
from tests.toy import TOML, write_bundle

pytestmark = pytest.mark.acceptance

KOS = "1.2.840.10008.5.1.4.1.1.88.59"

#: A working grid so fine that a job of the toy network takes seconds.
SLOW = TOML.replace("spacing_mm = [4.0, 2.0, 2.0]", "spacing_mm = [0.4, 0.4, 0.4]")


def analysed(node: Node, ct: Ct) -> None:
    """Send the study and wait until everything that came of it is delivered."""
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT 1 FROM delivery WHERE state = 'done'"), what="a result")
    node.wait_idle()


def unexplained(file: Path) -> list[str]:
    """What dciodvfy says beside what docs/results.md explains for every object."""
    return [line for line in dciodvfy(file) if "DeviceUID(0018,1002)" not in line and "KeyObject" not in line]


def test_orthanc_stores_the_rejection_note_of_a_retracted_study(
    make_node: MakeNode, make_orthanc: MakeOrthanc, dcmsend: DcmSend, ct: Ct, node_port: int, tmp_path: Path
) -> None:
    orthanc = make_orthanc(node_port)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port, rejection_notes=True)]).start()
    dcmsend(*ct.files, port=node_port)
    eventually(lambda: {"SEG", "SR"} <= set(orthanc.instances(ct.study)), what="results in Orthanc")
    node.wait_idle()
    results = {uid for (uid,) in node.rows("SELECT sop_instance_uid FROM delivery WHERE state = 'done'")}

    done = node.command("retract", ct.study, "--reason", "the sides are exchanged", "--code", "safety")

    assert done.returncode == 0 and "2 objects are taken back from PACS" in done.stdout, done.stderr
    eventually(lambda: "KO" in orthanc.instances(ct.study), what="the note in Orthanc")
    (name,) = orthanc.instances(ct.study)["KO"]
    file = orthanc.fetch(name, tmp_path / "note.dcm")
    note = dcmread(file)
    assert note.SOPClassUID == KOS and note.ConceptNameCodeSequence[0].CodeValue == "113037"
    assert referenced_instances(note) == results
    assert unexplained(file) == []
    assert any(line["arrow"] == "retracted" for line in node.why(ct.study)["story"])
    assert "nothing to take back" in node.command("retract", ct.study, "--reason", "again").stdout
    node.wait_idle()
    assert len(orthanc.instances(ct.study)["KO"]) == 1


@pytest.mark.parametrize("moment", ["retract.stopped", "retract.before_commit", "retract.after_commit"])
def test_a_kill_of_the_command_is_made_good_by_the_same_command(
    node: Node, pacs: CountingPacs, ct: Ct, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.start()
    analysed(node, ct)
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, f"{moment}={tmp_path / 'killed'}")
        assert node.command("retract", ct.study, "--reason", "wrong").returncode == -9
    assert node.command("retract", ct.study, "--reason", "wrong").returncode == 0
    eventually(lambda: pacs.of_class(REFUSAL) and pacs.of_class(PICTURE), what="report and picture")
    node.wait_idle()
    (report,), (picture,) = pacs.of_class(REFUSAL), pacs.of_class(PICTURE)
    assert "Withdrawn: wrong" in words(report) and picture.ImageComments == "WITHDRAWN"
    assert node.command("retract", "9.9", "--reason", "wrong").returncode == 1


def test_a_deadline_that_passes_while_the_worker_is_busy_is_told_and_superseded(
    make_node: MakeNode, pacs: CountingPacs, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "slow", toml=SLOW)
    rules = RULE.replace('model = "toy"', 'model = "toy"\ndeadline_seconds = 0.1')
    node = make_node(models=tmp_path / "slow", peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules).start()
    ct = make_ct(tmp_path / "ct", announced=12)
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: pacs.of_class(SR), what="the result")
    node.wait_idle()
    (report,) = pacs.of_class(SR)
    (notice,) = pacs.of_class(REFUSAL)
    assert "Not analysed yet" in words(notice) and "12 of 12 expected instances" in words(notice)
    assert predecessors(report) == [notice.SOPInstanceUID]
    assert "12 of 12 expected instances in 1 series (ImagesInAcquisition)" in words(report)
    assert next(offer.sop_class_uid for offer in pacs.offers) == REFUSAL


def test_a_sender_that_does_not_accept_research_gets_nothing_and_the_story_says_why(
    make_node: MakeNode, pacs: CountingPacs, ct: Ct
) -> None:
    node = make_node(peers=[peer("PACS", pacs.aet, pacs.port, accept_research=False)]).start()
    assert set(send(ct.files, node.port).values()) == {0}
    eventually(lambda: node.rows("SELECT 1 FROM job WHERE state = 'done'"), what="the end of the job")
    node.wait_idle()
    assert pacs.offers == []
    told = {line["detail"] for line in node.why(ct.study)["story"] if line["arrow"] == "left out"}
    assert told == {"the result is for research, which it does not accept"}


def test_every_destination_gets_its_mask_in_the_form_that_its_entry_asks_for(make_node: MakeNode, ct: Ct) -> None:
    archives = {name: CountingPacs(aet=name) for name in ("FRAMES", "LABELS", "DEFLATES")}
    for archive in archives.values():
        archive.start()
    options: dict[str, dict[str, Any]] = {
        "FRAMES": {"empty_frames": True},
        "LABELS": {"labelmap_background": False, "outputs": ["labelmap", "sr"]},
        "DEFLATES": {"deflate": True},
    }
    peers = [peer(name, name, one.port, **options[name]) for name, one in archives.items()]
    rules = RULE.replace('["sender"]', '["FRAMES", "LABELS", "DEFLATES"]')
    node = make_node(peers=[*peers, peer("PACS", "ORTHANC", 104)], rules=rules).start()
    try:
        analysed(node, ct)
        _check_forms(archives, ct)
    finally:
        for archive in archives.values():
            archive.stop()


def _check_forms(archives: dict[str, CountingPacs], ct: Ct) -> None:
    masks: dict[str, Dataset] = {}
    for name, sop_class in (("FRAMES", SEG), ("LABELS", LABELMAP), ("DEFLATES", SEG)):
        (masks[name],) = archives[name].of_class(SEG, LABELMAP)
        (report,) = archives[name].of_class(SR)
        assert masks[name].SOPClassUID == sop_class
        assert masks[name].SOPInstanceUID in referenced_instances(report)
    assert masks["FRAMES"].NumberOfFrames == len(ct.files) > masks["DEFLATES"].NumberOfFrames
    assert np.array_equal(mask_on(masks["FRAMES"], ct), ct.ball)
    assert np.array_equal(mask_on(masks["DEFLATES"], ct), ct.ball)
    assert 0 not in {item.SegmentNumber for item in masks["LABELS"].SegmentSequence}
    assert masks["DEFLATES"].file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert len({str(mask.SOPInstanceUID) for mask in masks.values()}) == 3
