"""Every task and several inputs through intake, settle and work, with checks and warnings told once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from dicomnode.config import parse
from dicomnode.domain.network import Association
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.receive.header import read_arrival
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import Scan, upright

#: 10 slices of 16 × 16 pixels, 4 × 2 × 2 mm.
SHAPE, SPACING_MM = (16, 16, 10), (2.0, 2.0, 4.0)

REST = """
[tile]
shape = [10, 16, 16]
overlap = 0.0
batch = 1
"""

#: Channels are summed: 400 HU and 40 Bq/ml are not enough alone for a sum above 0.6, together they are.
PET_CT = f"""
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
range = [0.0, 100.0]
inputs = ["pet"]
{REST}
[output]
activation = "softmax"
[valid]
minimum_slices = 4
[valid.pet]
units = ["{{counts}}"]
[plausible]
volume_ml = [{{ segment = 1, range = [0.0, 1.0] }}]
{bundles.DENSE}
"""


def scan(value: int, rows: slice, columns: slice) -> Scan:
    """Nothing, with a block of one value."""
    lattice = np.zeros(SHAPE, np.int16)
    lattice[columns, rows, 3:7] = value
    return upright(lattice, SPACING_MM, (-10.0, -20.0, 30.0))


def ct(frame: str = "f") -> list[Dataset]:
    return classic.ct(scan(400, slice(2, 10), slice(4, 12)), Place(study="s", series="ct", frame=frame))


def pet(frame: str = "f") -> list[Dataset]:
    images = classic.pet(scan(40, slice(6, 14), slice(4, 12)), Place(study="s", series="pet", number=2, frame=frame))
    for ds in images:
        ds.Units = "CNTS"  # counts stay counts, so that the sum is known
        del ds.RadiopharmaceuticalInformationSequence
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came of a study."""

    job: dict[str, Any]
    results: dict[str, Dataset]

    def texts(self, role: str) -> list[str]:
        return [str(item.TextValue) for item in _items(self.results[role]) if item.get("ValueType") == "TEXT"]


def _items(node: Dataset) -> Iterable[Dataset]:
    for item in node.get("ContentSequence", ()):
        yield item
        yield from _items(item)


class Loops:
    """Three loops on one store."""

    def __init__(self, db: Database, files: Files, clock: Hands, models: Path) -> None:
        self.db, self.files, self.clock, self.models = db, files, clock, models

    def run(self, datasets: Iterable[Dataset], **rule: Any) -> Came:
        """Receive the images, settle, work; the newest job and all results."""
        settings = parse(
            {
                "models": {"folder": str(self.models)},
                "completion": {"max_study_age_days": 0},
                "peer": [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}],
                "rule": [{"name": "r", "model": "m", **rule}],
            }
        )
        intake = Intake(self.db, self.files, settings.rules)
        for ds in datasets:
            self._accept(intake, ds)
        self.clock.forward(6)
        assert Settle(self.db, self.files, settings, Planner(settings), lambda _a, _b: False).sweep()
        worker = Worker(self.db, self.files, settings, Sessions(threads=1), "work-1")
        while worker.run_once():
            self.clock.forward(11)
        job = self.db.row("SELECT * FROM job ORDER BY job_id DESC LIMIT 1")
        rows = self.db.rows("SELECT role, path FROM result ORDER BY result_id")
        assert job is not None
        return Came(job=dict(job), results={row["role"]: dcmread(self.files.path(row["path"])) for row in rows})

    def _accept(self, intake: Intake, ds: Dataset) -> None:
        path = self.files.incoming / str(ds.SOPInstanceUID)
        ds.save_as(path, enforce_file_format=True)
        association = Association(
            association_id="a", calling_aet="PACS", called_aet="DICOMNODE", address="127.0.0.1", peer="PACS"
        )
        intake.accept(
            read_arrival(
                path, association, sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID),
                transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID), on_demand=False,
            )
        )  # fmt: skip


@pytest.fixture
def loops(db: Database, files: Files, clock: Hands, tmp_path: Path) -> Loops:
    return Loops(db, files, clock, tmp_path / "models")


BOTH = {"inputs": {"ct": {"Modality": "CT"}, "pet": {"Modality": "PT"}}}


