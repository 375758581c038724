"""What may feed a model, through the whole node: several series, several stacks in one, and every task's answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import Dataset
from scipy import ndimage
from scipy.spatial import cKDTree

from tests.acceptance.peers import REFUSAL, SEG, SR, CountingPacs
from tests.acceptance.reading import complaints, dump, referenced_instances, words
from tests.acceptance.running import Node, peer
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.marker import BACKGROUND, MARKER, points_of, upright_marker
from tests.series.scan import Floats, Scan, orientations
from tests.series.sending import send

pytestmark = pytest.mark.acceptance

RULE = """
[[rule]]
name = "{0}"
model = "{0}"
outputs = ["seg", "sr"]
destinations = ["sender"]
[rule.series]
SeriesDescription = "{0}"
"""
IMAGE = """
[input.image]
Modality = { any_of = ["CT", "MR"] }
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
"""
TILE = """
[tile]
shape = [{0}, {1}, {2}]
overlap = 0.0
batch = 1
[output]
"""
PET_CT = """
[input.ct]
Modality = "CT"
[input.pet]
Modality = "PT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
inputs = ["ct"]
[[prepare]]
step = "scale"
range = [0.0, 10.0]
inputs = ["pet"]
"""
QUESTION = 'question = { value = "DENSE", scheme = "99TEST", meaning = "Dense object" }\n'
CLASSES = """
[[class]]
number = 0
label = "absent"
code = { value = "2667000", scheme = "SCT", meaning = "Absent" }
[[class]]
number = 1
label = "present"
code = { value = "52101004", scheme = "SCT", meaning = "Present" }
"""
SCORES = """
[[score]]
number = 0
name = { value = "DENSITY", scheme = "99TEST", meaning = "Mean density score" }
unit = { value = "1", scheme = "UCUM", meaning = "no units" }
"""
SCAN = upright_marker()
SHAPE = SCAN.values.shape

#: What the hot part of the PET has, and half the way to it, where the sum of both channels reaches the threshold.
HOT_SUV, HALF_SUV = 8.0, 4.0
#: Density of the marker and of the faint second echo, in thousands.
DENSE, FAINT = MARKER / 1000, 0.2


def detector() -> bytes:
    """A network that puts one box with score 0.9 round everything above 0.5 in its tile."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [3], [2, 3, 4])
    nodes = [
        make("Greater", ["image", "level"], ["above"]),
        make("NonZero", ["above"], ["all_axes"]),
        make("Constant", [], ["spatial"], value=axes),
        make("Gather", ["all_axes", "spatial"], ["places"], axis=0),
        make("Cast", ["places"], ["indices"], to=onnx.TensorProto.FLOAT),
        make("ReduceMin", ["indices"], ["first"], axes=[1], keepdims=0),
        make("ReduceMax", ["indices"], ["last"], axes=[1], keepdims=0),
        make("Sub", ["first", "half"], ["low"]),
        make("Add", ["last", "half"], ["high"]),
        make("Concat", ["low", "high"], ["corners"], axis=0),
        make("Unsqueeze", ["corners", "zero"], ["boxes"]),
        make("Identity", ["certain"], ["scores"]),
        make("Constant", [], ["zero"], value=onnx.helper.make_tensor("z", onnx.TensorProto.INT64, [1], [0])),
    ]
    order = [nodes[-1], *nodes[:-1]]
    return bundles.serialized(
        order,
        {"image": [1, 1, *SHAPE]},
        {"boxes": ["n", 6], "scores": ["n", 1]},
        {"level": ([], [0.5]), "half": ([], [0.5]), "certain": ([1, 1], [0.9])},
    )


