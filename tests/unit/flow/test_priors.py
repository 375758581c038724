"""Priors of a job: from our own store at once, from an archive later, and never at the expense of the first result."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from dicomnode.domain.errors import NotAuthorised, OutOfResources, PeerUnreachable
from dicomnode.domain.header import Header
from dicomnode.flow.operate import cancel
from dicomnode.flow.retention.removal import held_in_place
from dicomnode.store.jobs import Made
from tests.unit.flow.estate import PATIENT, Estate, studies

# ---- our own store


def test_earlier_studies_of_our_own_store_are_used_in_the_first_run(estate: Estate) -> None:
    estate.settled("1.1", "20240601")
    estate.settled("1.2", "20250601")
    estate.settled("1.3", "20260601")
    estate.settled("1.4", "20260601", PatientID="P2")
    job = estate.settled("1.9")
    assert job.run == 1 and studies(job) == ["1.1", "1.3"], "the baseline and the newest"
    assert [prior.source for prior in job.priors] == ["store", "store"]
    assert [len(prior.images["ct"]) for prior in job.priors] == [2, 2]
    assert all(path.is_file() for prior in job.priors for path in prior.images["ct"])
    assert {prior.remark for prior in job.priors} == {""}


def test_a_later_study_and_one_beyond_the_limit_are_no_priors(make_estate: Any) -> None:
    estate = make_estate(within_days=100)
    estate.settled("1.1", "20260101")
    estate.settled("1.2", "20261120")
    estate.settled("1.3", "20261121")
    assert studies(estate.settled("1.9", "20261120")) == []


def test_a_store_that_is_no_source_is_not_looked_through(make_estate: Any) -> None:
    estate = make_estate(**{"from": ["PACS"]})
    estate.settled("1.1", "20260601")
    assert studies(estate.settled("1.9")) == []


@pytest.mark.parametrize("attributes", [{"PatientBirthDate": ""}, {"PatientSex": "M"}, {"IssuerOfPatientID": "X"}])
def test_a_prior_of_doubtful_identity_is_handed_over_with_a_remark(estate: Estate, attributes: dict[str, str]) -> None:
    estate.settled("1.1", "20260601", **attributes)
    (prior,) = estate.settled("1.9").priors
    (keyword,) = attributes
    assert prior.remark == f"prior identity uncertain: {keyword} missing or not the same"


def test_a_study_without_a_series_that_fits_is_no_prior(estate: Estate) -> None:
    for arrival in estate.images("1.1", "20260601", Modality="MR"):
        estate.intake.accept(arrival)
    assert studies(estate.settled("1.9")) == []


# ---- an archive


def test_a_prior_that_comes_while_the_job_waits_is_given_to_it(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    first = estate.settled("1.9")
    estate.run()
    job = estate.newest("1.9")
    assert (job.job_id, job.run, studies(job)) == (first.job_id, 1, ["1.1"])
    assert job.priors[0].source == "PACS"
    assert estate.states() == [("done", f"1 earlier study for job {job.job_id}")]


def test_a_prior_that_comes_later_has_the_analysis_repeated_once_the_first_result_is_out(estate: Estate) -> None:
    estate.archive.error = PeerUnreachable("PACS: no TCP connection")
    first = estate.settled("1.9")
    estate.run()
    with estate.db.transaction():
        running = estate.jobs.claim("w", timedelta(seconds=600))
    assert running is not None and running.priors == ()
    estate.archive.error = None
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.clock.forward(10)
    estate.run()
    assert estate.newest("1.9").job_id == first.job_id, "the first run is under way"
    assert estate.states()[0][0] == "fetched"

    with estate.db.transaction():
        estate.jobs.finish(running, [], "")
    estate.clock.forward(1)
    estate.run()
    second = estate.newest("1.9")
    assert (second.run, second.attempts, studies(second)) == (2, 0, ["1.1"])
    assert (second.input_digest, second.inputs) == (first.input_digest, first.inputs)
    estate.clock.forward(3600)
    estate.run()
    assert estate.newest("1.9").run == 2


def test_what_was_fetched_was_never_taken_for_an_arrival(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.9")
    estate.run()
    assert [row[0] for row in estate.db.rows("SELECT study_instance_uid FROM study")] == ["1.9"]
    assert not (estate.files.folder / "studies" / "1.1").exists()
    assert len(list((estate.files.folder / "priors" / "1.1").iterdir())) == 2


def test_an_object_moved_in_our_name_that_nobody_asked_for_is_an_arrival_like_any_other(estate: Estate) -> None:
    (arrival, _) = estate.images("1.1", "20261119")
    estate.intake.accept(replace(arrival, move_originator="DICOMNODE"))
    assert estate.db.row("SELECT COUNT(*) FROM study")[0] == 1  # type: ignore[index]
    with pytest.raises(NotAuthorised, match="not asked for"):
        estate.area.keep(estate.images("1.2", "20261119")[0])


def test_priors_of_store_and_archive_are_chosen_from_together(estate: Estate) -> None:
    estate.settled("1.2", "20250601")
    estate.archive.add(*estate.images("1.2", "20250601"), *estate.images("1.1", "20240601"))
    estate.archive.add(*estate.images("1.3", "20250901"), *estate.images("1.4", "20260601"))
    for _ in range(3):
        estate.run()
    first = estate.settled("1.9")
    assert studies(first) == ["1.2"]
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.1", "1.4"]
    assert set(estate.archive.fetched) == {"1.1.1", "1.4.1"}


def test_an_archive_without_earlier_studies_repeats_nothing(estate: Estate) -> None:
    first = estate.settled("1.9")
    estate.run()
    assert estate.newest("1.9").job_id == first.job_id
    assert estate.states() == [("done", "no earlier study that this rule can use and does not have")]


def test_an_archive_that_stays_away_is_given_up_after_the_limit_and_the_story_says_why(estate: Estate) -> None:
    estate.archive.error = PeerUnreachable("PACS: no TCP connection: Connection refused")
    estate.settled("1.9")
    waits = []
    for _ in range(200):
        before = estate.archive.questions
        estate.run()
        if estate.archive.questions > before:
            waits.append(estate.clock.now)
        estate.clock.forward(5)
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(waits)]
    assert gaps[:4] == [5, 10, 20, 40] and sum(gaps) <= 600 < sum(gaps) + 5
    assert estate.states() == [("failed", "prior not available: PACS: no TCP connection: Connection refused")]
    story = [(row["arrow"], row["detail"]) for row in estate.db.rows("SELECT * FROM event WHERE entity = 'prior'")]
    assert [arrow for arrow, _ in story] == ["wanted", "not yet", "given up"]


def test_half_a_fetch_is_continued_and_what_came_is_not_fetched_again(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20250601"), *estate.images("1.2", "20260601"))
    estate.archive.withheld = {"1.1.1.2"}
    estate.settled("1.9")
    estate.run()
    ((state, reason),) = estate.states()
    assert state == "waiting"
    assert reason == "PACS: 1 of 2 objects of series 1.1.1 did not come; 1 of its objects could not be sent"
    estate.archive.withheld = set()
    estate.clock.forward(10)
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.1", "1.2"]
    assert estate.archive.fetched == ["1.2.1", "1.1.1", "1.1.1"]


def test_a_step_that_dies_is_repeated_later_and_not_at_once(estate: Estate) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.archive.on_fetch = die
    estate.settled("1.9")
    with pytest.raises(KeyboardInterrupt):
        estate.run()
    assert not estate.priors.run_once()
    estate.archive.on_fetch = lambda: None
    estate.clock.forward(5)
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.1"]


def test_a_patient_id_with_a_wildcard_is_never_asked_for(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.9", PatientID="P*")
    estate.run()
    ((state, reason),) = estate.states()
    assert state == "failed" and reason.startswith("prior not available: the Patient ID is no safe key")
    assert estate.archive.fetched == []


def test_a_late_slice_ends_the_search_of_the_job_that_it_replaces(estate: Estate) -> None:
    estate.archive.error = PeerUnreachable("away")
    estate.settled("1.9")
    estate.run()
    estate.intake.accept(estate.make(3, study="1.9", series="1.9.1", StudyDate="20261120", **PATIENT))
    estate.clock.forward(6)
    assert estate.settle.sweep()
    estate.archive.error = None
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.clock.forward(60)
    estate.run()
    assert [state for state, _ in estate.states()] == ["cancelled", "done"]
    assert studies(estate.newest("1.9")) == ["1.1"]


def test_a_mask_or_report_of_ours_comes_along_unless_it_was_taken_back(estate: Estate) -> None:
    seg, sr = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
    ours = {"ManufacturerModelName": "dicomnode"}
    estate.archive.add(*estate.images("1.1", "20260601"))
    for number, (kind, modality, more) in enumerate(
        [(seg, "SEG", ours), (seg, "SEG", {}), (sr, "SR", ours), (sr, "SR", {}), (sr, "SR", ours)], start=5
    ):
        (one, _) = estate.images("1.1", "20260601", Modality=modality, SeriesInstanceUID=f"1.1.{number}", **more)
        uid = f"1.1.{number}.1"
        header = Header.of({**one.header.merged(), "00080018": {"vr": "UI", "Value": [uid]}})
        estate.archive.add(
            replace(one, sop_class_uid=kind, series_instance_uid=f"1.1.{number}", sop_instance_uid=uid, header=header)
        )
    job = estate.settled("1.8", PatientID="P7")
    taken_back = Made(
        role="sr", kind="sr", sop_class_uid=sr, sop_instance_uid="1.1.9.1", series_instance_uid="1.1.9",
        transfer_syntax_uid="", digest="", size_bytes=0, path="",
    )  # fmt: skip
    with estate.db.transaction():
        estate.jobs.add_results(job.job_id, [taken_back])
        estate.db.execute("UPDATE job SET retracted = 'wrong patient' WHERE job_id = ?", job.job_id)
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert [(one.sop_instance_uid, one.own) for one in prior.masks] == [("1.1.5.1", True), ("1.1.6.1", False)]
    assert [one.sop_instance_uid for one in prior.reports] == ["1.1.7.1"]


def test_an_operator_who_cancels_a_study_ends_its_searches(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.9")
    assert cancel(estate.db, estate.files, "1.9").endswith("1 searches for priors ended")
    estate.run()
    assert estate.states() == [("cancelled", "by an operator")] and estate.archive.questions == 0


# ---- the scratch area


def test_a_full_scratch_area_refuses_and_leaves_the_intake_alone(make_estate: Any) -> None:
    estate = make_estate(priors={"maximum_gib": 1e-8})
    estate.archive.add(*estate.images("1.1", "20260601"))
    job = estate.settled("1.9")
    estate.run()
    ((state, reason),) = estate.states()
    assert state == "waiting" and "no room within maximum_gib" in reason
    assert estate.db.row("SELECT COUNT(*) FROM prior_object")[0] == 0
    estate.finish(job)
    estate.settled("1.8")


def test_a_disk_that_would_run_full_takes_no_priors(make_estate: Any) -> None:
    estate = make_estate(priors={"leave_free_gib": 1e9})
    with estate.db.transaction():
        estate.area._scratch.ask("1.1", ["1.1.1"], "PACS")
    with pytest.raises(OutOfResources, match="leave_free_gib") as refused:
        estate.area.keep(estate.images("1.1", "20260601")[0])
    assert refused.value.status == 0xA700
    assert list((estate.files.folder / "priors").iterdir()) == []


def test_what_no_job_needs_makes_room_for_what_one_does(make_estate: Any) -> None:
    one = sum(image.size_bytes for image in make_estate().images("1.1", "20260601"))
    estate = make_estate(priors={"maximum_gib": 1.5 * one / (1 << 30)}, at_most=1)
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.8")
    estate.run()
    assert studies(estate.newest("1.8")) == ["1.1"]
    estate.archive.add(*estate.images("1.2", "20260701"))
    estate.settled("1.9")
    estate.run()
    assert "no room" in estate.states()[1][1], "the first job still waits"
    estate.finish(estate.newest("1.8"))
    estate.clock.forward(60)
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.2"]
    assert not (estate.files.folder / "priors" / "1.1").exists()


def test_priors_go_when_their_time_is_up_and_no_job_needs_them(make_estate: Any) -> None:
    estate = make_estate(priors={"keep_hours": 1})
    estate.archive.add(*estate.images("1.1", "20260601"))
    job = estate.settled("1.9")
    estate.run()
    estate.clock.forward(4000)
    estate.area.clean()
    assert all(path.is_file() for path in estate.newest("1.9").priors[0].images["ct"])
    estate.finish(job)
    with held_in_place(estate.files):
        estate.area.clean()
        assert all(path.is_file() for path in estate.newest("1.9").priors[0].images["ct"]), "a backup copies them"
    estate.area.clean()
    assert list((estate.files.folder / "priors").iterdir()) == []
    (gone,) = estate.newest("1.9").priors
    assert gone.files == ()
    assert gone.remark == "prior no longer at hand: what was fetched from PACS was cleaned up"


def test_files_that_a_crash_left_in_the_scratch_area_go_but_not_what_is_being_written(estate: Estate) -> None:
    folder = estate.files.folder / "priors" / "1.1"
    folder.mkdir()
    for name, age in (("left", 7200), ("being-written", 0)):
        path = folder / name
        path.write_bytes(b"x")
        moment = path.stat().st_mtime - age
        os.utime(path, (moment, moment))
    estate.area.clean()
    assert [path.name for path in folder.iterdir()] == ["being-written"]