@pytest.fixture
def pet_ct(loops: Loops) -> Loops:
    bundles.write(loops.models, "m", PET_CT, bundles.threshold(0.6, channels=(1.0, 1.0)))
    return loops


def test_two_series_feed_one_network_and_the_mask_lies_on_the_first(pet_ct: Loops) -> None:
    came = pet_ct.run([*pet(), *ct()], **BOTH)
    assert came.job["state"] == "done", came.job["reason"]
    mask = came.results["seg"]
    # Only where both blocks overlap: rows 6 to 9 and columns 4 to 11 of slices 3 to 6.
    assert int(mask.pixel_array.sum()) == 4 * 4 * 8
    assert mask.ReferencedSeriesSequence[0].SeriesInstanceUID == Place(study="s", series="ct").series_instance_uid
    inputs = {row[0] for row in pet_ct.db.rows("SELECT DISTINCT input FROM job_input")}
    assert inputs == {"ct", "pet"}


def test_a_missing_companion_is_told_to_the_reader_and_mended_when_it_comes(pet_ct: Loops) -> None:
    first = pet_ct.run(ct(), **BOTH)
    assert first.job["state"] == "failed" and set(first.results) == {"refusal"}
    assert any(
        text == "Not analysed: no series for input pet (needed Modality equals PT) in this frame of reference"
        for text in first.texts("refusal")
    )
    second = pet_ct.run(pet(), **BOTH)
    assert second.job["state"] == "done" and "seg" in second.results


def test_a_companion_that_lies_elsewhere_in_space_is_no_companion(pet_ct: Loops) -> None:
    came = pet_ct.run([*ct(), *pet(frame="other")], **BOTH)
    assert "another frame of reference has one" in came.job["reason"]


def shifted(images: list[Dataset], by_mm: float) -> list[Dataset]:
    for ds in images:
        x, y, z = (float(value) for value in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y, z + by_mm]
    return images


def test_a_companion_that_does_not_touch_the_first_series_gives_no_answer(pet_ct: Loops) -> None:
    came = pet_ct.run([*ct(), *shifted(pet(), 500.0)], **BOTH)
    assert set(came.results) == {"refusal"}
    assert "pet: companion coverage: 0 % of the first input covered, needed 95 % or more" in came.job["reason"]


def test_a_companion_that_covers_half_of_the_first_series_is_told_in_the_report(pet_ct: Loops) -> None:
    came = pet_ct.run([*ct(), *shifted(pet(), 20.0)], **BOTH)
    assert came.job["state"] == "done", came.job["reason"]
    assert any("companion coverage: 50 % of the first input covered" in text for text in came.texts("sr"))


def test_every_warning_stands_once_in_the_report(pet_ct: Loops) -> None:
    warnings = [text for text in pet_ct.run([*pet(), *ct()], **BOTH).texts("sr") if "Warning: " in text]
    assert sum("volume" in text for text in warnings) == 1
    assert sum("SUV" in text for text in warnings) == 1 and len(warnings) == len(set(warnings))
    assert any(text.startswith("Warning: pet: ") for text in warnings)


ONE = """
[input.ct]
Modality = "CT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
"""


def test_a_failed_check_stands_in_the_refusal_with_value_and_limit(loops: Loops) -> None:
    body = ONE + REST + '[output]\nactivation = "softmax"\n[valid]\npixel_spacing_mm = [0.1, 0.5]\n' + bundles.DENSE
    bundles.write(loops.models, "m", body, bundles.threshold(0.2))
    came = loops.run(ct(), series={"Modality": "CT"})
    assert came.job["state"] == "failed" and "pixel spacing" in came.job["reason"]
    texts = " | ".join(came.texts("refusal"))
    assert "0.1 to 0.5 mm" in texts and "Not analysed" in texts


def test_an_output_that_is_not_believed_is_refused_with_the_checks_of_the_input_too(loops: Loops) -> None:
    limit = '{ limit = [{ segment = 1, range = [500.0, 900.0] }], otherwise = "block" }'
    body = ONE + REST + '[output]\nactivation = "softmax"\n[valid]\nminimum_slices = 4\n[plausible]\n'
    bundles.write(loops.models, "m", f"{body}volume_ml = {limit}\n{bundles.DENSE}", bundles.threshold(0.2))
    came = loops.run(ct(), series={"Modality": "CT"})
    assert came.job["state"] == "failed" and set(came.results) == {"refusal"}
    texts = " | ".join(came.texts("refusal"))
    assert "500 to 900 ml" in texts and "minimum slices" in texts


