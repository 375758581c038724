"""A node with an archive beside it, as tests of priors use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset

from dicomnode.config import Settings
from dicomnode.domain.errors import DeliveryError, PeerUnreachable
from dicomnode.domain.header import Header
from dicomnode.domain.study import Arrival
from dicomnode.domain.work import Job
from dicomnode.flow.intake import Intake
from dicomnode.flow.plan import Planner
from dicomnode.flow.priors.own import OwnPriors
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.flow.priors.search import Priors
from dicomnode.flow.settle import Settle
from dicomnode.query.find import FoundSeries, FoundStudy, fit_key
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.jobs import Jobs
from tests.conftest import Hands, MakeArrival

PATIENT = {"PatientBirthDate": "19700101", "PatientSex": "F"}


class FakeArchive:
    """Has studies of objects, and sends what is fetched to the intake as the answer to our C-MOVE."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.objects: list[Arrival] = []
        self.content: dict[Path, bytes] = {}
        self.error: Exception | None = None
        self.withheld: set[str] = set()
        self.questions = 0
        self.fetched: list[str] = []
        self.on_fetch: Callable[[], None] = lambda: None
        self.unlisted: set[str] = set()
        self.names_classes = False
        self.deadly = ""

    def add(self, *arrivals: Arrival, originator: str = "DICOMNODE") -> None:
        self.objects += [replace(one, move_originator=originator) for one in arrivals]
        self.content |= {Path(one.path): Path(one.path).read_bytes() for one in arrivals}

    @contextmanager
    def asked(self) -> Iterator[FakeArchive]:
        self.questions += 1
        if self.error is not None:
            raise self.error
        yield self

    def studies(self, patient_id: str, first: date, last: date) -> list[FoundStudy]:
        fit_key(patient_id)
        days = {one.study_instance_uid: date.fromisoformat(one.header.text("StudyDate")) for one in self.objects}
        return [
            FoundStudy(study_instance_uid=uid, study_date=day, modalities=frozenset())
            for uid, day in days.items() if first <= day <= last
        ]  # fmt: skip

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        found = {one.series_instance_uid: one for one in self.objects if one.study_instance_uid == study_instance_uid}
        return [
            FoundSeries(series_instance_uid=uid, instances=0, header=_answer(one.header)) for uid, one in found.items()
        ]

    def instances(self, study_instance_uid: str, series_instance_uid: str, announced: int) -> Mapping[str, str]:
        if series_instance_uid in self.unlisted:
            raise DeliveryError("PACS: more than 5000 answers to a query of level IMAGE")
        objects = [one for one in self.objects if one.series_instance_uid == series_instance_uid]
        return {one.sop_instance_uid: one.sop_class_uid if self.names_classes else "" for one in objects}

    def fetch(self, study_instance_uid: str, series_instance_uid: str, classes: Collection[str]) -> str:
        self.fetched.append(series_instance_uid)
        if series_instance_uid == self.deadly:
            raise PeerUnreachable("PACS: the association was aborted")
        self.on_fetch()
        for one in self.objects:
            if one.series_instance_uid == series_instance_uid and one.sop_instance_uid not in self.withheld:
                # The node keeps the file that it was brought.
                Path(one.path).write_bytes(self.content[Path(one.path)])
                self.intake.accept(one)
        missing = [one for one in self.objects if one.series_instance_uid == series_instance_uid]
        failed = sum(one.sop_instance_uid in self.withheld for one in missing)
        return f"{failed} of its objects could not be sent" if failed else ""


def _answer(header: Header) -> Header:
    ds = Dataset()
    for keyword in ("Modality", "Manufacturer"):
        if header.text(keyword):
            setattr(ds, keyword, header.text(keyword))
    return Header.of(ds.to_json_dict())


class Estate:
    """A node with an archive beside it."""

    def __init__(self, db: Database, files: Files, clock: Hands, settings: Settings, make: MakeArrival) -> None:
        self.db, self.files, self.clock, self.make, self.settings = db, files, clock, make, settings
        self.area = ScratchArea(db, files, settings)
        self.intake = Intake(db, files, settings.rules, self.area)
        self.archive = FakeArchive(self.intake)
        planner = Planner(settings, OwnPriors(db, files, settings))
        self.settle = Settle(db, files, settings, planner, lambda _first, _second: True)
        self.priors = Priors(db, files, settings, "PACS", self.area, lambda _peer: self.archive)
        self.jobs = Jobs(db, files)

    def images(self, study: str, day: str, **attributes: Any) -> list[Arrival]:
        """Two slices of a study."""
        attributes = {**PATIENT, "StudyDate": day, **attributes}
        return [self.make(number, study=study, series=f"{study}.1", **attributes) for number in (1, 2)]

    def settled(self, study: str, day: str = "20261120", **attributes: Any) -> Job:
        """A study that came and settled, and its newest job."""
        for arrival in self.images(study, day, **attributes):
            self.intake.accept(arrival)
        self.clock.forward(6)
        assert self.settle.sweep()
        return self.newest(study)

    def newest(self, study: str) -> Job:
        row = self.db.row("SELECT MAX(job_id) AS job FROM job WHERE study_instance_uid = ?", study)
        job = self.jobs.load(row["job"]) if row is not None else None
        assert job is not None
        return job

    def finish(self, job: Job) -> None:
        """The worker is done with a job, and nothing is owed for it any more."""
        with self.db.transaction():
            claimed = self.jobs.claim("w", timedelta(seconds=60))
            assert claimed is not None and claimed.job_id == job.job_id
            self.jobs.finish(claimed, [], "")

    def drawn(self, study: str, number: int, sop_class: str, modality: str, **attributes: Any) -> Arrival:
        """One object beside the images of an earlier study, alone in its series."""
        series = f"{study}.{number}"
        attributes = {**PATIENT, "StudyDate": "20260601", "Modality": modality, **attributes}
        return replace(self.make(1, study=study, series=series, **attributes), sop_class_uid=sop_class)

    def run(self) -> None:
        """All that the thread of the source has to do now."""
        for _ in range(10):
            if not self.priors.run_once():
                return
        raise AssertionError("the loop finds no end")

    def states(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in self.db.rows("SELECT state, reason FROM prior_search ORDER BY search_id")]


def studies(job: Job) -> list[str]:
    return [one.study_instance_uid for one in job.priors]
