"""The first result waits for no comparison: that comes as a run of its own, once the first has gone out."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomnode.config import parse
from dicomnode.domain.network import Association
from dicomnode.domain.prior import Prior, PriorFile, PriorKind
from dicomnode.domain.response import COMPARED_LATER
from dicomnode.domain.work import Delivery, Job, Receipt
from dicomnode.flow import placed
from dicomnode.flow.comparing.postponed import left_out
from dicomnode.flow.intake import Intake
from dicomnode.flow.outbox import Outbox
from dicomnode.flow.plan import Planner
from dicomnode.flow.priors.own import OwnPriors
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.priors.search import Priors
from dicomnode.flow.settle import Settle
from dicomnode.flow.work import Worker
from dicomnode.infer.network.session import Sessions
from dicomnode.measure.change.register import Registration
from dicomnode.receive.header import read_arrival
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from tests.conftest import Hands
from tests.series import bundles, classic
from tests.series.header import Place
from tests.series.scan import Scan

NODULES = """
[input.ct]
Modality = "CT"
[[prepare]]
step = "scale"
range = [0.0, 1000.0]
[tile]
shape = [12, 32, 32]
overlap = 0.0
batch = 1
[output]
activation = "softmax"
[measure]
criteria = ["recist"]
[[segment]]
number = 1
label = "Nodule"
subject = "lesion"
category = { value = "49755003", scheme = "SCT", meaning = "Morphologically Abnormal Structure" }
type = { value = "4147007", scheme = "SCT", meaning = "Mass" }
"""


def images(study: str, day: str, radius_mm: float) -> list[Dataset]:
    """A CT with one ball, 12 slices of 32 × 32 pixels, 4 × 2.5 × 2.5 mm."""
    z, y, x = np.ogrid[:12, :32, :32]
    near = (4 * (z - 6)) ** 2 + (2.5 * (y - 15)) ** 2 + (2.5 * (x - 15)) ** 2 < radius_mm**2
    affine = np.array([[0, 0, 2.5, 0], [0, 2.5, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])
    values = np.where(near, 900, -500).astype(np.int16)
    more = {"StudyDate": day, "PatientBirthDate": "19700101", "PatientSex": "F"}
    return classic.ct(Scan(values=values, affine=affine), Place(study=study, series="ct", frame=study, more=more))


class Node:
    """Intake, settle, work, outbox and comparisons on one store, stepped by hand."""

    def __init__(self, db: Database, files: Files, clock: Hands, models: Path) -> None:
        bundles.write(models, "m", NODULES, bundles.threshold(0.7))
        rule = {
            "name": "r", "model": "m", "outputs": ["seg", "sr"], "destinations": ["PACS"], "series": {"Modality": "CT"},
            "priors": {"from": ["store"], "within_days": 400, "at_most": 2},
        }  # fmt: skip
        settings = parse(
            {
                "models": {"folder": str(models)},
                "completion": {"max_study_age_days": 0},
                "peer": [{"name": "PACS", "aet": "PACS", "host": "127.0.0.1", "port": 104, "accept_research": True}],
                "rule": [rule],
            }
        )
        self.db, self.files, self.clock = db, files, clock
        self.intake = Intake(db, files, settings.rules)
        planner = Planner(settings, OwnPriors(db, files, settings))
        self.settle = Settle(db, files, settings, planner, lambda _a, _b: False)
        self.worker = Worker(db, files, settings, Sessions(threads=1), "work-1")
        self.outbox = Outbox(db, files, settings, self._send, "deliver-1")
        self.priors = Priors(db, files, settings, "store", ScratchArea(db, files, settings), _no_archive)

    def _send(self, _peer: Any, batch: Sequence[Delivery]) -> Generator[Receipt, None, None]:
        for one in batch:
            yield Receipt(sop_instance_uid=one.sop_instance_uid, status=0, stored=True, final=True, text="Success")

    def settled(self, datasets: Sequence[Dataset]) -> None:
        association = Association(
            association_id="a", calling_aet="PACS", called_aet="DICOMNODE", address="127.0.0.1", peer="PACS"
        )
        for ds in datasets:
            path = self.files.incoming / str(ds.SOPInstanceUID)
            ds.save_as(path, enforce_file_format=True)
            self.intake.accept(
                read_arrival(
                    path, association, sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID),
                    transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID), on_demand=False,
                )
            )  # fmt: skip
        self.clock.forward(6)
        assert self.settle.sweep()

    def sent(self) -> None:
        while self.outbox.run_once("PACS"):
            self.clock.forward(1)

    def job(self) -> dict[str, Any]:
        row = self.db.row("SELECT * FROM job ORDER BY job_id DESC LIMIT 1")
        assert row is not None
        return dict(row)

    def report(self) -> Dataset:
        row = self.db.row("SELECT path FROM result WHERE role = 'sr' ORDER BY result_id DESC LIMIT 1")
        assert row is not None
        return dcmread(self.files.path(row["path"]))


def _no_archive(_peer: Any) -> Any:
    raise AssertionError("nobody is asked")


@pytest.fixture
def node(db: Database, files: Files, clock: Hands, tmp_path: Path) -> Node:
    return Node(db, files, clock, tmp_path / "models")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for every registration."""
    made: list[str] = []

    def register(*_images: Any, **_named: Any) -> Registration:
        made.append("registered")
        return Registration(correlation=1.0)

    monkeypatch.setattr(placed, "register", register)
    return made


