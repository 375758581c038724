"""Lesions from their measurements, and which of them RECIST 1.1 takes as targets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Segmentation
from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.model import Subject
from dicomnode.domain.response import Lesion
from dicomnode.measure import codes, lesions, size, targets

from .conftest import segmentation_of, volume_of

LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
LIVER = Code(value="10200004", scheme="SCT", meaning="Liver")
SPEC = MeasureSpec()


def lesion(longest_mm: float | None, organ: Code | None = LUNG) -> Lesion:
    return Lesion(tracking_uid="1.2", label="lesion", organ=organ, longest_mm=longest_mm, short_mm=longest_mm)


def node(short_mm: float, organ: Code | None = None) -> Lesion:
    return Lesion(
        tracking_uid="1.2", label="node", organ=organ, longest_mm=2 * short_mm, short_mm=short_mm, lymph_node=True
    )


def chosen(found: tuple[Lesion, ...]) -> list[bool]:
    return [one.target for one in found]


def test_the_largest_two_of_an_organ_are_targets_in_the_order_given() -> None:
    found = targets.select([lesion(12), lesion(30), lesion(20)], SPEC)
    assert chosen(found) == [False, True, True]
    assert [one.longest_mm for one in found] == [12, 30, 20]


def test_five_in_all_are_taken_by_falling_size() -> None:
    organs = [Code(value=str(number), scheme="SCT", meaning=f"Organ {number}") for number in range(4)]
    many = [lesion(10.0 + number, organs[number % 4]) for number in range(8)]
    found = targets.select(many, SPEC)
    assert chosen(found) == [False] * 3 + [True] * 5


@pytest.mark.parametrize(
    ("longest_mm", "slice_mm", "large_enough"),
    [(9.99, 0, False), (10.0, 0, True), (10.0, 5.0, True), (10.0, 6.0, False), (12.0, 6.0, True), (None, 1.0, False)],
)
def test_a_lesion_is_measurable_from_ten_millimetres_or_two_thick_slices_on(
    longest_mm: float | None, slice_mm: float, large_enough: bool
) -> None:
    assert targets.measurable(lesion(longest_mm), slice_mm) is large_enough
    assert chosen(targets.select([lesion(longest_mm)], SPEC, slice_mm)) == [large_enough]


def test_nodes_count_by_short_axis_and_below_fifteen_millimetres_are_no_targets() -> None:
    found = targets.select([node(14.9), node(15.0), lesion(11, LIVER)], SPEC)
    assert chosen(found) == [False, True, True]


def test_all_lymph_nodes_are_one_organ() -> None:
    found = targets.select([node(16, LUNG), node(17, LIVER), node(18)], SPEC)
    assert chosen(found) == [False, True, True]


def test_a_bundle_may_ask_for_other_numbers() -> None:
    found = targets.select([lesion(12), lesion(30), lesion(20)], MeasureSpec(targets=(3, 3)))
    assert chosen(found) == [True, True, True]
    assert chosen(targets.select(found, MeasureSpec(targets=(1, 5)))) == [False, True, False]


def test_rano_asks_for_two_diameters_of_ten_millimetres_or_two_thick_slices_and_ranks_by_product() -> None:
    long, round_, wide = (
        dataclasses.replace(lesion(mm), short_mm=short) for mm, short in ((40, 9.9), (20, 19), (30, 10))
    )
    spec = MeasureSpec(criteria=("rano",), targets=(1, 5))
    assert chosen(targets.select([long, round_, wide], spec)) == [False, True, False]
    assert chosen(targets.select([long, wide], spec, 5.5)) == [False, False]
    assert chosen(targets.select([long, round_], dataclasses.replace(spec, criteria=("who",)))) == [True, False]
    assert chosen(targets.select([long, round_], dataclasses.replace(spec, criteria=("recist", "rano")))) == [
        True,
        False,
    ]


def test_one_organ_is_one_whatever_its_meaning_is_worded_like() -> None:
    other = Code(value="39607008", scheme="SCT", meaning="Lung structure")
    found = targets.select([lesion(20), lesion(21), lesion(22, other), lesion(23, other)], SPEC)
    assert chosen(found) == [False, False, True, True]


def test_lesions_come_from_what_was_measured_of_them() -> None:
    labels = np.zeros((10, 30, 30), dtype=np.uint8)
    labels[2:7, 5:20, 5:15] = 1
    labels[2:3, 25:26, 25:26] = 2
    labels[7:9, 2:4, 20:28] = 3
    organ, speck, nodule = segmentation_of(labels, described=3).segments
    segmentation = Segmentation(
        volume=volume_of(labels),
        segments=(
            organ,
            dataclasses.replace(speck, subject=Subject.LYMPH_NODE),
            dataclasses.replace(nodule, subject=Subject.LESION, anatomic_region=LUNG),
        ),
    )
    measured = size.measure(segmentation.volume, segmentation)
    small, large = lesions.of(segmentation, measured.measurements, lambda number: f"1.2.{number}")
    assert (small.segment_number, small.lymph_node, small.longest_mm, small.size_mm) == (2, True, None, None)
    assert (large.segment_number, large.tracking_uid, large.label, large.organ) == (3, "1.2.3", "S3", LUNG)
    rows = {row.name: row for row in measured.measurements if row.segment_number == 3}
    assert large.longest_mm == rows[codes.LONG_AXIS].value
    assert large.short_mm == rows[codes.SHORT_AXIS].value
    assert large.product_mm2 == pytest.approx(rows[codes.PRODUCT].value)
    assert large.volume_ml == pytest.approx(2 * 2 * 8 * 2.5 * 0.8 * 0.7 / 1000)
    assert large.centroid_mm == pytest.approx((-90 + 23.5 * 0.7, -120 + 2.5 * 0.8, 35 + 7.5 * 2.5))
    assert not large.target
