"""Once an archive says that a study is somebody else's, it is compared with that patient's earlier studies alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from dicomnode.domain.identity import StudyIdentity
from dicomnode.query.find import FoundStudy
from dicomnode.store.identity import Corrections, Outdated
from tests.unit.flow.estate import PATIENT, Estate, studies


def moved(estate: Estate, study: str, **values: str) -> None:
    """What follows when the archive says so while something of the study waits."""
    with estate.db.transaction():
        archive = StudyIdentity(values={"PatientID": "P1", "StudyDate": "20261120", **PATIENT, **values})
        corrections = Corrections(estate.db)
        corrections.write(study, archive, "PACS")
        assert Outdated(estate.db, estate.files).stop(study, corrections.of(study).since_job, "moved") == 1
        estate.settle._studies.reopen(study, "moved", forced=False)
    estate.clock.forward(61)
    assert estate.settle.sweep()


def test_the_job_that_is_made_again_has_the_priors_of_the_patient_whom_the_archive_names(estate: Estate) -> None:
    estate.finish(estate.settled("1.2.6", "20260601", PatientID="P2"))
    estate.finish(estate.settled("1.2.7", "20260602"))
    job = estate.settled("1.2.8")
    assert studies(job) == ["1.2.7"]
    moved(estate, "1.2.8", PatientID="P2")
    again = estate.newest("1.2.8")
    assert (again.job_id > job.job_id, again.run, studies(again)) == (True, 2, ["1.2.6"])
    assert [one.remark for one in again.priors] == [""]
    assert estate.jobs.load(job.job_id) is not None
    (row,) = estate.db.rows("SELECT state, superseded FROM job WHERE job_id = ?", job.job_id)
    assert tuple(row) == ("cancelled", 1)


def test_the_archive_is_asked_for_that_patient(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def listed(patient_id: str, _first: date, _last: date) -> list[FoundStudy]:
        asked.append(patient_id)
        return []

    monkeypatch.setattr(estate.archive, "studies", listed)
    estate.settled("1.2.8")
    moved(estate, "1.2.8", PatientID="P2")
    estate.run()
    assert asked == ["P2"]


def test_an_earlier_study_that_was_moved_away_is_compared_with_nobody(estate: Estate) -> None:
    estate.settled("1.2.7", "20260602")
    moved(estate, "1.2.7", PatientID="P2")
    estate.finish(estate.newest("1.2.7"))
    found: Any = estate.settled("1.2.8").priors
    assert [one.remark.split(":")[0] for one in found] == ["prior identity uncertain"]
