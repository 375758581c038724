"""When a study has arrived."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.complete.policy import Abandon, Complete, Patience, Wait, judge, progress_of_series
from dicomnode.domain.header import Header
from dicomnode.domain.study import SeriesProgress, StudyProgress

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
PATIENCE = Patience(
    announced=timedelta(seconds=2), quiet=timedelta(seconds=5), long_quiet=timedelta(seconds=60),
    give_up=timedelta(seconds=900),
)  # fmt: skip


def progress(
    *, open_associations: int = 0, closed: float | None = 0, received: int = 10, expected: int | None = None,
    usable: bool = True,
) -> StudyProgress:  # fmt: skip
    return StudyProgress(
        study_instance_uid="1.2", revision=1, first_arrival_at=START, last_arrival_at=START,
        open_associations=open_associations,
        association_closed_at=None if closed is None else START + timedelta(seconds=closed),
        series=(SeriesProgress(series_instance_uid="1", received=received, expected=expected, expected_by="K"),),
        usable=usable,
    )  # fmt: skip


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_closed_association_and_a_short_quiet_time_are_enough() -> None:
    assert isinstance(judge(progress(), after(4.9), PATIENCE), Wait)
    done = judge(progress(), after(5), PATIENCE)
    assert isinstance(done, Complete) and "association closed" in done.evidence


def test_the_short_quiet_time_counts_from_the_end_of_the_association() -> None:
    assert isinstance(judge(progress(closed=3), after(7), PATIENCE), Wait)
    assert isinstance(judge(progress(closed=3), after(8), PATIENCE), Complete)


def test_an_open_association_is_waited_for_but_not_for_ever() -> None:
    assert isinstance(judge(progress(open_associations=1), after(59), PATIENCE), Wait)
    done = judge(progress(open_associations=1), after(60), PATIENCE)
    assert isinstance(done, Complete) and "stays open" in done.evidence


def test_announced_images_that_are_missing_are_waited_for_until_giving_up_and_then_named() -> None:
    assert isinstance(judge(progress(expected=12), after(899), PATIENCE), Wait)
    done = judge(progress(expected=12), after(900), PATIENCE)
    assert isinstance(done, Complete) and "10 of 12" in done.short


def test_announced_images_that_are_all_here_are_part_of_the_evidence() -> None:
    done = judge(progress(expected=10), after(5), PATIENCE)
    assert isinstance(done, Complete) and "all announced images" in done.evidence and not done.short


def test_announced_images_that_are_all_here_are_waited_for_no_longer_than_without_that_evidence() -> None:
    assert isinstance(judge(progress(expected=10), after(1.9), PATIENCE), Wait)
    closed = judge(progress(expected=10), after(2), PATIENCE)
    assert isinstance(closed, Complete) and "quiet for 2 s" in closed.evidence
    still_open = progress(expected=10, open_associations=1)
    assert isinstance(judge(still_open, after(4.9), PATIENCE), Wait)
    done = judge(still_open, after(5), PATIENCE)
    assert isinstance(done, Complete) and "all announced images" in done.evidence and "stays open" in done.evidence
    impatient = replace(PATIENCE, quiet=timedelta(seconds=1))
    assert isinstance(judge(progress(expected=10), after(1), impatient), Complete)


def test_a_study_without_any_image_is_abandoned() -> None:
    assert isinstance(judge(progress(usable=False), after(5), PATIENCE), Abandon)


def test_counts_are_read_from_the_data_set_where_it_carries_them() -> None:
    ct = Header.of({"00201002": {"vr": "IS", "Value": [12]}})
    pet = Header.of({"00540081": {"vr": "US", "Value": [35]}, "00540101": {"vr": "US", "Value": [2]}})
    assert progress_of_series("1", 10, ct).expected == 12
    assert progress_of_series("1", 10, pet).expected == 70
    assert progress_of_series("1", 10, Header.of({})).expected is None


def test_a_count_below_what_has_come_announces_nothing() -> None:
    ct = Header.of({"00201002": {"vr": "IS", "Value": [1]}})
    assert progress_of_series("1", 10, ct).expected is None


cases = st.builds(
    progress,
    open_associations=st.integers(0, 2),
    closed=st.none() | st.floats(0, 100),
    received=st.integers(1, 20),
    expected=st.none() | st.integers(1, 20),
    usable=st.booleans(),
)


@given(case=cases, seconds=st.floats(0, 2000))
def test_waiting_never_ends_in_the_past(case: StudyProgress, seconds: float) -> None:
    verdict = judge(case, after(seconds), PATIENCE)
    assert not isinstance(verdict, Wait) or verdict.until > after(seconds)


@given(case=cases, seconds=st.floats(0, 2000), more=st.floats(0, 2000))
def test_what_is_complete_stays_complete_as_time_passes(case: StudyProgress, seconds: float, more: float) -> None:
    if not isinstance(judge(case, after(seconds), PATIENCE), Wait):
        assert not isinstance(judge(case, after(seconds + more), PATIENCE), Wait)


@given(case=cases, since=st.timedeltas(timedelta(0), timedelta(seconds=2) - timedelta.resolution))
def test_nothing_is_judged_before_the_shortest_patience_is_over(case: StudyProgress, since: timedelta) -> None:
    assert PATIENCE.shortest == timedelta(seconds=2)
    assert isinstance(judge(case, START + since, PATIENCE), Wait)


@given(case=cases)
def test_every_study_is_judged_in_the_end(case: StudyProgress) -> None:
    assert not isinstance(judge(case, after(2000), PATIENCE), Wait)
