"""Earlier studies that are known or likely to be missing are told to the analysis, and doubtful ones take no place."""

from __future__ import annotations

import dataclasses
from datetime import date

from dicomnode.config import Settings
from dicomnode.domain.errors import PeerUnreachable
from dicomnode.domain.work import Job
from dicomnode.flow.preflight.priors import prior_sources
from dicomnode.flow.priors.own import finds_lesions
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.prior_sources import unheard
from dicomnode.store.priors import Searches
from tests.unit.flow.conftest import MakeEstate
from tests.unit.flow.estate import Estate, studies


def followed(estate: Estate, job: Job) -> Job:
    """The first result is out, and its comparison is asked for; the job that is there then."""
    with estate.db.transaction():
        Searches(estate.db, estate.files).follow(job, 600.0)
    estate.finish(job)
    own = type(estate.priors)(estate.db, estate.files, estate.settings, "store", estate.area, lambda _peer: None)  # type: ignore[arg-type,return-value]
    own.run_once()
    return estate.newest(job.study_instance_uid)


def test_an_archive_that_never_answers_is_named_and_one_that_answers_in_the_end_is_not(estate: Estate) -> None:
    estate.settled("1.1", "20260101")
    estate.finish(estate.newest("1.1"))
    estate.archive.error = PeerUnreachable("PACS: no TCP connection")
    job = estate.settled("1.9")
    assert "PACS were still being looked for" in unheard(estate.db, job.job_id)[0]
    assert followed(estate, job).run == 1, "the archive has not been asked yet"
    estate.run()
    second = _own(estate, "1.9")
    assert second.run == 2 and "still being looked for" in unheard(estate.db, second.job_id)[0]
    estate.clock.forward(700)
    estate.run()
    assert unheard(estate.db, second.job_id) == ("earlier studies at PACS could not be looked for",)


def test_an_archive_that_answers_late_with_nothing_new_has_the_comparison_made_again_without_the_doubt(
    estate: Estate,
) -> None:
    estate.settled("1.1", "20260101")
    estate.finish(estate.newest("1.1"))
    estate.archive.error = PeerUnreachable("PACS: no TCP connection")
    job = estate.settled("1.9")
    estate.run()
    second = followed(estate, job)
    assert second.run == 2
    estate.finish(second)
    estate.archive.error = None
    estate.clock.forward(400)
    estate.run()
    third = estate.newest("1.9")
    assert third.run == 3 and studies(third) == ["1.1"] and unheard(estate.db, third.job_id) == ()


def test_a_study_whose_images_do_not_come_is_told_beside_those_that_came(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260101"), *estate.images("1.2", "20260601"))
    estate.archive.withheld = {"1.2.1.1", "1.2.1.2"}
    job = estate.settled("1.9")
    for _ in range(20):
        estate.run()
        estate.clock.forward(300)
    given = estate.newest("1.9")
    assert studies(given) == ["1.1"]
    assert unheard(estate.db, job.job_id) == ("not all of the earlier studies at PACS could be had",)
    ((state, reason),) = estate.states()
    assert state == "done" and reason.startswith("1 earlier study for job") and "prior not available" in reason


def test_what_a_search_leaves_out_is_known_where_it_hands_nothing_over(make_estate: MakeEstate) -> None:
    estate = make_estate(at_most=2)
    for study, day in (("1.1", "20260101"), ("1.3", "20260601")):
        estate.settled(study, day)
    estate.archive.add(*estate.images("1.2", "20260301"))
    estate.settled("1.9")
    estate.run()
    assert {one.newest_left_out for one in estate.newest("1.9").priors} == {date(2026, 3, 1)}


def test_a_study_of_doubtful_identity_takes_no_place_and_is_told_beside(make_estate: MakeEstate) -> None:
    estate = make_estate(at_most=1)
    estate.settled("1.1", "20260101")
    estate.settled("1.2", "20260601", PatientSex="M")
    sound, doubtful = sorted(estate.settled("1.9").priors, key=lambda one: one.study_date)
    assert (sound.study_instance_uid, sound.remark, sound.newest_left_out) == ("1.1", "", None)
    assert doubtful.study_instance_uid == "1.2" and doubtful.remark.startswith("prior identity uncertain")
    estate.archive.add(*estate.images("1.1", "20260101"), *estate.images("1.2", "20260601", PatientSex="M"))
    estate.run()
    assert estate.archive.fetched == [] and studies(estate.newest("1.9")) == ["1.1", "1.2"]


def test_nothing_is_looked_for_where_a_model_finds_no_lesions_and_check_says_so(make_estate: MakeEstate) -> None:
    estate = make_estate(**{"from": ["store"]})
    bundle = next(estate.settings.models.folder.rglob("model.toml"))
    bundle.write_text(bundle.read_text().replace('subject = "lesion"', 'subject = "structure"'))
    estate.settled("1.1", "20260101")
    job = estate.settled("1.9")
    assert job.priors == () and estate.states() == []
    settings: Settings = estate.settings
    (check,) = prior_sources(settings)
    assert "finds no lesions" in check.found
    spec = find_bundles(settings.models.folder)[0]["toy"]
    assert not finds_lesions(spec) and finds_lesions(dataclasses.replace(spec, contours="contours"))


def _own(estate: Estate, study: str) -> Job:
    """The newest job, once what our own store has may be handed over."""
    own = type(estate.priors)(estate.db, estate.files, estate.settings, "store", estate.area, lambda _peer: None)  # type: ignore[arg-type,return-value]
    own.run_once()
    return estate.newest(study)


def test_what_our_own_store_had_and_was_cleaned_up_meanwhile_is_told_by_the_next_run(make_estate: MakeEstate) -> None:
    estate = make_estate(**{"from": ["store"]})
    estate.settled("1.1", "20260101")
    estate.finish(estate.newest("1.1"))
    job = estate.settled("1.9")
    with estate.db.transaction():
        estate.db.execute("DELETE FROM job_prior_file")
    second = followed(estate, job)
    (prior,) = second.priors
    assert second.run == 2 and prior.remark == "prior no longer at hand: what our own store had of it was cleaned up"
