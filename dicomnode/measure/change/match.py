"""Finds the lesions of an earlier study again in a later one: by tracking UID, then by place, one to one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from dicomnode.domain.response import Lesion

Point = tuple[float, float, float]

#: How far registration may miss a lesion's middle: twice the mean error of 7 mm that the best ways of finding lesions
#: again had on 3 891 pairs of lesions (Cai et al., Deep Lesion Tracker, CVPR 2021). If errors have no preferred
#: direction (Maxwell's distribution), 98 % of them are smaller.
MISS_MM = 14.0

#: Costs more than any match, so that as many lesions as possible are matched and of these the nearest.
_FORBIDDEN = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Which lesion is which.

    Attributes
    ----------
    pairs
        (index of the earlier lesion, index of the later one), by falling trust: by tracking UID first.
    by_uid
        How many of the pairs have the same tracking UID.
    doubts
        Tracking UID of an earlier lesion → why its match is uncertain, in words.
    """

    pairs: tuple[tuple[int, int], ...]
    by_uid: int = 0
    doubts: Mapping[str, str] = field(default_factory=dict)


def match(before: Sequence[Lesion], places: Sequence[Point | None], now: Sequence[Lesion]) -> Matches:
    """Match lesions one to one, so that as many as possible are matched and the sum of distances is the least.

    Two lesions may be the same if their middles are no farther apart than registration may miss (`MISS_MM`), plus the
    difference of their radii: a lesion that shrinks or grows on one side only moves its middle by that at most. A
    lymph node is no match for another lesion, nor a lesion of one organ for one of another.

    Parameters
    ----------
    places
        Where the middle of every earlier lesion lies in the later images, None where nobody knows.

    Returns
    -------
    Matches
        With doubts where a second lesion lies where one could be matched: it may have split, or two have merged.
    """
    later = {lesion.tracking_uid: place for place, lesion in enumerate(now)}
    known = [(place, later[one.tracking_uid]) for place, one in enumerate(before) if one.tracking_uid in later]
    rows = [place for place in range(len(before)) if place not in {row for row, _ in known}]
    columns = [place for place in range(len(now)) if place not in {column for _, column in known}]
    if not rows or not columns:
        return Matches(pairs=tuple(known), by_uid=len(known))
    cost = np.array([[_cost(before[row], places[row], now[column]) for column in columns] for row in rows])
    chosen = [
        (int(row), int(column)) for row, column in zip(*linear_sum_assignment(cost), strict=True)
        if cost[row, column] < _FORBIDDEN
    ]  # fmt: skip
    return Matches(
        pairs=(*known, *((rows[row], columns[column]) for row, column in chosen)),
        by_uid=len(known),
        doubts=_doubts([before[row] for row in rows], cost < _FORBIDDEN, chosen),
    )


def _cost(before: Lesion, place: Point | None, now: Lesion) -> float:
    if place is None or now.centroid_mm is None or before.lymph_node != now.lymph_node:
        return _FORBIDDEN
    if before.organ and now.organ and before.organ != now.organ:
        return _FORBIDDEN
    distance = math.dist(place, now.centroid_mm)
    return distance if distance <= MISS_MM + abs(_radius_mm(before) - _radius_mm(now)) else _FORBIDDEN


def _radius_mm(lesion: Lesion) -> float:
    """Of the ball of its volume, or half its longest diameter; 0 where neither is known."""
    if lesion.volume_ml:
        return float((3000.0 * lesion.volume_ml / (4.0 * math.pi)) ** (1 / 3))
    return (lesion.longest_mm or 0.0) / 2


def _doubts(before: Sequence[Lesion], near: np.ndarray, chosen: Sequence[tuple[int, int]]) -> dict[str, str]:
    taken = {column for _, column in chosen}
    matched = dict(chosen)
    doubts = {}
    for row, lesion in enumerate(before):
        if row not in matched:
            merged = [other for other, column in chosen if near[row, column]]
            for other in merged:
                text = f"{lesion.label} and {before[other].label} lie where one lesion was found: they may have merged"
                doubts[lesion.tracking_uid] = doubts[before[other].tracking_uid] = text
        elif any(near[row, column] for column in range(near.shape[1]) if column not in taken):
            doubts[lesion.tracking_uid] = f"{lesion.label}: more than one lesion lies where it was: it may have split"
    return doubts