def pooling(kind: str, weights: list[float], bias: list[float]) -> bytes:
    """A network that gives linear functions of the greatest or the mean value of its tile."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    return bundles.serialized(
        [
            make(f"Global{kind}Pool", ["image"], ["pooled"]),
            make("Flatten", ["pooled"], ["flat"]),
            make("Gemm", ["flat", "w", "b"], ["logits"]),
        ],
        {"image": ["batch", 1, *SHAPE]},
        {"logits": ["batch", len(weights)]},
        {"w": ([1, len(weights)], weights), "b": ([len(bias)], bias)},
    )


def write_bundles(models: Path) -> None:
    """A bundle for each question of this module."""
    whole = TILE.format(*SHAPE)
    small = TILE.format(8, 16, 16)
    softmax, plain = 'activation = "softmax"\n', 'activation = "none"\n'
    # 0.8 of the CT and half the way to the PET's 0.8 are 1.2.
    both = bundles.threshold(DENSE + HALF_SUV / 10, channels=(1.0, 1.0))
    bundles.write(models, "pet-ct", PET_CT + small + softmax + bundles.DENSE, both)
    bundles.write(models, "dense", IMAGE + small + softmax + bundles.DENSE, bundles.threshold(0.5))
    bundles.write(models, "boxes", IMAGE + whole + plain + bundles.DENSE, detector(), task="detect")
    dense_or_not = pooling("Max", [0.0, 20.0], [0.0, -10.0])
    bundles.write(models, "classes", IMAGE + whole + softmax + QUESTION + CLASSES, dense_or_not, task="classify")
    bundles.write(models, "scores", IMAGE + whole + plain + SCORES, pooling("Average", [1.0], [0.0]), task="score")


def hot_spot() -> tuple[Scan, Floats]:
    """A PET on a coarser grid of its own round the marker's largest box, and what it says at the voxels of the CT."""
    affine = np.eye(4)
    affine[:3, :3] = np.diag([4.3, 4.3, 3.7])[:, ::-1]
    affine[:3, 3] = SCAN.affine[:3, 3] - 3.1
    values = np.zeros((27, 16, 15), dtype=np.int16)
    values[5:12, 5:11, 6:9] = 800
    pet = Scan(values=values, affine=affine)
    indices = np.linalg.inv(affine) @ np.c_[SCAN.centres_mm().reshape(-1, 3), np.ones(SCAN.values.size)].T
    suv = ndimage.map_coordinates(values.astype(float) / 800 * HOT_SUV, indices[:3], order=1).reshape(SHAPE)
    return pet, suv


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """All that came back."""

    objects: list[Dataset]
    node: Node
    folder: Path

    def of(self, study: str, *sop_classes: str) -> list[Dataset]:
        """What came back for a study, as files in a folder, too."""
        uid = Place(study=study).study_instance_uid
        found = [ds for ds in self.objects if (ds.StudyInstanceUID, ds.SOPClassUID in sop_classes) == (uid, True)]
        for ds in found:
            ds.save_as(self.file(ds), enforce_file_format=True)
        return found

    def file(self, ds: Dataset) -> Path:
        """Where an object was written."""
        return self.folder / f"{ds.SOPInstanceUID}.dcm"


def sent() -> dict[str, list[Dataset]]:
    """Every study by its name."""
    pet, _ = hot_spot()
    slope = HOT_SUV / 800 / classic.suv_of(1.0)
    faint = Scan(values=np.where(SCAN.values == MARKER, 200, 100).astype(np.int16), affine=SCAN.affine)
    across = dict(orientations(SCAN))["RFP"]

    def place(study: str, model: str, series: str = "1", number: int = 1) -> Place:
        return Place(study=study, series=series, number=number, description=model)

    both = place("pet and ct", "pet-ct")
    echoes, scouted = place("two echoes", "dense"), place("with localizer", "dense")
    plain = {f"for {task}": classic.ct(SCAN, place(f"for {task}", task)) for task in ("boxes", "classes", "scores")}
    return {
        "pet and ct": [
            *classic.ct(SCAN, both),
            *classic.pet(pet, place("pet and ct", "pet-ct", "2", 2), becquerel_per_ml=slope),
        ],
        "ct alone": classic.ct(SCAN, place("ct alone", "pet-ct")),
        "two echoes": [
            *classic.mr(SCAN, echoes, echo_time_ms=10.0, echo_number=1),
            *classic.mr(faint, echoes, echo_time_ms=90.0, echo_number=2),
        ],
        "with localizer": [classic.localizer(across, scouted, 13), *classic.ct(SCAN, scouted)],
        **plain,
    }


