"""Figures of agreement against analytic shapes and brute force."""

from __future__ import annotations

import math
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.measure.agreement.certain import auc, interval
from dicomnode.measure.agreement.detection import detected, parts_of
from dicomnode.measure.agreement.overlap import dice, jaccard
from dicomnode.measure.agreement.path import added_path, contour
from dicomnode.measure.agreement.surface import distances

Mask = NDArray[np.bool_]


def block(shape: tuple[int, int, int], low: tuple[int, int, int], high: tuple[int, int, int]) -> Mask:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(slice(one, two) for one, two in zip(low, high, strict=True))] = True
    return mask


def ball(radius_mm: float, centre_mm: tuple[float, float, float], spacing: tuple[float, float, float]) -> Mask:
    grid = np.indices((48, 64, 64)) * np.array(spacing).reshape(3, 1, 1, 1)
    inside: Mask = ((grid - np.array(centre_mm).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) <= radius_mm**2
    return inside


def test_overlap_of_blocks_is_that_of_their_volumes() -> None:
    one, other = block((10, 10, 10), (2, 2, 2), (6, 6, 6)), block((10, 10, 10), (4, 2, 2), (8, 6, 6))
    assert dice(one, other) == 2 * 32 / 128 and jaccard(one, other) == 32 / 96
    assert dice(one, one) == jaccard(one, one) == 1.0
    nothing = np.zeros_like(one)
    assert dice(one, nothing) == 0.0 and dice(nothing, nothing) is None and jaccard(nothing, nothing) is None


def test_a_surface_that_is_grown_by_two_millimetres_is_two_millimetres_away() -> None:
    spacing, centre = (0.5, 0.5, 0.5), (12.0, 16.0, 16.0)
    found = distances(ball(7, centre, spacing), ball(9, centre, spacing), spacing)
    assert found is not None
    # The nearest of all cells that a surface passes is taken, and these are half a millimetre thick.
    assert 2.0 - 0.5 < found.mean_mm() <= 2.0
    assert found.hausdorff_mm() == pytest.approx(2.0, abs=0.5)
    assert found.dice_within(1.0) < 0.02 and found.dice_within(2.5) == 1.0


@pytest.mark.parametrize(
    ("masks", "spacing", "truth"),
    [
        (((10, (24, 32, 32)), (12, (24, 32, 32))), (1.0, 1.0, 1.0), (2.236068, 0.152441, 1372.042142)),
        (((14, (70, 25, 25)), (12, (73, 26, 24))), (3.0, 0.8, 0.8), (5.0, 0.446143, 2899.28127)),
    ],
)
def test_figures_are_those_of_the_reference_implementation(masks: Any, spacing: Any, truth: Any) -> None:
    """Hausdorff 95, surface Dice at 1.18 mm and area as surface-distance 0.1 of DeepMind gives them; MONAI 1.6 with
    subvoxels gives the same surface Dice."""
    one, other = (ball(radius, centre, spacing) for radius, centre in masks)
    found = distances(one, other, spacing)
    assert found is not None
    figures = (found.hausdorff_mm(), found.dice_within(1.18), float(found.reference_mm2.sum()))
    assert figures == pytest.approx(truth, abs=1e-6)


def test_the_area_that_weights_is_the_area_of_the_ball() -> None:
    spacing = (0.75, 0.75, 0.75)
    mask = ball(14, (17.0, 24.0, 24.0), spacing)
    found = distances(mask, mask, spacing)
    assert found is not None and found.hausdorff_mm(100) == 0.0 and found.dice_within(0.0) == 1.0
    # Triangles between voxel centres cut a digital surface into facets: the area is a tenth too large.
    assert float(found.reference_mm2.sum()) == pytest.approx(4 * math.pi * 14**2, rel=0.12)


def test_distances_are_those_of_brute_force_on_an_anisotropic_grid() -> None:
    random = np.random.default_rng(3)
    spacing = np.array((3.0, 0.8, 1.1))
    one, other = (random.random((5, 8, 9)) > 0.6 for _ in range(2))

    def surface(mask: Mask) -> NDArray[np.float64]:
        padded = np.pad(mask, 1)
        corners = [
            np.array(place) - 0.5
            for place in product(*(range(length + 1) for length in mask.shape))
            if 0 < padded[tuple(slice(one, one + 2) for one in place)].sum() < 8
        ]
        places: NDArray[np.float64] = np.array(corners) * spacing
        return places

    first, second = surface(one), surface(other)
    between = np.linalg.norm(first[:, None] - second[None], axis=2)
    found = distances(one, other, spacing.tolist())
    assert found is not None
    assert found.to_answer_mm == pytest.approx(np.sort(between.min(axis=1)))
    assert found.to_reference_mm == pytest.approx(np.sort(between.min(axis=0)))
    assert found.hausdorff_mm(100) == pytest.approx(max(between.min(axis=0).max(), between.min(axis=1).max()))


def test_the_percentile_counts_area_and_not_pieces() -> None:
    flat = block((4, 20, 20), (1, 0, 0), (2, 20, 20))
    bump = flat.copy()
    bump[2:4, 9:11, 9:11] = True
    found = distances(flat, bump, (5.0, 1.0, 1.0))
    assert found is not None
    # The bump is less than a twentieth of the area, though it is ten millimetres high.
    assert found.hausdorff_mm(95) == 0.0 and found.hausdorff_mm(100) == 10.0


def test_a_tolerance_that_equals_the_distance_is_met() -> None:
    one, other = block((6, 6, 20), (1, 1, 1), (5, 5, 8)), block((6, 6, 20), (1, 1, 1), (5, 5, 10))
    found = distances(one, other, (1.0, 1.0, 0.59))
    assert found is not None and found.dice_within(1.18) == 1.0 and found.dice_within(1.17) < 1.0


def test_without_a_surface_there_is_no_distance() -> None:
    one = block((4, 4, 4), (1, 1, 1), (3, 3, 3))
    assert distances(one, np.zeros_like(one), (1, 1, 1)) is None


def test_added_path_is_the_contour_that_is_not_there_yet() -> None:
    reference = block((3, 12, 12), (1, 2, 2), (2, 10, 10))
    assert np.count_nonzero(contour(reference)) == 28  # 8 by 8 pixels have 4 · 7 at their edge
    assert added_path(reference, reference, 0.5, 0.7).pixels == 0
    answer = block((3, 12, 12), (1, 2, 2), (2, 10, 6))
    found = added_path(reference, answer, 0.5, 0.7)
    # The right half of the contour: 8 down the far side and 4 - 1 on top and bottom.
    assert (found.pixels, found.voxels) == (14, 32) and found.length_mm == pytest.approx(14 * 0.6)
    assert added_path(reference, np.zeros_like(answer), 1, 1).pixels == 28


def test_a_mask_that_fills_the_image_has_its_contour_at_the_edge() -> None:
    assert np.count_nonzero(contour(np.ones((1, 4, 4), dtype=np.bool_))) == 12


def test_lesions_are_found_missed_and_invented() -> None:
    shape = (10, 20, 20)
    reference = block(shape, (1, 1, 1), (4, 4, 4)) | block(shape, (6, 12, 12), (9, 16, 16))
    answer = block(shape, (2, 2, 2), (5, 5, 5)) | block(shape, (1, 15, 1), (3, 17, 3))
    lesions, candidates = list(parts_of(reference)), list(parts_of(answer, score=0.7))
    found = detected(lesions, candidates)
    assert (len(lesions), found.found, found.false_positives) == (2, 1, 1)
    assert {one.score for one in candidates} == {0.7}
    assert sum(one.voxels for one in lesions) == np.count_nonzero(reference)
    assert detected([], candidates).false_positives == 2 and not list(parts_of(np.zeros_like(answer)))


def test_a_touch_is_no_detection_and_parts_that_meet_at_a_corner_are_one() -> None:
    shape = (10, 10, 10)
    lesion, touching = block(shape, (0, 0, 0), (5, 5, 5)), block(shape, (4, 4, 4), (9, 9, 9))
    assert detected(list(parts_of(lesion)), list(parts_of(touching))).found == 0  # 1 of 125 voxels is shared
    corners = block(shape, (0, 0, 0), (2, 2, 2)) | block(shape, (2, 2, 2), (4, 4, 4))
    assert len(list(parts_of(corners))) == 1


def test_the_area_under_the_curve_counts_pairs() -> None:
    random = np.random.default_rng(1)
    truths = random.random(60) > 0.5
    scores = np.round(random.random(60) + 0.3 * truths, 1)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truths] for b in scores[~truths]]
    assert auc(scores.tolist(), truths.tolist()) == pytest.approx(np.mean(pairs))
    assert auc([1.0, 2.0], [True, True]) is None


def mean_of(values: NDArray[np.float64], rows: NDArray[np.intp]) -> float:
    return float(values[rows].mean())


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for seed in range(100):
        values = random.normal(0.8, 0.1, 40)
        found = interval(range(40), partial(mean_of, values), seed=seed, draws=200)
        assert found is not None
        covered += found[0] <= 0.8 <= found[1]
    assert 87 <= covered <= 100  # 95 of 100, give or take four standard deviations below


def test_the_interval_draws_patients_and_is_the_same_for_the_same_seed() -> None:
    values = np.repeat([0.2, 0.9, 0.5, 0.7], 10)
    by_row = interval(range(40), lambda rows: float(values[rows].mean()), seed=1)
    patients = [number // 10 for number in range(40)]
    by_patient = interval(patients, lambda rows: float(values[rows].mean()), seed=1)
    assert by_row is not None and by_patient is not None
    assert by_patient[1] - by_patient[0] > 2 * (by_row[1] - by_row[0])
    assert by_patient == interval(patients, lambda rows: float(values[rows].mean()), seed=1)
    assert interval(["one"] * 40, lambda rows: float(values[rows].mean()), seed=1) is None
