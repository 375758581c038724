"""A CT goes in and its results come back to the PACS that sent it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tests.acceptance.conftest import DcmSend, MakeNode, MakeOrthanc
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.phantom import PATIENT_ID, SPACING_MM, Ct
from tests.acceptance.reading import complaints, dump, mask_on, numbers, referenced_instances
from tests.acceptance.running import peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

REPOSITORY = Path(__file__).resolve().parents[2]
LUNG_RULE = """
[[rule]]
name = "chest-ct"
model = "lung-ct"
[rule.series]
Modality = "CT"
BodyPartExamined = { any_of = ["CHEST", "LUNG", "THORAX"], or_missing = true }
"""


def results(orthanc: Orthanc, study: str, folder: Path, seconds: float = 60) -> tuple[Path, Path]:
    """Files of the one SEG and the one SR that Orthanc has in a study."""

    def both() -> list[list[str]]:
        found = orthanc.instances(study)
        return [found["SEG"], found["SR"]] if {"SEG", "SR"} <= set(found) else []

    segmentations, reports = eventually(both, seconds, "SEG and SR in Orthanc")
    assert (len(segmentations), len(reports)) == (1, 1)
    return (
        orthanc.fetch(segmentations[0], folder / "returned-seg.dcm"),
        orthanc.fetch(reports[0], folder / "returned-sr.dcm"),
    )


def test_a_ct_sent_by_orthancs_title_comes_back_as_seg_and_report_in_the_same_study(
    make_node: MakeNode, make_orthanc: MakeOrthanc, dcmsend: DcmSend, ct: Ct, node_port: int, tmp_path: Path
) -> None:
    orthanc = make_orthanc(node_port)
    node = make_node(port=node_port, peers=[peer("PACS", orthanc.aet, orthanc.port)]).start()

    sent = dcmsend(ct.folder, port=node.port)

    assert sent.returncode == 0, sent.stderr
    seg_file, sr_file = results(orthanc, ct.study, tmp_path)
    assert (complaints(seg_file), complaints(sr_file)) == ([], [])
    assert "Dense" in dump(sr_file)
    segmentation, report = dcmread(seg_file), dcmread(sr_file)
    assert segmentation.StudyInstanceUID == report.StudyInstanceUID == ct.study
    assert segmentation.PatientID == report.PatientID == PATIENT_ID
    assert segmentation.SOPInstanceUID in referenced_instances(report)
    assert np.array_equal(mask_on(segmentation, ct), ct.ball)
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    volumes = [value for (_, name), value in numbers(report).items() if "Volume" in name]
    assert any(value == pytest.approx(ct.ball.sum() * voxel_ml, rel=0.1) for value in volumes)


def test_a_real_chest_ct_mixed_with_rt_objects_comes_back_with_both_lungs(
    make_node: MakeNode,
    make_orthanc: MakeOrthanc,
    dcmsend: DcmSend,
    real_data: Path,
    node_port: int,
    tmp_path: Path,
) -> None:
    if not (REPOSITORY / "models" / "lung-ct" / "model.toml").exists():
        pytest.skip("models/lung-ct is not there; `make train` makes it")
    orthanc = make_orthanc(node_port)
    node = make_node(
        port=node_port,
        models=REPOSITORY / "models",
        peers=[peer("PACS", orthanc.aet, orthanc.port)],
        rules=LUNG_RULE,
        completion={"max_study_age_days": 0, "quiet_seconds": 2},
        work={"threads": 0},
    ).start()
    folder = real_data / "lung1" / "LUNG1-002_20180526_CT"
    study = str(dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)

    sent = dcmsend(folder, port=node.port)

    assert sent.returncode == 0, sent.stderr
    seg_file, sr_file = results(orthanc, study, tmp_path, seconds=240)
    assert (complaints(seg_file), complaints(sr_file)) == ([], [])
    assert "ung" in dump(sr_file)
    report = dcmread(sr_file)
    assert report.StudyInstanceUID == study
    assert dcmread(seg_file).SOPInstanceUID in referenced_instances(report)
    labels = [str(segment.SegmentLabel) for segment in dcmread(seg_file).SegmentSequence]
    assert len(labels) == 2
    litres = sorted(value / 1000 for (_, name), value in numbers(report).items() if "Volume" in name)
    assert litres, "no volumes in the report"
    assert all(1.0 < value < 4.0 for value in litres), litres
    node.wait_idle()
    story = {(line["entity"], line["arrow"]) for line in node.why(study)["story"]}
    told = {("series", "received"), ("rule", "considered"), ("study", "settled")}
    assert told | {(what, arrow) for what in ("job", "delivery") for arrow in ("claimed", "finished")} <= story
    assert node.rows("SELECT COUNT(*) FROM instance") == [(len(list(folder.rglob("*.dcm"))),)]
    assert node.rows("SELECT state, attempts FROM job") == [("done", 1)]