STUDIES = sent()


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Returned]:
    """One node with a bundle for each question is sent all studies."""
    folder = tmp_path_factory.mktemp("inputs")
    write_bundles(folder / "models")
    rules = "".join(RULE.format(one.name) for one in sorted((folder / "models").iterdir()))
    pacs = CountingPacs()
    pacs.start()
    node = Node(folder / "node", models=folder / "models", peers=[peer("PACS", pacs.aet, pacs.port)], rules=rules)
    try:
        node.start()
        for datasets in STUDIES.values():
            assert send(datasets, node.port) == {0}
        node.wait_idle(120)
        yield Returned(objects=pacs.of_class(SEG, SR, REFUSAL), node=node, folder=folder)
    finally:
        node.kill()
        pacs.stop()
    assert node.leaks() == []


def results(returned: Returned, study: str) -> tuple[Dataset, Dataset]:
    """The one SEG and the one SR of a study, found to be valid."""
    assert [words(ds) for ds in returned.of(study, REFUSAL)] == []
    (segmentation,), (report,) = returned.of(study, SEG), returned.of(study, SR)
    assert complaints(returned.file(segmentation)) == []
    assert complaints(returned.file(report)) == []
    return segmentation, report


def report_of(returned: Returned, study: str) -> tuple[Dataset, str]:
    """The one SR of a study whose model makes no mask, found to be valid, and what DCMTK reads in it."""
    assert [words(ds) for ds in returned.of(study, REFUSAL)] == []
    assert returned.of(study, SEG) == []
    (report,) = returned.of(study, SR)
    assert complaints(returned.file(report)) == []
    return report, dump(returned.file(report))


def same_places(segmentation: Dataset, mask: Any) -> None:
    """The voxels of a SEG are those of a mask on the grid of the marker's CT, to 0.01 mm."""
    points, expected = points_of(segmentation), SCAN.centres_mm()[mask]
    assert len(points) == len(expected)
    assert np.max(cKDTree(points).query(expected)[0]) < 0.01


def test_pet_and_ct_feed_one_model_and_the_mask_lies_on_the_ct(returned: Returned) -> None:
    segmentation, report = results(returned, "pet and ct")
    _, suv = hot_spot()
    expected = (SCAN.values == MARKER) & (suv > HALF_SUV)

    assert 0 < expected.sum() < (SCAN.values == MARKER).sum()
    same_places(segmentation, expected)
    images = {str(ds.SOPInstanceUID): str(ds.Modality) for ds in STUDIES["pet and ct"]}
    assert {images[uid] for uid in referenced_instances(segmentation) if uid in images} >= {"CT"}
    assert {images[uid] for uid in referenced_instances(report) if uid in images} == {"CT", "PT"}


def test_a_missing_companion_is_told_by_the_name_of_the_input(returned: Returned) -> None:
    (refusal,) = returned.of("ct alone", REFUSAL)
    assert returned.of("ct alone", SEG, SR) == []
    assert complaints(returned.file(refusal)) == []
    assert "not analysed" in dump(returned.file(refusal)).lower()
    assert "input pet" in words(refusal)


def test_of_two_echoes_in_one_series_the_first_is_analysed_alone(returned: Returned) -> None:
    segmentation, report = results(returned, "two echoes")
    same_places(segmentation, SCAN.values == MARKER)
    echoes = {str(ds.SOPInstanceUID): int(ds.EchoNumbers) for ds in STUDIES["two echoes"]}
    assert {echoes[uid] for uid in referenced_instances(segmentation) if uid in echoes} == {1}
    assert {echoes[uid] for uid in referenced_instances(report) if uid in echoes} == {1}


def test_the_story_says_which_of_two_echoes_was_taken(returned: Returned) -> None:
    story = str(returned.node.why(Place(study="two echoes").study_instance_uid))
    assert "echo 1 of 2" in story


