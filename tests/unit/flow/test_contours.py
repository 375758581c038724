"""What somebody draws on a study is measured, and its report names whose contour it is and which report it corrects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid

from dicomnode.config import parse
from dicomnode.domain.network import Association
from dicomnode.flow.intake import Intake
from dicomnode.receive.header import read_arrival
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.toy import write_bundle
from tests.unit.flow.test_work import PEER, Node
from tests.unit.infer.contours.drawn import structure_set

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "measure-contours" / "model.toml"

STUDY = "1.2.3"


class Desk(Node):
    """A node with a rule that segments and one that measures what people draw."""

    def arrives(self, dataset: Dataset, *, folder: Path) -> None:
        path = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        self.files_arrive(path)

    def files_arrive(self, path: Path) -> None:
        header = dcmread(path, stop_before_pixels=True)
        link = self.files.incoming / path.name
        link.write_bytes(path.read_bytes())
        association = Association(
            association_id="b", calling_aet="VIEWER", called_aet="DICOMNODE", address="127.0.0.1", peer="PACS"
        )
        self.intake.accept(
            read_arrival(
                link, association, sop_class_uid=header.SOPClassUID, sop_instance_uid=header.SOPInstanceUID,
                transfer_syntax_uid=header.file_meta.TransferSyntaxUID, on_demand=False,
            )
        )  # fmt: skip

    def finished(self) -> None:
        """Settle, work and let everything be delivered."""
        self.settled()
        self.work_until_idle()
        self.db.execute("UPDATE delivery SET state = 'running' WHERE state = 'waiting'")
        self.db.execute("UPDATE delivery SET state = 'done' WHERE state = 'running'")

    def reports(self, rule: str) -> list[Dataset]:
        rows = self.db.rows(
            "SELECT path FROM result JOIN job USING (job_id) WHERE rule = ? AND role IN ('sr', 'refusal')"
            " ORDER BY result_id",
            rule,
        )
        return [dcmread(self.files.path(row["path"])) for row in rows]

    def jobs(self, rule: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.db.rows("SELECT * FROM job WHERE rule = ? ORDER BY job_id", rule)]


CONTOURS = {"contours": {"Modality": {"any_of": ["SEG", "RTSTRUCT"]}}}


@pytest.fixture
def make_desk(db: Database, files: Files, clock: Hands, tmp_path: Path) -> Callable[..., Desk]:
    return lambda inputs=None: _desk(db, files, clock, tmp_path, inputs)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


def _desk(db: Database, files: Files, clock: Hands, tmp_path: Path, inputs: dict[str, Any] | None) -> Desk:
    models = tmp_path / "models"
    write_bundle(models)
    folder = models / "measure-contours"
    folder.mkdir()
    (folder / "model.toml").write_bytes(SHIPPED.read_bytes())
    (folder / "CARD.md").write_text("# Measures\n")
    rule = {"destinations": ["PACS"], "outputs": ["seg", "sr"]}
    document: dict[str, Any] = {
        "models": {"folder": str(models)},
        "peer": [PEER],
        "rule": [
            {"name": "find", "model": "toy", "series": {"Modality": "CT"}, **rule},
            {"name": "measure", "model": "measure-contours", "inputs": inputs or CONTOURS, **rule},
        ],
    }
    return Desk(db, files, clock, parse(document))


def on_toy(rois: dict[str, list[tuple[int, float]]], **options: str) -> Dataset:
    """A structure set on the CT of `ct`: squares of a side in mm at planes."""
    contours: dict[str, list[Dataset]] = {}
    for name, drawn in rois.items():
        items = []
        for plane, side in drawn:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
            low, high, z = 19.0, 19.0 + side, 4.0 * plane
            item.ContourData = [low, low, z, high, low, z, high, high, z, low, high, z]
            items.append(item)
        contours[name] = items
    return structure_set(contours, **{"frame": f"{STUDY}.9", "series": f"{STUDY}.4", **options})


def items(ds: Dataset) -> Iterator[Dataset]:
    for child in ds.get("ContentSequence") or ():
        yield child
        yield from items(child)


def numbers(report: Dataset, code: str) -> list[float]:
    return [
        float(one.MeasuredValueSequence[0].NumericValue)
        for one in items(report)
        if one.ValueType == "NUM" and one.ConceptNameCodeSequence[0].CodeValue == code
    ]


def texts(report: Dataset) -> str:
    return "\n".join(str(one.TextValue) for one in items(report) if one.ValueType == "TEXT")


def evidence(report: Dataset) -> set[str]:
    return {
        str(one.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }


def predecessor(report: Dataset) -> str | None:
    found = report.get("PredecessorDocumentsSequence")
    return (
        str(found[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID) if found else None
    )


VOLUME = "118565006"

Receive = Callable[[Intake, list[Path]], None]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (CONTOURS, "does not match as input contours"),
        ({"image": {"Modality": "CT"}}, "no contours for input contours of measure-contours (needed Modality any of"),
    ],
)
def test_a_study_without_contours_has_no_job_and_no_report_of_the_measuring_rule(
    inputs: dict[str, Any], words: str, make_desk: Callable[..., Desk], ct: Any, receive: Receive
) -> None:
    desk = make_desk(inputs)
    receive(desk.intake, ct())
    desk.finished()
    assert len(desk.jobs("find")) == 1 and not desk.jobs("measure")
    story = [str(tuple(row)) for row in desk.db.rows("SELECT * FROM event")]
    assert any(words in text for text in story)


def test_a_structure_set_that_comes_later_is_measured_and_nothing_else_is_done_again(
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    desk.finished()
    desk.arrives(on_toy({"GTV-1": [(3, 20.0), (4, 20.0)]}), folder=tmp_path)
    desk.finished()
    assert [job["run"] for job in desk.jobs("find")] == [1], "the images have not changed"
    (job,) = desk.jobs("measure")
    assert (job["state"], job["series_instance_uid"]) == ("done", f"{STUDY}.4")
    (report,) = desk.reports("measure")
    # Two planes of 10 × 10 voxels of 4 × 2 × 2 mm.
    assert numbers(report, VOLUME)[0] == pytest.approx(2 * 100 * 16 / 1000)
    said = texts(report)
    assert "drawn by Draws^Anna" in said and "label plan" in said and "method MANUAL" in said
    assert f"{STUDY}.5.1" in evidence(report), "the report names what it measured"
    assert predecessor(report) is None, "a planning contour corrects no lung segmentation"
    made = {row["kind"] for row in desk.db.rows("SELECT kind FROM result JOIN job USING (job_id) WHERE rule='measure'")}
    assert made == {"sr"}, "contours that somebody has drawn are not sent a second time"


def test_a_structure_set_with_moved_points_under_its_old_uid_is_measured_again(
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    for side in (20.0, 10.0):
        desk.arrives(on_toy({"GTV-1": [(3, side), (4, side)]}), folder=tmp_path)
        desk.finished()
    again = on_toy({"GTV-1": [(3, 10.0), (4, 10.0)]})
    again.StructureSetLabel = "renamed"
    desk.arrives(again, folder=tmp_path)
    assert not desk.settle.sweep(), "other bytes, same regions"
    first, second = desk.reports("measure")
    assert numbers(first, VOLUME)[0] == pytest.approx(2 * 100 * 16 / 1000)
    assert numbers(second, VOLUME)[0] == pytest.approx(2 * 25 * 16 / 1000)
    assert predecessor(second) == str(first.SOPInstanceUID)
    assert len(desk.db.rows("SELECT * FROM event WHERE detail LIKE 'replaces%changed: ContourData'")) == 1
    assert not desk.db.row("SELECT 1 FROM instance WHERE standing = 'conflicting'")


def edited(original: Dataset, *, keep: bool = True, uid: str = "") -> Dataset:
    """Our SEG as a reader stores it after working on it."""
    ds = original
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid or generate_uid())
    ds.SeriesInstanceUID = f"{STUDY}.88"
    ds.ContentCreatorName = "Corrects^Berta"
    pixels = ds.pixel_array.copy()
    pixels[:, 10, :] = 0
    packed = np.packbits(pixels.astype(np.uint8).ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    if not keep:
        for item in ds.SegmentSequence:
            del item.TrackingUID, item.TrackingID
    return ds


def seg_of(desk: Desk) -> Dataset:
    row = desk.db.row("SELECT path FROM result WHERE role = 'seg'")
    assert row is not None
    return dcmread(desk.files.path(row["path"]))


@pytest.mark.parametrize("keep", [True, False])
def test_a_corrected_segmentation_yields_a_report_that_names_what_it_corrects(
    keep: bool, desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    desk.finished()
    (first,) = desk.reports("find")
    original = seg_of(desk)
    tracking = str(original.SegmentSequence[0].TrackingUID)
    correction = edited(original, keep=keep)
    desk.arrives(correction, folder=tmp_path)
    desk.finished()
    (second,) = desk.reports("measure")
    assert predecessor(second) == str(first.SOPInstanceUID)
    assert numbers(first, VOLUME)[0] == pytest.approx(4 * 100 * 16 / 1000)
    assert numbers(second, VOLUME)[0] == pytest.approx(4 * 90 * 16 / 1000)
    referred = [
        (
            str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID),
            one.ReferencedSOPSequence[0].ReferencedSegmentNumber,
        )
        for one in items(second)
        if one.ValueType == "IMAGE" and "ReferencedSegmentNumber" in one.ReferencedSOPSequence[0]
    ]
    assert {(uid, int(number)) for uid, number in referred} == {(str(correction.SOPInstanceUID), 1)}
    uids = {str(one.UID) for one in items(second) if one.ValueType == "UIDREF"}
    assert (tracking in uids) == keep
    assert "Corrects^Berta" in texts(second)


def test_a_persons_own_segment_of_the_same_name_corrects_nothing(
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    desk.finished()
    own = edited(seg_of(desk), keep=False)
    for item in own.SegmentSequence:
        item.SegmentAlgorithmType = "MANUAL"
        del item.SegmentAlgorithmName
        if "SegmentationAlgorithmIdentificationSequence" in item:
            del item.SegmentationAlgorithmIdentificationSequence
    desk.arrives(own, folder=tmp_path)
    desk.finished()
    (second,) = desk.reports("measure")
    assert predecessor(second) is None


def test_a_second_correction_continues_the_report_on_the_first(
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    desk.finished()
    for keep in (True, False):
        desk.arrives(edited(seg_of(desk), keep=keep), folder=tmp_path)
        desk.finished()
    first, second = desk.reports("measure")
    assert predecessor(second) == str(first.SOPInstanceUID)
    assert [job["state"] for job in desk.jobs("measure")] == ["done", "done"]
    assert not any(job["superseded"] for job in desk.jobs("measure")), "each object is measured on its own"


def test_several_objects_are_a_job_each_and_their_reports_do_not_replace_each_other(
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path
) -> None:
    receive(desk.intake, ct())
    for number, side in ((1, 20.0), (2, 10.0)):
        drawn = on_toy({"GTV": [(4, side)]})
        drawn.SOPInstanceUID, drawn.SeriesInstanceUID = f"{STUDY}.5{number}.1", f"{STUDY}.5{number}"
        desk.arrives(drawn, folder=tmp_path)
    desk.finished()
    reports = desk.reports("measure")
    assert sorted(numbers(one, VOLUME)[0] for one in reports) == pytest.approx([25 * 16 / 1000, 100 * 16 / 1000])
    assert [predecessor(one) for one in reports] == [None, None]


def test_our_own_result_that_comes_home_is_not_measured(desk: Desk, ct: Any, receive: Receive, tmp_path: Path) -> None:
    receive(desk.intake, ct())
    desk.finished()
    desk.arrives(seg_of(desk), folder=tmp_path)
    assert not desk.settle.sweep()
    # Nor is that of another node of the same make.
    other = seg_of(desk)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    desk.arrives(other, folder=tmp_path)
    desk.finished()
    assert not desk.jobs("measure")


@pytest.mark.parametrize(
    ("options", "drawn", "reason"),
    [
        ({"series": "1.2.99"}, (4, 20.0), "they name series 1.2.99, which the study does not hold"),
        ({"series": ""}, (4, 20.0), "they name"),
        ({"frame": "1.2.98"}, (4, 20.0), "frame of reference 1.2.98, needed that of the images"),
        ({}, (4, 0.5), "no region holds a voxel of the images"),
        ({}, (40, 20.0), "off the nearest image"),
    ],
)
def test_contours_that_cannot_be_measured_are_told_with_the_reason(
    options: dict[str, str], drawn: tuple[int, float], reason: str,
    desk: Desk, ct: Any, receive: Receive, tmp_path: Path,
) -> None:  # fmt: skip
    receive(desk.intake, ct())
    desk.arrives(on_toy({"GTV": [drawn]}, **options), folder=tmp_path)
    desk.finished()
    (job,) = desk.jobs("measure")
    (report,) = desk.reports("measure")
    assert job["state"] == "failed" and reason in job["reason"]
    assert reason in texts(report)
    assert "Draws" not in job["reason"]


def test_contours_alone_are_told_to_lack_their_images(desk: Desk, tmp_path: Path, ct: Any, receive: Receive) -> None:
    receive(desk.intake, ct(range(1)))
    drawn = on_toy({"GTV": [(4, 20.0)]}, series="1.2.99")
    desk.arrives(drawn, folder=tmp_path)
    desk.finished()
    (report,) = desk.reports("measure")
    assert "no images for the contours of series 1.2.3.5" in texts(report)