def pooled(outputs: int) -> bytes:
    """A network that gives the mean of the image and, where there are two, one less it."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    return bundles.serialized(
        [
            make("GlobalAveragePool", ["image"], ["mean"]),
            make("Flatten", ["mean"], ["flat"]),
            make("Gemm", ["flat", "w", "b"], ["logits"]),
        ],
        {"image": ["batch", 1, 10, 16, 16]},
        {"logits": ["batch", outputs]},
        {"w": ([1, outputs], [1000.0, -1000.0][:outputs]), "b": ([outputs], [0.0, 1.0][:outputs])},
    )


def test_a_classifier_makes_a_report_and_no_mask(loops: Loops) -> None:
    body = (
        ONE + REST + '[output]\nactivation = "softmax"\n'
        'question = { value = "121071", scheme = "DCM", meaning = "Finding" }\n'
        '[[class]]\nnumber = 0\nlabel = "bright"\n'
        'code = { value = "52101004", scheme = "SCT", meaning = "Present" }\n'
        '[[class]]\nnumber = 1\nlabel = "dark"\n'
        'code = { value = "2667000", scheme = "SCT", meaning = "Absent" }\n'
    )
    bundles.write(loops.models, "m", body, pooled(2), task="classify")
    came = loops.run(ct(), series={"Modality": "CT"})
    assert came.job["state"] == "done", came.job["reason"]
    codes = [
        str(item.ConceptCodeSequence[0].CodeMeaning)
        for item in _items(came.results["sr"])
        if item.get("ValueType") == "CODE"
    ]
    assert set(came.results) == {"sr", "sr-comprehensive", "sr-enhanced"} and "Present" in codes


SCORE = (
    ONE + REST + '[output]\nactivation = "none"\n[[score]]\nnumber = 0\n'
    'name = { value = "112031", scheme = "DCM", meaning = "Attenuation Coefficient" }\n'
    'unit = { value = "1", scheme = "UCUM", meaning = "no units" }\n'
)


def test_a_score_stands_in_the_report_as_a_number(loops: Loops) -> None:
    bundles.write(loops.models, "m", SCORE, pooled(1), task="score")
    came = loops.run(ct(), series={"Modality": "CT"})
    assert came.job["state"] == "done", came.job["reason"]
    numbers = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in _items(came.results["sr"])
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "112031"
    ]
    # 400 HU in 4 × 8 × 8 of 10 × 16 × 16 voxels, divided by 1000 and multiplied by 1000.
    assert numbers == [pytest.approx(400 * 256 / 2560, rel=1e-4)]


def test_a_feature_that_the_headers_do_not_give_is_named_in_the_refusal(loops: Loops) -> None:
    folder = bundles.write(loops.models, "m", SCORE, with_feature(), task="score")
    description = folder / "model.toml"
    description.write_text(description.read_text().replace("[input.ct]", 'features = ["PatientWeight"]\n[input.ct]'))
    images = ct()
    came = loops.run(images, series={"Modality": "CT"})
    assert came.job["state"] == "done", came.job["reason"]
    for ds in images:
        ds.PatientWeight = None
        ds.SeriesInstanceUID, ds.StudyInstanceUID = "2.25.11", "2.25.12"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.13{ds.InstanceNumber}")
    came = loops.run(images, series={"Modality": "CT"})
    assert came.job["state"] == "failed" and "PatientWeight" in came.job["reason"]


def with_feature() -> bytes:
    """A network that gives its one feature back."""
    onnx = pytest.importorskip("onnx")
    make = onnx.helper.make_node
    return bundles.serialized(
        [
            make("GlobalAveragePool", ["image"], ["mean"]),
            make("Flatten", ["mean"], ["flat"]),
            make("Mul", ["flat", "zero"], ["nothing"]),
            make("Add", ["features", "nothing"], ["logits"]),
        ],
        {"image": ["batch", 1, 10, 16, 16], "features": ["batch", 1]},
        {"logits": ["batch", 1]},
        {"zero": ([1], [0.0])},
    )
