"""Evaluation of a model on cases with a reference: figures that are known, cases that fail, runs that are stopped."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom.uid import UID

from dicomnode.domain.errors import ConfigError
from dicomnode.domain.finding import Detection, Findings, Segmentation, SourceSeries
from dicomnode.flow.cohort.files import studies_below
from dicomnode.flow.evaluate.parts import answer_of, candidates_of
from dicomnode.flow.evaluate.run import Evaluation, evaluate
from dicomnode.flow.evaluate.summary import summary
from dicomnode.flow.evaluate.targets import targets_of
from dicomnode.flow.evaluate.wish import Wish, pairs, read_strata
from dicomnode.infer.bundle.load import load_bundle
from dicomnode.infer.network.session import Sessions
from tests.unit.flow import evaluating
from tests.unit.flow.evaluating import BLOCK, Box, case

#: The block two columns (4 mm) to the side, and another block that no model marks.
SHIFTED: Box = ((6, 14), (2, 10), (3, 7))
ELSEWHERE: Box = ((16, 22), (12, 18), (3, 7))


def nothing(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


class Bench:
    """A model, a folder of cases, and a folder for what comes of them."""

    def __init__(self, folder: Path) -> None:
        self.models, self.cases, self.out = folder / "models", folder / "cases", folder / "out"
        evaluating.bundle(self.models)
        self.cases.mkdir()
        self.told: list[str] = []

    def run(self, progress: Any = nothing, out: Path | None = None, **wish: Any) -> Evaluation:
        spec = load_bundle(self.models / "dense")
        studies = studies_below([self.cases], self.told.append, nothing)
        return evaluate(studies, spec, Wish(**wish), out or self.out, Sessions(threads=1, device="cpu"), progress)

    def table(self, name: str = "cases.csv", out: Path | None = None) -> list[dict[str, str]]:
        with ((out or self.out) / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_figures_of_a_block_that_was_drawn_two_columns_off(bench: Bench) -> None:
    case(bench.cases, "1", {"GTV-1": [SHIFTED]})
    (one,) = bench.run().figures
    (row,) = bench.table()
    assert (row["status"], row["structure"]) == ("ok", "lesions")
    # 8 by 8 by 4 voxels of 16 mm³ each, of which 6 by 8 by 4 are common.
    assert float(row["reference_ml"]) == pytest.approx(256 * 0.016) and float(row["volume_error_ml"]) == 0.0
    assert float(row["dice"]) == 2 * 192 / 512 and float(row["jaccard"]) == 192 / 320
    assert float(row["hd95_mm"]) == pytest.approx(4.0) and float(row["added_voxels"]) == 64
    # On each of 4 slices both upright sides without their corners, and two pixels more at top and at bottom.
    assert float(row["added_path_pixels"]) == 4 * (6 + 6 + 2 + 2)
    assert float(row["added_path_mm"]) == 2.0 * float(row["added_path_pixels"])
    assert float(row["long_error_mm"]) == pytest.approx(0.0, abs=1e-9) and float(row["reference_long_mm"]) > 20
    assert (row["lesions"], row["lesions_found"], row["false_positives"]) == ("1", "1", "0")
    assert one["figures"]["dice"]["mean"] == 0.75 and one["figures"]["dice"]["mean_interval"] is None


def test_the_answer_that_is_the_reference_agrees_in_everything(bench: Bench) -> None:
    case(bench.cases, "1", {"GTV-1": [BLOCK]})
    bench.run()
    (row,) = bench.table()
    assert [float(row[name]) for name in ("dice", "jaccard", "surface_dice")] == [1.0, 1.0, 1.0]
    assert [float(row[name]) for name in ("hd95_mm", "added_path_mm", "added_voxels", "volume_error_ml")] == [0.0] * 4


def test_lesions_are_counted_one_by_one_and_lungs_make_the_curve(bench: Bench) -> None:
    lungs = {"Lung R": [((0, 12), (0, 20), (0, 12))], "Lung L": [((12, 24), (0, 20), (0, 12))]}
    case(bench.cases, "1", {"GTV-1": [BLOCK], "GTV-2": [ELSEWHERE], **lungs})  # the second is missed
    case(bench.cases, "2", {"GTV-1": [BLOCK], **lungs}, [BLOCK, ELSEWHERE])  # a second is invented
    (one,) = bench.run(rois={"lesions": ["GTV*"]}, lungs=("Lung *",)).figures
    found = one["detection"]
    assert (found["lesions"], found["found"], found["false_positives"]) == (3, 2, 1)
    assert found["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert found["false_positives_per_case"]["value"] == 0.5 and found["unit"] == "lung"
    # Of four lungs three hold a lesion; the score is 1 in two of these and in the fourth: pairs 0.5, 0.5 and 0.
    assert (found["units"], found["units_with_a_lesion"]) == (4, 3)
    assert found["roc_auc"]["value"] == pytest.approx((0.5 + 0.5 + 0.0) / 3)
    lesions = [row for row in bench.table("lesions.csv") if row["row"] == "lesion"]
    assert sorted((row["location"], row["found"]) for row in lesions) == [
        ("Lung L", "False"), ("Lung R", "True"), ("Lung R", "True"),
    ]  # fmt: skip


def test_what_cannot_be_evaluated_is_a_row_with_its_reason(bench: Bench) -> None:
    case(bench.cases, "1", {"GTV-1": [BLOCK]})
    evaluating.save(bench.cases / "2", evaluating.images("2"))
    (case(bench.cases, "3", {"GTV-1": [BLOCK]}) / "4.dcm").unlink()  # a slice of the CT is missing
    case(bench.cases, "4", {"Heart": [BLOCK]})
    (bench.cases / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"rest")
    done = bench.run()
    reasons = {row["study_instance_uid"]: row["reason"] for row in bench.table() if row["status"] == "failed"}
    told = " | ".join(sorted(reasons.values()))
    assert done.failed == 3 and len(reasons) == 3 and done.figures[0]["cases"] == 1
    assert "no reference: no SEG or RTSTRUCT" in told and "which has: Heart" in told and "not analysed: " in told
    assert any("broken.dcm" in text for text in bench.told)
    page = (bench.out / "report.html").read_text()
    assert "Not evaluated" in page and "which has: Heart" in page


def test_a_case_without_a_lesion_counts_only_where_somebody_says_that_it_has_none(bench: Bench) -> None:
    case(bench.cases, "1", {"Heart": [ELSEWHERE]}, [])
    case(bench.cases, "2", {"Heart": [ELSEWHERE]}, [BLOCK])
    assert bench.run(out=bench.cases.parent / "first").failed == 2
    (one,) = bench.run(negatives=True).figures
    assert one["detection"]["false_positives"] == 1 and one["detection"]["sensitivity"]["value"] is None
    rows = {row["patient"]: row for row in bench.table()}
    assert sorted((row["dice"], row["hd95_mm"]) for row in rows.values()) == [("", ""), ("0.0", "")]


def test_a_stopped_run_leaves_what_is_done_and_goes_on_with_the_rest(bench: Bench) -> None:
    for number in "1234":
        case(bench.cases, number, {"GTV-1": [SHIFTED if number in "13" else BLOCK]})

    def stop_after_two(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("cases", 2):
            raise KeyboardInterrupt

    first = bench.run(stop_after_two)
    assert first.interrupted and len(bench.table()) == 2 and (bench.out / "report.html").exists()
    second = bench.run()
    assert (second.done + second.skipped, second.cases, second.interrupted) == (4, 4, False) and second.skipped == 2
    whole = bench.run(out=bench.cases.parent / "whole")
    assert [one["figures"] for one in whole.figures] == [one["figures"] for one in second.figures]
    with pytest.raises(ConfigError, match="other settings"):
        bench.run(tolerance_mm=3.0)


def test_the_report_is_one_file_and_names_no_patient(bench: Bench) -> None:
    for number in "12":
        case(bench.cases, number, {"GTV-1": [SHIFTED]})
    bench.run()
    page = (bench.out / "report.html").read_text()
    assert page.count("<figure>") == 3 and "Worst cases" in page
    assert set(re.findall(r'(?:src|href)="(.{10})', page)) == {"data:image"} and "<script" not in page
    everything = "".join(path.read_text() for path in bench.out.iterdir() if path.suffix in {".csv", ".json", ".html"})
    assert "LOGME" not in everything and str(bench.cases) not in everything
    assert {row["patient"] for row in bench.table()}.isdisjoint({"1", "2"})


def test_classes_are_told_apart_by_columns_that_somebody_adds(bench: Bench, tmp_path: Path) -> None:
    case(bench.cases, "1", {"GTV-1": [SHIFTED]})
    case(bench.cases, "2", {"GTV-1": [BLOCK]})
    table = tmp_path / "strata.csv"
    table.write_text("PatientID,location\n1,upper lobe\n2,lower lobe\n")
    (one,) = bench.run(strata=read_strata(table)).figures
    found = {(of["by"], of["class"]): of["figures"]["dice"]["mean"] for of in one["strata"]}
    assert found == {("location", "upper lobe"): 0.75, ("location", "lower lobe"): 1.0}
    assert json.loads((bench.out / "summary.json").read_text())["figures"][0]["strata"]
    table.write_text("patient,location\n1,upper lobe\n")
    with pytest.raises(ConfigError, match="StudyInstanceUID or PatientID"):
        read_strata(table)


def test_excluded_voxels_count_for_nobody(bench: Bench) -> None:
    off: Box = ((4, 6), (2, 10), (3, 7))
    case(bench.cases, "1", {"GTV-1": [SHIFTED], "Vessel": [off, ((12, 14), (2, 10), (3, 7))]})
    bench.run(exclude=("vessel",))
    (row,) = bench.table()
    assert float(row["dice"]) == 1.0


def test_an_excluded_region_is_neither_found_nor_invented(bench: Bench) -> None:
    lungs = {"Lung R": [((0, 12), (0, 20), (0, 12))], "Lung L": [((12, 24), (0, 20), (0, 12))]}
    inner: Box = ((16, 21), (12, 18), (3, 7))  # a column less than the model marks: its rim is no candidate
    case(bench.cases, "1", {"GTV-1": [BLOCK], "GTV-2": [inner], **lungs}, [BLOCK, ELSEWHERE])
    (one,) = bench.run(rois={"lesions": ["GTV-1"]}, exclude=("GTV-2",), lungs=("Lung *",)).figures
    found = one["detection"]
    assert (found["lesions"], found["found"], found["false_positives"]) == (1, 1, 0)
    scores = {row["location"]: (row["lesion"], float(row["score"])) for row in bench.table("lungs.csv")}
    assert scores == {"Lung R": ("True", 1.0), "Lung L": ("False", 0.0)}


def test_a_lesion_that_touches_what_is_excluded_can_be_found(bench: Bench) -> None:
    case(bench.cases, "1", {"GTV-1": [((4, 6), (2, 10), (3, 7))], "Rib": [((6, 12), (2, 10), (3, 7))]})
    (one,) = bench.run(rois={"lesions": ["GTV-1"]}, exclude=("Rib",)).figures
    assert (one["detection"]["found"], one["detection"]["false_positives"]) == (1, 0)


def test_a_lesion_that_was_drawn_twice_is_one_lesion(bench: Bench) -> None:
    ct = evaluating.images("1", [BLOCK])
    first = evaluating.drawn(ct, {"GTV-1": [BLOCK]})
    second = evaluating.drawn(ct, {"GTV-1": [((4, 12), (2, 11), (3, 7))], "GTV-2": [((12, 14), (2, 10), (3, 7))]})
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.9")
    second.SeriesInstanceUID = f"{first.SeriesInstanceUID}.9"
    evaluating.save(bench.cases / "1", [*ct, first, second])
    bench.run()
    (row,) = bench.table()
    # GTV-2 only touches the first, and is a lesion of its own.
    assert (row["lesions"], row["lesions_found"]) == ("2", "1")
    assert "regions that overlap count once: GTV-1, GTV-1" in row["remarks"]
    lesions = [one for one in bench.table("lesions.csv") if one["row"] == "lesion"]
    assert [one["region"] for one in lesions] == ["GTV-1", "GTV-2"]
    voxels = [8 * 9 * 4, 2 * 8 * 4]
    assert [float(one["volume_ml"]) for one in lesions] == pytest.approx([number * 0.016 for number in voxels])


def test_a_reference_that_was_added_or_redrawn_counts_in_place_of_what_was_there(bench: Bench) -> None:
    ct = evaluating.images("1", [BLOCK])
    folder = evaluating.save(bench.cases / "1", ct)
    assert bench.run().failed == 1

    def redrawn(box: Box, suffix: str) -> list[tuple[str, str]]:
        reference = evaluating.drawn(ct, {"GTV-1": [box]})
        reference.SOPInstanceUID = reference.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{suffix}")
        reference.save_as(folder / "reference.dcm", enforce_file_format=True)
        bench.run()
        return [(row["status"], row["dice"]) for row in bench.table()]

    assert redrawn(SHIFTED, "7") == [("ok", "0.75")]
    assert redrawn(BLOCK, "8") == [("ok", "1.0")]
    assert redrawn(SHIFTED, "8") == [("ok", "0.75")]  # the same UID
    assert bench.run().skipped == 1
    for ds, changed in zip(ct, evaluating.images("1", [SHIFTED]), strict=True):
        ds.PixelData = changed.PixelData
    for number, ds in enumerate(ct):
        ds.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    assert bench.run().done == 1 and [row["dice"] for row in bench.table()] == ["1.0"]


def test_a_cohort_without_a_single_lesion_has_its_specificity(bench: Bench) -> None:
    rows = [
        {"row": "structure", "structure": "lesions", "status": "ok", "patient": str(number), "reference_ml": 0.0,
         "answer_ml": 0.0, "lesions": 0, "lesions_found": 0, "false_positives": number % 3 == 0, "location": ""}
        for number in range(9)
    ]  # fmt: skip
    (one,) = summary(rows, (), 1)
    assert one["cases"] == 9 and one["strata"] == [] and one["detection"]["false_positives"] == 3


def test_without_option_a_lesion_is_known_by_its_name_too(bench: Bench) -> None:
    case(bench.cases, "1", {"Dense": [BLOCK]})
    bench.run()
    (row,) = bench.table()
    assert (row["status"], row["lesions_found"]) == ("ok", "1"), row["reason"]


def test_a_case_with_figures_of_one_structure_is_evaluated_and_counted_once(bench: Bench) -> None:
    case(bench.cases, "1", {"GTV-1": [BLOCK]})
    case(bench.cases, "2", {"Heart": [BLOCK]})
    done = bench.run(rois={"lesions": ["GTV-1"], "dense": ["Other"]})
    assert (done.cases, done.evaluated, done.failed) == (2, 1, 2)


def test_regions_are_named_by_option_by_code_or_not_at_all(bench: Bench) -> None:
    spec = load_bundle(bench.models / "dense")
    (target,) = targets_of(spec, Wish())
    assert target.lesion and not target.patterns
    (by_option,) = targets_of(spec, Wish(rois=pairs(["dense=GTV-1", "dense=GTV n *"])))
    assert by_option.patterns == ("GTV-1", "GTV n *")
    with pytest.raises(ConfigError, match="model dense has lesions, dense"):
        targets_of(spec, Wish(rois={"lung": ["Lung"]}))
    with pytest.raises(ConfigError, match="needed NAME=ROI"):
        pairs(["GTV-1"])


def test_the_series_on_which_somebody_has_drawn_is_the_one_that_is_tried(bench: Bench) -> None:
    ct = evaluating.images("1", [BLOCK])
    other = evaluating.images("1", [ELSEWHERE], ConvolutionKernel="LUNG", SeriesDescription="thin")
    for ds in other:
        ds.SeriesInstanceUID = f"{ds.SeriesInstanceUID}.9"[:64]
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.9"[:64]
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for number, (tried, left) in enumerate(((ct, other), (other, ct))):
        folder = bench.cases / str(number)
        evaluating.save(folder, [*tried, *left, evaluating.drawn(tried, {"GTV-1": [BLOCK]})])
        out = bench.cases.parent / f"out-{number}"
        bench.run(out=out)
        (row,) = bench.table(out=out)
        assert row["status"] == "ok", row["reason"]
        assert row["series_instance_uid"] == str(tried[0].SeriesInstanceUID)
        assert float(row["dice"]) == (1.0 if tried is ct else 0.0)
        for path in folder.iterdir():
            path.unlink()


def test_boxes_of_a_detector_are_candidates_with_their_scores(bench: Bench) -> None:
    spec = load_bundle(bench.models / "dense")
    (target,) = targets_of(spec, Wish())
    volume = Volume(np.zeros((6, 10, 10), np.int16), np.diag([4.0, 2.0, 2.0, 1.0]), coordinate_system="PATIENT")
    low, high = (0.5, 1.5, -0.5), (2.5, 4.5, 3.5)
    box = Detection(number=1, segment=spec.segments[0], score=0.8, low=low, high=high)
    findings = Findings(
        source=SourceSeries(volume=volume, planes=()),
        segmentation=Segmentation(volume=volume.with_array(np.zeros((6, 10, 10), np.uint8)), segments=()),
        measurements=(),
        detections=(box,),
    )
    (part,) = candidates_of(findings, target)
    assert (part.score, part.voxels, part.box) == (0.8, 2 * 3 * 4, (slice(1, 3), slice(2, 5), slice(0, 4)))
    assert np.count_nonzero(answer_of(findings, target)) == 24
