"""Small values that much depends on: UIDs, headers, times, waiting times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID

from dicomnode.domain.clock import from_text, to_text
from dicomnode.domain.header import Header, differences
from dicomnode.domain.uid import ResultUids
from dicomnode.domain.work import Backoff


def uids(**changes: Any) -> ResultUids:
    parts = {"study_instance_uid": "1.2", "rule": "r", "input_digest": "i", "recipe_digest": "p", "run": 1}
    return ResultUids(**{**parts, **changes})


def test_the_same_analysis_has_the_same_uids_and_they_are_valid() -> None:
    assert uids().instance("seg") == uids().instance("seg")
    assert all(UID(uid).is_valid for uid in (uids().instance("seg"), uids().series("sr"), uids().tracking(1)))


def test_whatever_changes_the_result_changes_every_uid() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"study_instance_uid": "1.3"},
        {"rule": "q"},
        {"input_digest": "j"},
        {"recipe_digest": "q"},
        {"run": 2},
    ]
    found = {uids(**change).instance("seg") for change in changes}
    found |= {uids().instance("sr"), uids(variant="v").instance("seg"), uids().series("seg"), uids().tracking(1)}
    assert len(found) == len(changes) + 4


def test_what_a_segment_is_about_keeps_its_tracking_uid() -> None:
    organ: dict[str, Any] = {"lasting": {1: "liver"}}
    again: list[dict[str, Any]] = [{"run": 2}, {"input_digest": "late slice"}, {"recipe_digest": "new version"}]
    assert {uids(**organ, **change).tracking(1) for change in again} == {uids(**organ).tracking(1)}
    assert uids(run=2).tracking(1) == uids().tracking(1), "the same images and recipe find the same first lesion"
    others: list[dict[str, Any]] = [
        {"input_digest": "j"},
        {"recipe_digest": "q"},
        {"study_instance_uid": "1.3"},
        {"rule": "q"},
        organ,
    ]
    found = {uids(**change).tracking(1) for change in ({}, *others)}
    assert len(found) == len(others) + 1
    assert uids(lasting={1: "spleen"}).tracking(1) != uids(**organ).tracking(1)
    assert uids(**organ).tracking(2) != uids(**organ).tracking(1)
    assert uids(**organ, tracked={1: "2.25.5"}).tracking(1) == "2.25.5"


def test_parts_of_a_uid_cannot_be_shifted_into_each_other() -> None:
    assert uids(rule="ab", input_digest="c").instance("seg") != uids(rule="a", input_digest="bc").instance("seg")


attributes = st.dictionaries(
    st.sampled_from(["00080060", "00100020", "00200013", "00280010"]),
    st.fixed_dictionaries({"vr": st.just("LO"), "Value": st.lists(st.sampled_from(["a", "b"]), min_size=1)}),
)


@given(series=attributes, own=attributes)
def test_a_header_kept_as_what_differs_reads_back_the_same(series: dict[str, object], own: dict[str, object]) -> None:
    header = Header(series, differences(own, series))  # type: ignore[arg-type]
    assert header.merged() == own


def test_a_header_reads_names_numbers_and_sequences() -> None:
    ds = Dataset()
    ds.PatientName, ds.ImageType, ds.SliceThickness = "Yamada^Taro", ["ORIGINAL", "PRIMARY"], 2.5
    item = Dataset()
    item.CodeValue = "C1"
    ds.ProcedureCodeSequence = [item]
    header = Header.of(ds.to_json_dict())
    assert header.first("PatientName") == "Yamada^Taro" and header.text("ImageType") == "ORIGINAL\\PRIMARY"
    assert header.first("SliceThickness") == 2.5 and header.first("ProcedureCodeSequence").first("CodeValue") == "C1"
    assert header.first("Rows") is None and "Rows" not in header


@given(st.datetimes(min_value=datetime(1990, 1, 1)), st.datetimes(min_value=datetime(1990, 1, 1)), st.integers(-12, 12))
def test_times_as_text_sort_as_they_run_and_read_back(one: datetime, other: datetime, hours: int) -> None:
    first, second = one.replace(tzinfo=timezone(timedelta(hours=hours))), other.replace(tzinfo=UTC)
    assert (to_text(first) < to_text(second)) == (first < second)
    assert from_text(to_text(first)) == first


def test_waiting_times_double_up_to_the_longest_and_never_overflow() -> None:
    backoff = Backoff(first=timedelta(seconds=5), longest=timedelta(seconds=900))
    waits = [backoff.delay(failures) for failures in (*range(1, 12), 10_000)]
    assert waits[0] == timedelta(seconds=5) and waits[-1] == timedelta(seconds=900)
    assert all(later in (earlier * 2, timedelta(seconds=900)) for earlier, later in pairwise(waits))
