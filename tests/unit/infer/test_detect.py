"""Non-maximum suppression against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.infer.detect import best_of, overlap


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0.0, 0, 0, 2, 2, 2])
    others = np.array([[0, 0, 0, 2, 2, 2], [1, 1, 1, 3, 3, 3], [0, 0, 2, 2, 2, 4], [0, 0, 0, 2, 2, 1]], dtype=float)
    assert overlap(box, others) == pytest.approx([1, 1 / 15, 0, 0.5])
    assert overlap(np.zeros(6), np.zeros((1, 6))).tolist() == [0]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.sampled_from([0.05, 0.3, 0.7]))
def test_of_boxes_of_one_label_that_overlap_the_best_stays(seed: int, count: int, iou: float) -> None:
    random = np.random.default_rng(seed)
    low = random.uniform(0, 4, (count, 3))
    table = np.concatenate(
        [random.integers(1, 3, (count, 1)), random.random((count, 1)), low, low + random.uniform(0.5, 3, (count, 3))],
        axis=1,
    )
    kept = best_of(table, iou)
    assert (np.diff(kept[:, 1]) <= 0).all()
    rows = {tuple(row) for row in kept}
    for row in sorted(table.tolist(), key=lambda one: -one[1]):
        rivals = [one for one in kept if one[0] == row[0] and one[1] > row[1]]
        displaced = any(overlap(one[2:], np.array([row[2:]]))[0] > iou for one in rivals)
        assert (tuple(row) in rows) is not displaced
