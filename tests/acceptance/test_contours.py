"""Contours of people come in like images, and a report with their numbers comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from tests.acceptance.conftest import DcmSend, MakeNode
from tests.acceptance.peers import REFUSAL, SEG, SR, CountingPacs, send
from tests.acceptance.phantom import Ct
from tests.acceptance.reading import complaints, numbers, predecessors, referenced_instances, words
from tests.acceptance.running import RULE, Node, peer
from tests.acceptance.waiting import eventually

pytestmark = pytest.mark.acceptance

REPOSITORY = Path(__file__).resolve().parents[2]

MEASURE = """
[[rule]]
name = "drawn"
model = "measure-contours"
outputs = ["sr"]
destinations = ["PACS"]
[rule.inputs.contours]
Modality = { any_of = ["SEG", "RTSTRUCT"] }
"""


def saved(dataset: Dataset, file: Path) -> Path:
    dataset.save_as(file, enforce_file_format=True)
    return file


@pytest.fixture
def desk(make_node: MakeNode, pacs: CountingPacs, models: Path) -> Node:
    """A node that segments CT and measures what people draw."""
    shutil.copytree(REPOSITORY / "models" / "measure-contours", models / "measure-contours")
    rules = RULE.replace('["sender"]', '["PACS"]') + MEASURE
    return make_node(
        peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules, models=models, completion={"max_study_age_days": 0}
    )


def corrected(original: Dataset) -> Dataset:
    """A SEG as a reader stores it who has taken a corner away."""
    ds = original
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns).copy()
    pixels[:, : ds.Rows // 2] = 0
    packed = np.packbits(pixels.astype(np.uint8).ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID, ds.ContentCreatorName = generate_uid(), "Corrects^Berta"
    return ds


def test_a_corrected_segmentation_yields_new_numbers_and_names_what_it_corrects(
    desk: Node, pacs: CountingPacs, dcmsend: DcmSend, ct: Ct, tmp_path: Path
) -> None:
    desk.start()
    assert set(send(ct.files, desk.port).values()) == {0}
    eventually(lambda: len(pacs.of_class(SEG, SR)) == 2, what="SEG and SR")
    desk.wait_idle()
    (first,) = pacs.of_class(SR)
    (mask,) = pacs.of_class(SEG)
    correction = corrected(dcmread(saved(mask, tmp_path / "seg.dcm")))

    assert dcmsend(saved(correction, tmp_path / "corrected.dcm"), port=desk.port).returncode == 0

    eventually(lambda: len(pacs.of_class(SR)) == 2, what="a report on the correction")
    desk.wait_idle()
    second = pacs.of_class(SR)[1]
    assert complaints(saved(second, tmp_path / "sr.dcm")) == []
    assert first.SOPInstanceUID in predecessors(second)
    assert correction.SOPInstanceUID in referenced_instances(second)
    assert "Corrects^Berta" in words(second) and "Corrects" not in desk.text()
    volumes = [next(value for (_, name), value in numbers(one).items() if name == "Volume") for one in (first, second)]
    assert 0 < volumes[1] < volumes[0]
    assert len(pacs.of_class(SEG)) == 1, "the correction is not sent back"


def test_a_planning_systems_contours_of_a_real_chest_are_measured(
    desk: Node, pacs: CountingPacs, dcmsend: DcmSend, real_data: Path, tmp_path: Path
) -> None:
    desk.rules = MEASURE
    desk.configure()
    desk.start()
    folder = real_data / "lung1" / "LUNG1-002_20180526_CT"

    assert dcmsend(folder, port=desk.port).returncode == 0

    eventually(lambda: pacs.of_class(SR), 120, "a report")
    desk.wait_idle()
    (report,) = pacs.of_class(SR)
    assert complaints(saved(report, tmp_path / "sr.dcm")) == []
    structures = dcmread(folder / "1.dcm", stop_before_pixels=True)
    assert structures.SOPInstanceUID in referenced_instances(report)
    volume = next(value for (label, name), value in numbers(report).items() if (label, name) == ("GTV-1", "Volume"))
    assert volume == pytest.approx(358.5, abs=0.05)
    assert "made with CMS, Inc. XiO" in words(report)


def test_contours_of_images_that_are_not_there_are_told(
    desk: Node, pacs: CountingPacs, dcmsend: DcmSend, ct: Ct, tmp_path: Path, real_data: Path
) -> None:
    desk.rules = MEASURE
    desk.configure()
    desk.start()
    drawn = dcmread(real_data / "lung1" / "LUNG1-002_20180526_CT" / "1.dcm")
    image = dcmread(ct.files[0], stop_before_pixels=True)
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(drawn, keyword, image[keyword].value)

    assert dcmsend(*ct.files, saved(drawn, tmp_path / "rs.dcm"), port=desk.port).returncode == 0

    eventually(lambda: pacs.of_class(REFUSAL), what="a report that says why")
    desk.wait_idle()
    (report,) = pacs.of_class(REFUSAL)
    assert "which the study does not hold" in words(report)
    assert complaints(saved(report, tmp_path / "refusal.dcm")) == []


def test_the_offline_command_measures_contours_beside_their_images(desk: Node, real_data: Path, tmp_path: Path) -> None:
    folder, out = real_data / "ibsi1_ct_phantom" / "dicom", tmp_path / "out"

    done = desk.command(
        "process", folder, "--model", REPOSITORY / "models" / "measure-contours", "--out", out, configured=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # 125 256 voxels, as IBSI states them.
    assert "125256" in done.stdout
    report = dcmread(out / "sr.dcm")
    assert complaints(out / "sr.dcm") == []
    assert any(
        value == pytest.approx(358.68, abs=0.01) for (_, name), value in numbers(report).items() if name == "Volume"
    )
