"""Response of target lesions by every criterion, at the thresholds and where there is nothing to say."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from pydicom.sr.codedict import codes

from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.response import Assessment, Standing, SumAt, ToldSums, sums_uid
from dicomnode.measure.change import criteria
from dicomnode.measure.change.assess import assess, first, with_targets
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
    assert found.nadir == 100.0 and found.category is None and not found.every_study
    assert "may have had a smaller sum" in found.text
    worse = point("2026-03-01", [lesion("a", 70.0), lesion("b", 50.0)])
    _, (found,) = assess(points[:2], worse, RECIST)
    assert found.category == criteria.PROGRESSION, "over a smaller nadir it would be one all the more"


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


def told(*targets: str, baseline: float, nadir: float, every_study: bool = True) -> ToldSums:
    return ToldSums(
        criterion="recist", sums_uid=sums_uid("recist", targets), every_study=every_study,
        baseline=SumAt(value=baseline, day=date(2025, 1, 1)), nadir=SumAt(value=nadir, day=date(2025, 6, 1)),
    )  # fmt: skip


@pytest.mark.parametrize(("now", "expected"), [(62.0, criteria.PROGRESSION), (59.0, criteria.PARTIAL)])
def test_a_nadir_that_only_a_report_tells_of_counts(now: float, expected: Any) -> None:
    first = point("2025-01-01", [lesion("a", 100.0)])
    last = point("2026-01-01", [lesion("a", 58.0)], sums=(told("a", baseline=100.0, nadir=50.0),))
    day = last.day
    for priors in ([first, last], [last]):
        _, (found,) = assess(priors, point("2026-03-01", [lesion("a", now)]), RECIST, missing_before=day)
        assert (found.baseline, found.nadir, found.category) == (100.0, 50.0, expected)
        assert (found.baseline_day, found.nadir_day) == (date(2025, 1, 1), date(2025, 6, 1)) and found.every_study


def test_where_a_smaller_sum_may_be_missing_there_is_a_progression_or_no_category() -> None:
    first, last = point("2025-01-01", [lesion("a", 100.0)]), point("2026-01-01", [lesion("a", 58.0)])
    unsure = replace(last, sums=(told("a", baseline=100.0, nadir=58.0, every_study=False),))
    others = replace(last, sums=(told("b", baseline=10.0, nadir=5.0),))
    for newest in (last, unsure, others):
        _, (found,) = assess([first, newest], point("2026-03-01", [lesion("a", 62.0)]), RECIST, missing_before=last.day)
        assert found.category is None and not found.every_study and "studies at hand" in found.text
        assert found.nadir == 58.0
        _, (worse,) = assess([first, newest], point("2026-03-01", [lesion("a", 75.0)]), RECIST, missing_before=last.day)
        assert worse.category == criteria.PROGRESSION


def test_targets_come_from_the_baseline_that_a_person_drew() -> None:
    first = point("2026-01-01", [lesion("b", 40.0, target=False), lesion("c", 8.0, target=False)], by_person=True)
    second = point("2026-02-01", [lesion("a", 30.0), lesion("b", 30.0, target=False)])
    now = point("2026-03-01", [lesion("a", 31.0, target=False), lesion("b", 20.0, target=False)])
    _, (found,) = assess([first, second], now, RECIST)
    assert found.targets == ("b",) and found.baseline == 40.0 and found.category == criteria.PARTIAL
    assert "selected by size among those that a person drew" in found.text


def test_targets_that_a_later_report_marks_are_those_of_an_unmarked_baseline() -> None:
    first = point("2026-01-01", [lesion("a", 30.0, target=False), lesion("b", 60.0, target=False)])
    second = point("2026-02-01", [lesion("a", 20.0), lesion("b", 50.0, target=False)])
    _, (found,) = assess([second, first], point("2026-03-01", [lesion("a", 20.0), lesion("b", 50.0)]), RECIST)
    assert found.targets == ("a",) and found.baseline == 30.0


def test_the_volume_is_that_of_all_lesions() -> None:
    spec = MeasureSpec(criteria=("volume",))
    then = [
        lesion(uid, mm, volume_ml=ml) for uid, mm, ml in (("a", 20, 4.0), ("b", 19, 3.6), ("c", 18, 3.0), ("d", 9, 0.4))
    ]
    before = point("2026-01-01", then)
    volumes = (4.0, 3.6, 33.0, 8.0)
    now = [replace(one, volume_ml=ml) for one, ml in zip(then, volumes, strict=True)]
    _, (found,) = assess([before], point("2026-03-01", now), spec)
    assert [found.baseline, found.now] == pytest.approx([11.0, 48.6])
    assert found.category == criteria.PROGRESSION and found.targets == ()
    _, (gone,) = assess([before], point("2026-03-01", now[1:]), spec)
    assert gone.category is None and gone.percent_from_baseline is None and "a not detected" in gone.text
    _, (more,) = assess([before], point("2026-03-01", [*then, lesion("x", volume_ml=30.0)]), spec)
    assert more.category is None and "candidate new lesion x decides it" in more.text
    _, (same,) = assess([before], point("2026-03-01", [*then, lesion("x", volume_ml=0.1)]), spec)
    assert same.category == criteria.STABLE


def test_thick_slices_ask_for_larger_targets() -> None:
    found = [lesion("a", 11.0, target=False)]
    now = point("2026-03-01", found)
    for slice_mm, targets in ((10.0, ()), (5.0, ("a",)), (None, ("a",))):
        _, (one,) = assess([point("2026-01-01", found, slice_mm=slice_mm)], now, RECIST)
        assert one.targets == targets


def test_a_first_study_has_targets_and_sums_alone() -> None:
    point_, (recist, volume) = first(
        point("2026-03-01", [lesion("a", 20.0, target=False, volume_ml=2.0), lesion("b", 8.0, volume_ml=1.0)]),
        MeasureSpec(criteria=("recist", "volume")),
    )
    assert [one.target for one in point_.lesions] == [True, False]
    assert (recist.now, recist.baseline, recist.category) == (20.0, None, None) and volume.now == 3.0
