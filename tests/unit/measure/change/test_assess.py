"""Response of target lesions by every criterion, at the thresholds and where there is nothing to say."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from pydicom.sr.codedict import codes

from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Assessment, Standing
from dicomnode.measure.change import criteria
from dicomnode.measure.change.assess import assess, with_targets
from tests.unit.measure.change.lesions import lesion, point

ALL = MeasureSpec(criteria=("recist", "who", "rano", "volume"))
RECIST = MeasureSpec(criteria=("recist",))


def sizes(*per_time: tuple[float, ...], **named: Any) -> Assessment:
    """RECIST 1.1 for lesions a, b, … with these diameters at every time."""
    points = [
        point(f"2026-0{month}-01", [lesion("abcdef"[place], mm, **named) for place, mm in enumerate(times)])
        for month, times in enumerate(per_time, start=1)
    ]
    _, (found,) = assess(points[:-1], points[-1], RECIST)
    return found


def test_the_codes_are_those_of_the_standard() -> None:
    for ours, theirs in (
        (criteria.COMPLETE, codes.DCM.TargetLesionCompleteResponse),
        (criteria.PARTIAL, codes.DCM.TargetLesionPartialResponse),
        (criteria.PROGRESSION, codes.DCM.TargetLesionProgressiveDisease),
        (criteria.STABLE, codes.DCM.TargetLesionStableDisease),
    ):
        assert (ours.value, ours.scheme, ours.meaning) == (theirs.value, theirs.scheme_designator, theirs.meaning)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (((60.0, 40.0), (42.0, 28.0)), criteria.PARTIAL),  # exactly -30 %
        (((60.0, 40.0), (42.0, 28.1)), criteria.STABLE),
        (((60.0, 40.0), (72.0, 48.0)), criteria.PROGRESSION),  # exactly +20 %, +20 mm
        (((60.0, 40.0), (71.9, 48.0)), criteria.STABLE),
        (((12.0, 10.0), (15.0, 11.9)), criteria.STABLE),  # +22 %, but 4.9 mm
        (((12.0, 10.0), (15.0, 12.0)), criteria.PROGRESSION),  # exactly 5 mm
        (((50.0,), (20.0,), (26.0,)), criteria.PROGRESSION),  # -48 % from baseline, +30 % over the nadir
        (((50.0,), (20.0,), (23.0,)), criteria.PARTIAL),  # +15 % over the nadir
        (((50.0,), (70.0,), (55.0,)), criteria.STABLE),  # the nadir is the baseline
    ],
)
def test_recist_counts_from_baseline_down_and_from_nadir_up(times: Any, expected: Any) -> None:
    assert sizes(*times).category == expected


def test_categories_come_from_unrounded_numbers() -> None:
    assert sizes((100.0,), (70.04,)).category == criteria.STABLE
    assert sizes((100.0,), (69.96,)).category == criteria.PARTIAL


def test_lymph_nodes_count_by_their_short_axis_and_are_normal_below_10_mm() -> None:
    before = point("2026-01-01", [lesion("n", 40.0, 20.0, lymph_node=True)])
    for short, expected in ((9.9, criteria.COMPLETE), (10.0, criteria.PARTIAL), (15.0, criteria.STABLE)):
        _, (found,) = assess([before], point("2026-03-01", [lesion("n", 40.0, short, lymph_node=True)]), RECIST)
        assert found.category == expected and found.now == short


def test_a_target_that_is_not_found_is_neither_gone_nor_counted() -> None:
    before = point("2026-01-01", [lesion("a"), lesion("b")])
    changes, assessments = assess([before], point("2026-03-01", [lesion("a")]), ALL)
    assert [one.standing for one in changes] == [Standing.MATCHED, Standing.NOT_DETECTED]
    assert all(one.category is None and one.now is None for one in assessments)
    assert "b not detected by the algorithm, which does not show that it is gone" in assessments[0].text


def test_nothing_found_at_all_is_no_complete_response() -> None:
    _, (found,) = assess([point("2026-01-01", [lesion("a")])], point("2026-03-01", []), RECIST)
    assert found.category is None and found.percent_from_baseline is None


def test_a_later_lesion_is_a_candidate_and_never_a_target() -> None:
    before = point("2026-01-01", [lesion("a", 20.0)])
    now = point("2026-03-01", [lesion("a", 20.0), lesion("b", 90.0)])
    changes, (found,) = assess([before], now, RECIST)
    assert changes[1].standing is Standing.CANDIDATE_NEW and changes[1].before is None
    assert found.category == criteria.STABLE and found.now == 20.0 and found.targets == ("a",)


def test_a_lesion_outside_the_images_is_said_to_be_outside() -> None:
    changes, _ = assess([point("2026-01-01", [lesion("a")])], point("2026-03-01", []), RECIST, not_imaged={"a"})
    assert changes[0].standing is Standing.NOT_IMAGED


def test_targets_freeze_at_the_oldest_time_point() -> None:
    first = point("2026-01-01", [lesion("a", 30.0), lesion("b", 12.0, target=False)])
    second = point("2026-02-01", [lesion("a", 30.0, target=False), lesion("b", 40.0)])
    _, (found,) = assess([second, first], point("2026-03-01", [lesion("a", 30.0), lesion("b", 60.0)]), RECIST)
    assert found.targets == ("a",) and found.category == criteria.STABLE


def test_a_persons_choice_of_targets_outranks_the_algorithms() -> None:
    first = point("2026-01-01", [lesion("a", 30.0), lesion("b", 12.0, target=False)])
    second = point("2026-02-01", [lesion("a", 30.0, target=False), lesion("b", 40.0)], by_person=True)
    now = point("2026-03-01", [lesion("a", 30.0), lesion("b", 60.0)])
    _, (found,) = assess([first, second], now, RECIST)
    assert found.targets == ("b",) and found.baseline == 40.0 and found.category == criteria.PROGRESSION
    assert "chosen by a person" in found.text
    points, marked = with_targets([second, first], now, RECIST)
    assert [[one.target for one in each.lesions] for each in (*points, marked)] == [[False, True]] * 3


def test_targets_are_selected_at_the_baseline_where_nobody_chose() -> None:
    before = point("2026-01-01", [lesion(uid, mm, target=False) for uid, mm in (("a", 30), ("b", 25), ("c", 20))])
    _, (found,) = assess([before], point("2026-03-01", before.lesions), RECIST)
    assert found.targets == ("a", "b"), "two of one organ at most"
    small = point("2026-01-01", [lesion("a", 8.0, target=False)])
    _, (none,) = assess([small], point("2026-03-01", [lesion("a", 30.0, target=False)]), RECIST)
    assert none.category is None and none.baseline is None and "large enough" in none.text


def test_who_sums_products_and_looks_at_single_lesions() -> None:
    spec = MeasureSpec(criteria=("who",))
    before = point("2026-01-01", [lesion("a", 40.0, 20.0), lesion("b", 10.0, 10.0)])
    for now, expected in (
        ([lesion("a", 20.0, 20.0), lesion("b", 5.0, 10.0)], criteria.PARTIAL),  # exactly half
        ([lesion("a", 30.0, 20.0), lesion("b", 10.0, 10.0)], criteria.STABLE),
        ([lesion("a", 50.0, 20.0), lesion("b", 12.5, 10.0)], criteria.PROGRESSION),  # exactly a quarter more
        ([lesion("a", 30.0, 20.0), lesion("b", 12.5, 10.0)], criteria.PROGRESSION),  # one lesion alone
    ):
        _, (found,) = assess([before], point("2026-03-01", now), spec)
        assert found.category == expected
    assert found.baseline == 900.0 and found.unit.value == "mm2"


def test_rano_gives_products_without_a_category() -> None:
    before = point("2026-01-01", [lesion("a", 40.0, 20.0)])
    _, (found,) = assess([before], point("2026-03-01", [lesion("a", 10.0, 10.0)]), MeasureSpec(criteria=("rano",)))
    assert found.category is None and (found.baseline, found.now) == (800.0, 100.0)
    assert found.percent_from_baseline == -87.5 and "steroids" in found.text


@pytest.mark.parametrize(("now", "expected"), [
    (3.5, criteria.PARTIAL), (3.51, criteria.STABLE), (17.29, criteria.STABLE), (17.3, criteria.PROGRESSION),
])  # fmt: skip
def test_volumes_have_the_thresholds_of_the_bundle(now: float, expected: Any) -> None:
    before = point("2026-01-01", [lesion("a", volume_ml=10.0)])
    spec = MeasureSpec(criteria=("volume",))
    _, (found,) = assess([before], point("2026-03-01", [lesion("a", volume_ml=now)]), spec)
    assert found.category == expected and found.unit.value == "cm3"
    strict = replace(spec, volume_response=(-90.0, 400.0))
    _, (found,) = assess([before], point("2026-03-01", [lesion("a", volume_ml=now)]), strict)
    assert found.category == criteria.STABLE


def test_a_baseline_of_zero_and_unmeasured_lesions_have_no_category() -> None:
    assert sizes((0.0,), (10.0,)).category is None and sizes((0.0,), (10.0,)).percent_from_baseline is None
    found = sizes((10.0,), (None,))  # type: ignore[arg-type]
    assert found.category is None and "not measured" in found.text


def test_a_time_point_that_lacks_a_target_does_not_make_the_nadir() -> None:
    points = [
        point("2026-01-01", [lesion("a", 50.0), lesion("b", 50.0)]),
        point("2026-02-01", [lesion("a", 20.0)]),
        point("2026-03-01", [lesion("a", 50.0), lesion("b", 50.0)]),
    ]
    _, (found,) = assess(points[:2], points[2], RECIST)
    assert found.nadir == 100.0 and found.category == criteria.STABLE


def test_a_doubtful_match_of_a_target_leaves_the_category_open() -> None:
    before, now = point("2026-01-01", [lesion("a", 50.0)]), point("2026-03-01", [lesion("a", 20.0)])
    _, (found,) = assess([before], now, RECIST, doubts={"a": "it may have split"})
    assert found.category is None and "split" in found.text and found.percent_from_baseline == -60.0


def test_doubling_time_and_growth_rate_follow_the_volume() -> None:
    before = point("2026-01-01", [lesion("a", volume_ml=2.0), lesion("b", volume_ml=4.0), lesion("c", volume_ml=1.0)])
    now = [lesion("a", volume_ml=8.0), lesion("b", volume_ml=2.0), lesion("c", volume_ml=1.0)]
    changes, _ = assess([before], point("2026-03-02", now), RECIST)  # 60 days
    grown, shrunk, same = changes
    assert grown.doubling_days == pytest.approx(30.0) and shrunk.doubling_days == pytest.approx(-60.0)
    assert grown.growth_percent_per_day == pytest.approx(100 * math.log(4) / 60)
    assert same.doubling_days is None and same.growth_percent_per_day == 0.0
    assert grown.percent["volume_ml"] == 300.0 and grown.percent["longest_mm"] == 0.0


def test_on_one_day_there_is_a_change_but_no_rate() -> None:
    before, now = point("2026-01-01", [lesion("a", 20.0, volume_ml=1.0)]), [lesion("a", 10.0, volume_ml=2.0)]
    changes, (found,) = assess([before], point("2026-01-01", now), RECIST)
    assert changes[0].percent["volume_ml"] == 100.0 and changes[0].doubling_days is None
    assert changes[0].growth_percent_per_day is None and found.category == criteria.PARTIAL


def test_a_prior_after_now_is_left_out() -> None:
    assert assess([point("2026-05-01", [lesion("a")])], point("2026-03-01", [lesion("a")]), RECIST) == ((), ())
