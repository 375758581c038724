"""Every step after the network, held against scipy, an analytic size or a picture drawn by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dicomnode.domain.code import Code
from dicomnode.domain.model import Segment, Step
from dicomnode.infer.post.decide import ARGMAX, decide, decision_of
from dicomnode.infer.post.shape import dilated, eroded
from dicomnode.infer.post.tidy import tidy

Labels = npt.NDArray[np.uint8]
SPACINGS = st.tuples(*[st.sampled_from([0.7, 1.0, 2.5])] * 3)
CODE = Code(value="4147007", scheme="SCT", meaning="Mass")


def step(name: str, *segments: int, **options: Any) -> Step:
    return Step(name=name, options={"segments": segments, **options})


def segment(number: int, label: str) -> Segment:
    return Segment(number=number, label=label, category=CODE, type=CODE)


def decided(probabilities: npt.NDArray[np.float32], how: Step) -> Labels:
    labels = np.zeros(probabilities.shape[1:], dtype=np.uint8)
    decide(probabilities.copy(), how, labels)
    return labels


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_the_most_probable_channel_wins(seed: int, channels: int) -> None:
    probabilities = np.random.default_rng(seed).integers(0, 4, (channels, 2, 3, 4)).astype(np.float32)
    assert np.array_equal(decided(probabilities, ARGMAX), probabilities.argmax(axis=0))


@given(st.integers(0, 2**32 - 1))
def test_of_labels_above_their_thresholds_the_highest_ratio_wins(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.random((4, 2, 3, 4), dtype=np.float32)
    limits = np.array([0.2, 0.5, 0.9], dtype=np.float32)
    ratio = probabilities[1:] / limits[:, None, None, None]
    expected = np.where(ratio.max(axis=0) > 1, ratio.argmax(axis=0) + 1, 0)
    found = decided(probabilities, step("threshold", threshold=(0.2, 0.5, 0.9), resolve="highest"))
    assert np.array_equal(found, expected)


def test_nested_regions_are_resolved_by_the_last() -> None:
    probabilities = np.array([0.0, 0.9, 0.6, 0.4], dtype=np.float32).reshape(4, 1, 1, 1)
    how = step("threshold", threshold=(0.5, 0.5, 0.5), resolve="last")
    assert decided(probabilities, how).item() == 2
    assert decided(probabilities, step("threshold", 3, 1, threshold=(0.3, 0.5), resolve="last")).item() == 3


def test_without_a_background_a_label_wins_above_one_half() -> None:
    how = decision_of((step("keep_largest"),), 2, background=False)
    found = decided(np.array([[0, 0, 0], [0.4, 0.6, 0.6], [0.5, 0.2, 0.7]], dtype=np.float32).reshape(3, 1, 1, 3), how)
    assert found.ravel().tolist() == [0, 1, 2]
    assert decision_of((), 2, background=True) is ARGMAX
    assert decision_of((how,), 2, background=True) is how


def test_as_many_pieces_stay_as_are_asked_for() -> None:
    labels = np.zeros((1, 1, 12), dtype=np.uint8)
    labels[0, 0, [0, 2, 3, 5, 6, 7, 9, 10]] = 1
    tidy(labels, [step("keep_largest", 1, pieces=2)])
    assert labels.ravel().tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0]


def test_the_largest_piece_of_labels_together_holds_all_that_hangs_together() -> None:
    labels = np.zeros((1, 3, 9), dtype=np.uint8)
    labels[0, 0, :2], labels[0, 1, 2] = 1, 2
    labels[0, 0, 5:7], labels[0, 2, 5] = 2, 3
    tidy(labels, [step("keep_largest", 1, 2, pieces=1, together=True, touching="corners")])
    # The pieces of 1 and 2 touch at a corner and are one; label 3 is none of the step's.
    assert np.argwhere(labels).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [0, 2, 5]]
    assert labels[0, [0, 1, 2], [0, 2, 5]].tolist() == [1, 2, 3]


def test_small_pieces_go_by_their_volume_in_millilitres() -> None:
    labels = np.zeros((4, 10, 10), dtype=np.uint8)
    labels[0, :2, :5] = 1
    labels[2:, :3, :3] = 1
    both, one = labels.copy(), labels.copy()
    # 10 and 18 voxels of 0.1 ml.
    tidy(both, [step("minimum_volume", volume_ml=0.99)], (4.0, 5.0, 5.0))
    assert np.array_equal(both, labels)
    tidy(one, [step("minimum_volume", volume_ml=1.01)], (4.0, 5.0, 5.0))
    assert one.sum() == 18


def test_a_tube_is_filled_slice_by_slice_only() -> None:
    labels = np.zeros((3, 5, 5), dtype=np.uint8)
    labels[:, 1:4, 1:4] = 1
    labels[:, 2, 2] = 0
    whole = labels.copy()
    tidy(whole, [step("fill_holes", 1, slicewise=False)])
    assert np.array_equal(whole, labels)
    tidy(labels, [step("fill_holes", 1, slicewise=True)])
    assert (labels[:, 2, 2] == 1).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SPACINGS, st.sampled_from([0.8, 1.5, 2.6, 5.1]), st.sampled_from([0.02, 0.5, 0.97]))
def test_growing_and_shrinking_by_a_ball_is_a_distance_in_millimetres(
    seed: int, spacing: tuple[float, float, float], radius_mm: float, density: float
) -> None:
    mask = np.random.default_rng(seed).random((5, 7, 8)) < density
    near = ndimage.distance_transform_edt(~mask, sampling=spacing) <= radius_mm if mask.any() else mask
    assert np.array_equal(dilated(mask, radius_mm, spacing), near)
    deep = ndimage.distance_transform_edt(mask, sampling=spacing) > radius_mm if not mask.all() else mask
    assert np.array_equal(eroded(mask, radius_mm, spacing), deep)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), SPACINGS, st.sampled_from([0.8, 1.5, 2.6]))
def test_closing_and_opening_agree_with_scipy(seed: int, spacing: tuple[float, float, float], radius_mm: float) -> None:
    mask = ndimage.uniform_filter(np.random.default_rng(seed).random((7, 9, 10)), 2) > 0.5
    reach = [int(radius_mm / one) for one in spacing]
    offsets = np.meshgrid(*[np.arange(-one, one + 1) * step for one, step in zip(reach, spacing, strict=True)])
    ball = np.moveaxis(sum(axis**2 for axis in offsets) <= radius_mm**2 * (1 + 1e-9), 1, 0)
    padded = np.pad(mask, 8)
    inner = (slice(8, -8),) * 3
    for name, way in (("closing", ndimage.binary_closing), ("opening", ndimage.binary_opening)):
        labels = mask.astype(np.uint8)
        tidy(labels, [step(name, 1, radius_mm=radius_mm)], spacing)
        assert np.array_equal(labels > 0, way(padded, ball)[inner]), name


def test_closing_takes_background_only() -> None:
    labels = np.ones((5, 5, 1), dtype=np.uint8) * np.array([1, 0, 2, 1, 0, 1], dtype=np.uint8)
    tidy(labels, [step("closing", 1, radius_mm=1.0)])
    assert labels[2, 2].tolist() == [1, 1, 2, 1, 1, 1]


def test_merged_segments_bear_one_number() -> None:
    labels = np.array([0, 1, 2, 3, 4], dtype=np.uint8).reshape(1, 1, 5)
    tidy(labels, [step("merge", 1, 3, into=4)])
    assert labels.ravel().tolist() == [0, 4, 2, 4, 4]


@pytest.fixture
def organ() -> Labels:
    """A shell of segment 1 round background with a lesion (2) in it, one that crosses the shell, and one far away."""
    labels = np.zeros((9, 9, 20), dtype=np.uint8)
    labels[1:8, 1:8, 1:8] = 1
    labels[2:7, 2:7, 2:7] = 0
    labels[4, 4, 4] = 2
    labels[2, 2, 6:11] = 2
    labels[4, 4, 14:16] = 2
    return labels


def test_what_lies_outside_another_segment_goes(organ: Labels) -> None:
    tidy(organ, [step("mask_by", 2, by=1, keep="inside", margin_mm=0.0, whole=False)])
    # The crossing lesion broke the shell, so the shell encloses nothing.
    assert np.argwhere(organ == 2).tolist() == []


def test_what_another_segment_encloses_counts_as_inside(organ: Labels) -> None:
    organ[2, 2, 6:8] = [0, 1]
    tidy(organ, [step("mask_by", 2, by=1, keep="inside", margin_mm=0.0, whole=False)])
    assert np.argwhere(organ == 2).tolist() == [[4, 4, 4]]
    assert (organ == 1).any()


def test_a_margin_in_millimetres_belongs_to_the_inside_and_pieces_may_stay_whole(organ: Labels) -> None:
    cut, whole = organ.copy(), organ.copy()
    tidy(cut, [step("mask_by", 2, by=1, keep="inside", margin_mm=4.5, whole=False)], (2.0, 2.0, 2.0))
    assert (cut[2, 2, 6:11] == 2).tolist() == [True, True, True, True, False]
    assert (cut[4, 4, 14:16] == 0).all()
    tidy(whole, [step("mask_by", 2, by=1, keep="inside", margin_mm=4.5, whole=True)], (2.0, 2.0, 2.0))
    assert (whole[2, 2, 6:11] == 2).all()
    assert (whole[4, 4, 14:16] == 0).all()


def test_what_lies_inside_another_segment_may_go_instead(organ: Labels) -> None:
    organ[2, 2, 6:8] = [0, 1]
    tidy(organ, [step("mask_by", 2, by=1, keep="outside", margin_mm=0.0, whole=False)])
    assert organ[4, 4, 4] == 0
    assert (organ[4, 4, 14:16] == 2).all()


def test_lesions_are_numbered_by_size_and_the_rest_is_listed() -> None:
    labels = np.zeros((1, 3, 20), dtype=np.uint8)
    labels[0, 0, 0:2] = labels[0, 0, 4:9] = labels[0, 0, 12:15] = labels[0, 2, 0] = labels[0, 2, 3] = 1
    known = (segment(1, "GTV-1"), segment(2, "GTV-2"), segment(3, "GTV-3"))
    told = tidy(labels, [step("lesions", 1, into=(2, 3))], (5.0, 10.0, 10.0), known)
    assert labels[0, 0, :15].tolist() == [3, 3, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 2, 2, 2]
    assert (labels[0, 2] == 0).all()
    assert told == (
        "GTV-1: 2 further pieces were left out (centre in voxels as slice, row, column): "
        "0.5 ml at (0.0, 2.0, 0.0), 0.5 ml at (0.0, 2.0, 3.0)",
    )
    assert tidy(labels, [step("lesions", 1, into=(2, 3))], (5.0, 10.0, 10.0), known) == ()


def test_many_lesions_are_listed_in_short() -> None:
    labels = np.zeros((1, 1, 61), dtype=np.uint8)
    labels[0, 0, ::2] = 1
    (told,) = tidy(labels, [step("lesions", 1, into=())], (10.0, 10.0, 10.0), (segment(1, "Tumour"),))
    assert told.startswith("Tumour: 30 further pieces were left out (centre in voxels")
    assert told.count(" 1 ml at ") == 10
    assert told.endswith("1 ml at (0.0, 0.0, 20.0) and 20 no larger")
    assert labels.sum() == 1


def test_lesions_that_are_left_out_are_told_with_volume_and_place_in_the_patient() -> None:
    labels = np.zeros((9, 9, 9), dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[6:8, 5, 5:7] = 1
    affine = np.array([[0, 0, 2, -100], [0, 3, 0, 50], [5, 0, 0, 700], [0, 0, 0, 1]], dtype=float)
    (told,) = tidy(labels, [step("lesions", 1, into=())], (5.0, 3.0, 2.0), (segment(1, "Tumour"),), affine)
    # Voxels of 30 mm³; the centre (6.5, 5, 5.5) by the affine.
    assert told == ("Tumour: 1 further piece was left out (centre in mm LPS): 0.12 ml at (-89.0, 65.0, 732.5)")


def test_a_segment_whose_organ_was_not_found_is_kept_and_that_is_told() -> None:
    labels = np.zeros((1, 3, 9), dtype=np.uint8)
    labels[0, 1, 2:5] = 2
    known = (segment(1, "Organ"), segment(2, "Tumour"))
    inside = step("mask_by", 2, by=1, keep="inside", margin_mm=0.0, whole=False)
    assert tidy(labels, [inside], (10.0, 10.0, 10.0), known) == (
        "Tumour: 3 ml were kept wherever they lie, because Organ, within which they are sought, was not found",
    )
    assert (labels == 2).sum() == 3
    outside = step("mask_by", 2, by=1, keep="outside", margin_mm=0.0, whole=False)
    assert tidy(labels, [outside], (10.0, 10.0, 10.0), known) == ()
    assert (labels == 2).sum() == 3
    labels[0, 1, 2] = 1
    assert tidy(labels, [inside], (10.0, 10.0, 10.0), known) == ()
    assert (labels == 2).sum() == 0