def test_a_prior_of_our_own_store_costs_the_first_result_nothing_and_its_successor_compares(
    node: Node, registered: list[str]
) -> None:
    node.settled(images("before", "20260101", 8.0))
    assert node.worker.run_once() and not node.worker.run_once()
    node.sent()
    node.settled(images("now", "20260301", 12.0))
    assert node.worker.run_once()
    first, job = node.report(), node.job()
    assert (job["run"], job["state"]) == (1, "done") and registered == []
    assert COMPARED_LATER in first.to_json()

    assert not node.priors.run_once() and not node.worker.run_once(), "the first result is still on its way"
    node.sent()
    assert node.priors.run_once() and not node.priors.run_once()
    assert node.worker.run_once()
    second, job = node.report(), node.job()
    assert (job["run"], job["state"], job["priority"]) == (2, "done", -1) and registered == ["registered"]
    assert "Compared with the study of 2026-01-01" in second.to_json() and COMPARED_LATER not in second.to_json()
    named = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == first.SOPInstanceUID
    node.sent()
    node.clock.forward(100)
    assert not node.priors.run_once() and not node.worker.run_once()
    story = [row["detail"] for row in node.db.rows("SELECT detail FROM event WHERE entity = 'prior' ORDER BY event_id")]
    assert story[1:] == [
        "at hand; compared in a run of its own once the first result has gone out",
        f"1 earlier study for job {job['job_id']}",
    ]


def test_a_comparison_that_ends_its_process_again_and_again_is_given_up_and_the_report_says_so(
    node: Node, registered: list[str]
) -> None:
    for study, day in (("before", "20260101"), ("now", "20260301")):
        node.settled(images(study, day, 8.0))
        assert node.worker.run_once()
        node.sent()
    assert node.priors.run_once()
    with node.db.transaction():
        node.db.execute("UPDATE job SET attempts = 2 WHERE run = 2")
    assert node.worker.run_once() and registered == []
    assert (node.job()["run"], node.job()["attempts"], node.job()["state"]) == (2, 3, "done")
    assert "made without them" in node.report().to_json()


def test_a_study_that_nothing_precedes_is_analysed_once(node: Node, registered: list[str]) -> None:
    node.settled(images("before", "20260101", 8.0))
    assert node.worker.run_once()
    node.sent()
    assert not node.priors.run_once() and not node.worker.run_once() and registered == []
    assert COMPARED_LATER not in node.report().to_json()


def a_job(run: int, attempts: int, *priors: Prior) -> Job:
    clock = Hands()
    return Job(
        job_id=1, study_instance_uid="1", revision=1, rule="r", model="m", series_instance_uid="1", input_digest="",
        recipe_digest="", run=run, inputs=(), destinations=(), outputs=(), refusal="", attempts=attempts, lease="",
        created_at=clock.now, priors=priors,
    )  # fmt: skip


def test_what_costs_nothing_is_compared_at_once_and_an_attempt_that_ended_is_repeated_without(tmp_path: Path) -> None:
    file = PriorFile(
        kind=PriorKind.IMAGE, series_instance_uid="1", sop_class_uid="1", sop_instance_uid="1", path=tmp_path, input="c"
    )
    prior = Prior(study_instance_uid="9", study_date=date(2026, 1, 1), source="store", files=(file,))
    report = dataclasses.replace(prior, files=(dataclasses.replace(file, kind=PriorKind.REPORT),))
    doubtful = dataclasses.replace(prior, remark="prior identity uncertain: PatientSex missing or not the same")
    assert left_out(a_job(1, 1, prior), 3) == left_out(a_job(1, 3, prior), 3) == COMPARED_LATER
    at_once = a_job(1, 1), a_job(1, 1, report, doubtful), a_job(2, 1, prior), a_job(2, 2, prior)
    assert {left_out(job, 3) for job in at_once} == {""} and left_out(a_job(2, 1, prior), 1) == ""
    assert "made without them" in left_out(a_job(2, 3, prior), 3)
    assert "made without them" in left_out(a_job(1, 2, report), 3)
