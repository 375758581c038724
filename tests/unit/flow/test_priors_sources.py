"""Priors from archives that fail in part, answer strangely or hand over side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from dicomnode.config import Settings
from dicomnode.domain.clock import to_text
from dicomnode.domain.prior import PriorKind
from dicomnode.flow.operate import retry
from dicomnode.flow.priors import hand_over as priors_hand_over
from dicomnode.flow.priors.choice import select
from dicomnode.flow.priors.search import Priors
from dicomnode.store.jobs import Made
from dicomnode.store.priors import Searches
from dicomnode.store.scratch import Scratch
from tests.unit.flow.estate import Estate, FakeArchive, studies

MakeEstate = Callable[..., Estate]

SEG, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"
SR, DOSE = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.67"
OURS = {"Manufacturer": "dicomnode project", "ManufacturerModelName": "dicomnode"}


def second(estate: Estate, settings: Settings) -> tuple[FakeArchive, Priors]:
    """Another archive beside the first."""
    archive = FakeArchive(estate.intake)
    return archive, Priors(estate.db, estate.files, settings, "VNA", estate.area, lambda _peer: archive)


# ---- two sources


def test_what_two_sources_hand_over_at_once_is_given_to_the_job_together(
    make_estate: MakeEstate, monkeypatch: pytest.MonkeyPatch
) -> None:
    estate = make_estate(**{"from": ["PACS", "VNA"]})
    archive, other = second(estate, estate.settings)
    estate.archive.add(*estate.images("1.1", "20260601"))
    archive.add(*estate.images("1.2", "20260301"))
    estate.settled("1.9")
    assert estate.priors.run_once() and other.run_once()
    steps: list[bool] = []

    def point(name: str) -> None:
        if name == "priors.before_commit" and not steps:
            steps.append(False)
            steps[0] = other.run_once()

    monkeypatch.setattr(priors_hand_over, "failpoint", point)
    estate.run()
    assert steps == [True]
    assert studies(estate.newest("1.9")) == ["1.2", "1.1"]
    assert [state for state, _ in estate.states()] == ["done", "done"]


# ---- archives that fail in part


def run_out(estate: Estate) -> None:
    """Let all the time pass that a search has."""
    for _ in range(40):
        estate.run()
        estate.clock.forward(60)


def test_an_incomplete_prior_costs_no_whole_one(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"), *estate.images("1.2", "20260901"))
    estate.archive.withheld = {"1.1.1.2"}
    estate.settled("1.9")
    run_out(estate)
    (prior,) = estate.newest("1.9").priors
    assert (prior.study_instance_uid, len(prior.images["ct"])) == ("1.2", 2)
    assert estate.states()[0][0] == "done"
    told = [row["detail"] for row in estate.db.rows("SELECT detail FROM event WHERE arrow = 'fetched'")]
    assert told == [
        "prior not available: PACS: 1 of 2 objects of series 1.1.1 did not come; 1 of its objects could not be sent"
    ]


def test_a_series_of_which_some_came_is_no_part_of_a_prior(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.archive.withheld = {"1.1.1.2"}
    estate.settled("1.9")
    run_out(estate)
    assert estate.newest("1.9").priors == ()
    assert estate.states()[0][0] == "failed"


def test_a_report_that_the_archive_cannot_send_is_waited_for_once(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"), estate.drawn("1.1", 5, SR, "SR", **OURS))
    estate.archive.withheld = {"1.1.5.1"}
    estate.settled("1.9")
    estate.run()
    assert estate.states()[0][0] == "waiting"
    estate.clock.forward(5)
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.1"]
    assert estate.archive.fetched == ["1.1.1", "1.1.5", "1.1.5"]


def test_a_series_that_cannot_be_listed_costs_no_other(estate: Estate) -> None:
    estate.archive.add(estate.drawn("1.1", 5, SEG, "SEG"), *estate.images("1.1", "20260601"))
    estate.archive.unlisted = {"1.1.5"}
    estate.settled("1.9")
    estate.run()
    estate.clock.forward(5)
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert {file.kind for file in prior.files} == {PriorKind.IMAGE}


def test_a_series_on_which_the_archive_breaks_down_is_asked_for_last(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260901"), *estate.images("1.2", "20260601"))
    estate.archive.deadly = "1.1.1"
    estate.settled("1.9")
    run_out(estate)
    assert estate.archive.fetched[:3] == ["1.1.1", "1.2.1", "1.1.1"]
    assert studies(estate.newest("1.9")) == ["1.2"]


# ---- waiting for the first result


def test_nobody_looks_again_and_again_whether_the_first_result_has_gone_out(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    job = estate.settled("1.9")
    with estate.db.transaction():
        claimed = estate.jobs.claim("w", timedelta(days=3))
    assert claimed is not None
    assert estate.priors.run_once(), "it is fetched"
    before = estate.db.row("SELECT total_changes()")
    for _ in range(20):
        estate.clock.forward(3600)
        assert not estate.priors.run_once()
    made = Made(
        role="sr", kind="sr", sop_class_uid=SR, sop_instance_uid="1.9.9", series_instance_uid="1.9.8",
        transfer_syntax_uid="", digest="", size_bytes=0, path="",
    )  # fmt: skip
    assert tuple(estate.db.row("SELECT total_changes()") or ()) == tuple(before or ())
    with estate.db.transaction():
        estate.jobs.finish(claimed, [made], "")
        estate.db.execute(
            "INSERT INTO delivery (result_id, job_id, study_instance_uid, sop_instance_uid, destination, changed_at)"
            " SELECT result_id, job_id, '1.9', sop_instance_uid, 'PACS', '' FROM result"
        )
    assert not estate.priors.run_once(), "its destination is down"
    with estate.db.transaction():
        estate.db.execute("UPDATE delivery SET state = 'running'")
        estate.db.execute("UPDATE delivery SET state = 'done'")
    estate.run()
    assert (estate.newest("1.9").run, studies(estate.newest("1.9"))) == (job.run + 1, ["1.1"])


# ---- studies that a rule has no room for


def test_what_is_chosen_comes_with_the_newest_that_would_have_fitted_too() -> None:
    days = {str(year): date(year, 1, 1) for year in range(2020, 2026)}
    assert select(days, 2, lambda _: True) == (["2025", "2020"], date(2024, 1, 1))
    assert select(days, 2, lambda uid: uid not in {"2025", "2023"}) == (["2024", "2020"], date(2022, 1, 1))
    assert select(days, 2, lambda uid: uid in {"2020", "2025"}) == (["2025", "2020"], None)
    assert select(days, 6, lambda _: True)[1] is None


def test_a_job_knows_the_newest_study_that_was_left_out_wherever_it_lies(estate: Estate) -> None:
    estate.settled("1.2", "20250601")
    estate.archive.add(*estate.images("1.1", "20240601"), *estate.images("1.4", "20260601"))
    for _ in range(2):
        estate.run()
    assert [one.newest_left_out for one in estate.settled("1.9").priors] == [None]
    estate.run()
    given = estate.newest("1.9").priors
    # The archive was asked while the store's own study counted, and that one gave way.
    assert [(one.study_instance_uid, one.newest_left_out) for one in given] == [
        ("1.1", date(2025, 6, 1)), ("1.4", date(2025, 6, 1)),
    ]  # fmt: skip


# ---- what was cleaned up


def test_retry_fetches_a_prior_again_that_was_cleaned_up_since_the_job_failed(make_estate: MakeEstate) -> None:
    estate = make_estate(priors={"keep_hours": 1}, wait_seconds=600.0)
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.9")
    estate.run()
    with estate.db.transaction():
        claimed = estate.jobs.claim("w", timedelta(seconds=60))
        assert claimed is not None and claimed.priors[0].files
        estate.jobs.fail(claimed, [], "no memory")
    estate.clock.forward(7200)
    estate.area.clean()
    assert estate.newest("1.9").priors[0].files == ()
    assert "1 sources are asked again for earlier studies" in retry(estate.db, estate.files, "1.9")
    assert retry(estate.db, estate.files, "1.9").endswith("runs again with `dicomnode rerun`"), "nothing failed is left"
    estate.run()
    again = estate.newest("1.9")
    assert (again.run, again.job_id, studies(again), again.priors[0].remark) == (1, claimed.job_id, ["1.1"], "")
    assert all(file.path.is_file() for file in again.priors[0].files)
    row = estate.db.row("SELECT give_up_at FROM prior_search")
    assert row is not None and row[0] == to_text(estate.clock.now + timedelta(seconds=600))


def test_a_prior_that_was_cleaned_up_is_told_of_and_fetched_again_when_the_analysis_is_repeated(
    make_estate: MakeEstate,
) -> None:
    estate = make_estate(priors={"keep_hours": 1}, **{"from": ["PACS", "VNA"], "wait_seconds": 86400.0})
    archive, other = second(estate, estate.settings)
    estate.archive.add(*estate.images("1.1", "20260601"))
    first = estate.settled("1.9")
    estate.run()
    estate.finish(first)
    estate.clock.forward(7200)
    estate.area.clean()

    archive.add(*estate.images("1.2", "20260901"))
    assert other.run_once() and other.run_once()
    again = estate.newest("1.9")
    assert again.run == 2
    assert {one.study_instance_uid: bool(one.files) for one in again.priors} == {"1.1": False, "1.2": True}
    assert [one.remark for one in again.priors if not one.files] == [
        "prior no longer at hand: what was fetched from PACS was cleaned up"
    ]
    estate.run()
    whole = estate.newest("1.9").priors
    assert {one.study_instance_uid: bool(one.files) for one in whole} == {"1.1": True, "1.2": True}
    assert {one.remark for one in whole} == {""}


# ---- whose, and which


@pytest.mark.parametrize("attributes", [{"PatientSex": ""}, {"PatientBirthDate": "19990909"}])
def test_what_is_not_used_of_a_prior_casts_no_doubt_on_it(estate: Estate, attributes: dict[str, str]) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"), estate.drawn("1.1", 5, SR, "SR", **attributes))
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert (prior.reports, prior.remark) == ((), "")


def test_a_mask_without_a_birth_date_is_the_patients_on_whose_images_it_is(estate: Estate) -> None:
    mask = estate.drawn("1.1", 5, SEG, "SEG", PatientBirthDate="", PatientSex="")
    estate.archive.add(*estate.images("1.1", "20260601"), mask)
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert len(prior.masks) == 1 and prior.remark == ""


def test_a_mask_that_names_another_birth_date_casts_doubt_on_its_study(estate: Estate) -> None:
    estate.archive.add(
        *estate.images("1.1", "20260601"), estate.drawn("1.1", 5, SEG, "SEG", PatientBirthDate="19990909")
    )
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert prior.remark == "prior identity uncertain: PatientBirthDate missing or not the same"


@pytest.mark.parametrize("names_classes", [False, True])
def test_our_report_is_fetched_however_many_dose_reports_stand_beside_it(estate: Estate, names_classes: bool) -> None:
    estate.archive.names_classes = names_classes
    estate.archive.add(*estate.images("1.1", "20260601"), estate.drawn("1.1", 5, SR, "SR", **OURS))
    maker = {} if names_classes else {"Manufacturer": "SCANNER"}
    estate.archive.add(*(estate.drawn("1.1", number, DOSE, "SR", **maker) for number in range(6, 16)))
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert [one.sop_instance_uid for one in prior.reports] == ["1.1.5.1"]
    assert len(estate.archive.fetched) == (2 if names_classes else 5)


def test_a_structure_set_comes_along_as_contours(estate: Estate) -> None:
    by_hand = estate.drawn("1.1", 5, RTSTRUCT, "RTSTRUCT")
    ours = estate.drawn("1.1", 6, RTSTRUCT, "RTSTRUCT", **OURS)
    estate.archive.add(*estate.images("1.1", "20260601"), by_hand, ours)
    estate.settled("1.9")
    estate.run()
    (prior,) = estate.newest("1.9").priors
    assert [(one.sop_instance_uid, one.own) for one in prior.contours] == [("1.1.5.1", False), ("1.1.6.1", True)]
    assert prior.masks == () and all(one.path.is_file() for one in prior.contours)


# ---- archives that do not say in whose name they send


def test_an_archive_that_leaves_out_the_move_originator_is_believed_while_it_is_asked(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"), originator="")
    estate.settled("1.9")
    estate.run()
    assert studies(estate.newest("1.9")) == ["1.1"]
    assert [row[0] for row in estate.db.rows("SELECT study_instance_uid FROM study")] == ["1.9"]

    estate.intake.accept(estate.images("1.1", "20260601")[0])
    assert estate.db.row("SELECT COUNT(*) FROM study")[0] == 2, "sent later it is an arrival"  # type: ignore[index]


def test_what_somebody_else_sends_of_a_series_that_is_being_fetched_is_an_arrival(estate: Estate) -> None:
    with estate.db.transaction():
        Scratch(estate.db, estate.files).ask("1.1", ["1.1.1"], "PACS")
    (arrival, _) = estate.images("1.1", "20260601")
    assert estate.area.takes(arrival)
    assert not estate.area.takes(replace(arrival, association=replace(arrival.association, peer="CT")))
    assert not estate.area.takes(replace(arrival, association=replace(arrival.association, peer="")))


def test_a_fetch_that_a_kill_cut_short_expects_nothing_any_more(estate: Estate) -> None:
    with estate.db.transaction():
        Scratch(estate.db, estate.files).ask("1.1", ["1.1.1"], "PACS")
    second_start: Any = Priors(
        estate.db, estate.files, estate.settings, "PACS", estate.area, lambda _peer: estate.archive
    )
    assert not second_start.run_once()
    assert not estate.area.takes(estate.images("1.1", "20260601")[0])


def test_what_a_search_was_fetching_last_is_known_after_the_step(estate: Estate) -> None:
    estate.archive.add(*estate.images("1.1", "20260601"))
    estate.settled("1.9")
    searches = Searches(estate.db, estate.files)
    search = searches.due("PACS")
    assert search is not None and searches.chosen(search) == ()
    assert estate.priors.run_once()
    assert searches.chosen(search) == ("1.1",)