def test_a_localizer_inside_a_series_spoils_nothing(returned: Returned) -> None:
    segmentation, report = results(returned, "with localizer")
    same_places(segmentation, SCAN.values == MARKER)
    scout = str(STUDIES["with localizer"][0].SOPInstanceUID)
    assert scout not in referenced_instances(segmentation) | referenced_instances(report)


def test_a_detector_reports_its_box_with_score_size_and_outline(returned: Returned) -> None:
    report, text = report_of(returned, "for boxes")
    dense = np.argwhere(SCAN.values == MARKER)
    low, high = dense.min(axis=0), dense.max(axis=0) + 1
    depth, length, width = (high - low) * [SCAN.spacing_mm, *SCAN.pixel_spacing_mm]
    assert "Dense" in text
    found = {
        str(item.ConceptNameCodeSequence[0].CodeMeaning): float(item.MeasuredValueSequence[0].NumericValue)
        for item in _items(report, "NUM")
    }
    assert found["Certainty of Finding"] == pytest.approx(90, abs=1e-3)
    assert (found["Depth"], found["Length"], found["Width"]) == pytest.approx((depth, length, width))
    (outline,) = _items(report, "SCOORD")
    # Image coordinates count from the corner of the first pixel (PS3.3 C.18.6.1.1).
    corners = np.array(outline.GraphicData, dtype=float).reshape(-1, 2)
    assert corners.min(axis=0).tolist() == [low[2], low[1]]
    assert corners.max(axis=0).tolist() == [high[2], high[1]]
    (image,) = outline.ContentSequence
    (shown,) = (
        ds
        for ds in STUDIES["for boxes"]
        if ds.SOPInstanceUID == image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    )
    assert low[0] + 1 <= shown.InstanceNumber <= high[0]


def test_a_classifier_reports_question_answer_and_probability(returned: Returned) -> None:
    report, text = report_of(returned, "for classes")
    assert "Dense object" in text
    assert "Present" in text
    answers = {
        str(item.ConceptNameCodeSequence[0].CodeMeaning): str(item.ConceptCodeSequence[0].CodeMeaning)
        for item in _items(report, "CODE")
    }
    assert answers["Dense object"] == "Present"
    certain = 1 / (1 + np.exp(-(20 * DENSE - 10)))
    numbers = [float(item.MeasuredValueSequence[0].NumericValue) for item in _items(report, "NUM")]
    assert any(one == pytest.approx(certain, abs=1e-3) for one in numbers)


def test_a_score_is_reported_with_its_name_unit_and_value(returned: Returned) -> None:
    report, text = report_of(returned, "for scores")
    expected = float(np.where(SCAN.values == MARKER, DENSE, BACKGROUND / 1000).mean())
    (item,) = [
        item for item in _items(report, "NUM") if item.ConceptNameCodeSequence[0].CodeMeaning == "Mean density score"
    ]
    measured = item.MeasuredValueSequence[0]
    assert float(measured.NumericValue) == pytest.approx(expected, rel=1e-4)
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert "Mean density score" in text


@pytest.mark.parametrize(("study", "regions"), [("for boxes", 1), ("for classes", 0), ("for scores", 0)])
def test_highdicom_reads_the_groups_of_the_report(returned: Returned, study: str, regions: int) -> None:
    report, _ = report_of(returned, study)
    content = highdicom.sr.srread(returned.file(report)).content
    assert isinstance(content, highdicom.sr.MeasurementReport)
    assert len(content.get_planar_roi_measurement_groups()) == regions
    # Groups of remarks hold neither numbers nor answers.
    whole = [
        group
        for group in content.get_image_measurement_groups()
        if group.get_measurements() or group.get_qualitative_evaluations()
    ]
    assert len(whole) == 1 - regions


def _items(report: Dataset, value_type: str) -> Iterator[Dataset]:
    """Content items of a type anywhere in a report."""
    for item in report.get("ContentSequence", ()):
        if item.ValueType == value_type:
            yield item
        yield from _items(item, value_type)
