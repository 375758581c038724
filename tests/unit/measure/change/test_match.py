"""Lesions found again: by tracking UID, by place, one to one, through time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dicomnode.domain.code import Code
from dicomnode.measure.change.match import MISS_MM, match
from dicomnode.measure.change.track import Seen, track
from tests.unit.measure.change.lesions import LIVER, LUNG, lesion, point


def same(place: tuple[float, float, float]) -> tuple[float, float, float]:
    return place


def test_a_tracking_uid_outranks_every_distance() -> None:
    before = [lesion("a", centroid_mm=(0.0, 0.0, 0.0)), lesion("b", centroid_mm=(50.0, 0.0, 0.0))]
    now = [lesion("b", centroid_mm=(0.0, 0.0, 0.0)), lesion("x", centroid_mm=(1.0, 0.0, 0.0))]
    found = match(before, [one.centroid_mm for one in before], now)
    assert set(found.pairs) == {(1, 0), (0, 1)} and found.by_uid == 1


def test_as_many_as_possible_are_matched_and_these_with_the_least_distance() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        places = [(float(x), float(y), float(z)) for x, y, z in rng.uniform(0, 30, (8, 3))]
        before = [lesion(f"b{index}", centroid_mm=place) for index, place in enumerate(places[:4])]
        now = [lesion(f"n{index}", centroid_mm=place) for index, place in enumerate(places[4:])]
        found = match(before, places[:4], now)
        cost = {(row, column): math.dist(places[row], places[4 + column]) for row in range(4) for column in range(4)}
        tried = []
        for order in itertools.permutations(range(4)):
            pairs = [(row, column) for row, column in enumerate(order) if cost[row, column] <= MISS_MM]
            tried.append((-len(pairs), sum(cost[pair] for pair in pairs)))
        assert (-len(found.pairs), sum(cost[pair] for pair in found.pairs)) == pytest.approx(min(tried))


@pytest.mark.parametrize(("apart", "before_mm", "now_mm", "matched"), [
    (13.9, 10.0, 10.0, True), (14.1, 10.0, 10.0, False),
    (28.9, 40.0, 10.0, True), (29.1, 40.0, 10.0, False),  # a lesion that shrank on one side by 15 mm of its radius
])  # fmt: skip
def test_the_limit_is_what_registration_may_miss_and_the_change_of_the_radius(
    apart: float, before_mm: float, now_mm: float, matched: bool
) -> None:
    before, now = lesion("a", before_mm), lesion("b", now_mm, centroid_mm=(apart, 0.0, 0.0))
    assert bool(match([before], [(0.0, 0.0, 0.0)], [now]).pairs) is matched


def test_nodes_and_other_organs_are_no_match_and_neither_is_a_lesion_without_a_place() -> None:
    here = (0.0, 0.0, 0.0)
    now = [lesion("n", centroid_mm=here)]
    assert not match([lesion("a", lymph_node=True)], [here], now).pairs
    assert not match([lesion("a", organ=LIVER)], [here], now).pairs
    assert not match([lesion("a")], [None], now).pairs
    assert not match([lesion("a")], [here], [lesion("n")]).pairs
    assert match([lesion("a", organ=None)], [here], now).pairs
    assert match([], [], now).pairs == () and match([lesion("a")], [here], []).pairs == ()


def test_splitting_and_merging_is_said() -> None:
    here = (0.0, 0.0, 0.0)
    split = match([lesion("a")], [here], [lesion("x", centroid_mm=(3.0, 0.0, 0.0)), lesion("y", centroid_mm=here)])
    assert split.pairs == ((0, 1),) and "may have split" in split.doubts["a"]
    merged = match([lesion("a"), lesion("b")], [here, (8.0, 0.0, 0.0)], [lesion("x", centroid_mm=here)])
    assert len(merged.pairs) == 1 and set(merged.doubts) == {"a", "b"} and "merged" in merged.doubts["a"]


def test_a_lesion_keeps_the_first_uid_also_past_a_study_that_lacks_it() -> None:
    first = point("2026-01-01", [lesion("a", centroid_mm=(0.0, 0.0, 0.0)), lesion("b", centroid_mm=(90.0, 0.0, 0.0))])
    second = point("2026-02-01", [lesion("c", centroid_mm=(1.0, 0.0, 0.0))])
    now = point("2026-03-01", [
        lesion("d", centroid_mm=(91.0, 0.0, 0.0), segment_number=1),
        lesion("e", centroid_mm=(2.0, 0.0, 0.0), segment_number=2),
        lesion("f", centroid_mm=(40.0, 0.0, 0.0), segment_number=3),
    ])  # fmt: skip
    tracks = track([Seen(point=one, place=same) for one in (first, second, now)])
    assert [[one.tracking_uid for one in each.lesions] for each in tracks.points] == [
        ["a", "b"],
        ["a"],
        ["b", "a", "f"],
    ]
    assert tracks.renamed == {1: "b", 2: "a"}
    assert tracks.points[2].lesions[0].centroid_mm == (91.0, 0.0, 0.0)


def test_places_are_those_in_the_present_images() -> None:
    first = point("2026-01-01", [lesion("a", centroid_mm=(0.0, 0.0, 0.0))])
    now = point("2026-03-01", [lesion("x", centroid_mm=(500.0, 0.0, 0.0), segment_number=1)])
    moved = Seen(point=first, place=lambda place: (place[0] + 498.0, place[1], place[2]))
    assert track([moved, Seen(point=now, place=same)]).renamed == {1: "a"}
    assert track([Seen(point=first, place=None), Seen(point=now, place=same)]).renamed == {}


def test_a_place_stays_known_past_a_report_without_images() -> None:
    here = (0.0, 0.0, 0.0)
    first, second = point("2026-01-01", [lesion("a", centroid_mm=here)]), point("2026-02-01", [lesion("a")])
    now = point("2026-03-01", [lesion("x", centroid_mm=(1.0, 0.0, 0.0), segment_number=1)])
    tracks = track([Seen(point=first, place=same), Seen(point=second, place=None), Seen(point=now, place=same)])
    assert tracks.renamed == {1: "a"}


def test_a_tracking_uid_that_an_archived_object_bears_outranks_one_made_just_now() -> None:
    here = (0.0, 0.0, 0.0)
    points = [
        point(f"2026-0{month}-01", [lesion(uid, centroid_mm=here)]) for month, uid in ((1, "a"), (2, "b"), (3, "b"))
    ]
    now = point("2026-04-01", [lesion("x", centroid_mm=here, segment_number=1)])
    seen = [Seen(point=one, place=same, archived=frozenset("b" if place else "")) for place, one in enumerate(points)]
    tracks = track([*seen, Seen(point=now, place=same)])
    assert [[one.tracking_uid for one in each.lesions] for each in tracks.points] == [["b"]] * 4
    assert tracks.renamed == {1: "b"} and tracks.places == {"b": here}


def test_one_organ_with_another_meaning_is_a_match() -> None:
    here = (0.0, 0.0, 0.0)
    other = Code(value=LUNG.value, scheme=LUNG.scheme, meaning="Lung structure")
    assert match([lesion("a", organ=LUNG)], [here], [lesion("b", organ=other, centroid_mm=here)]).pairs
