"""A person who names target lesions has chosen them."""

from __future__ import annotations

import dataclasses

import pytest
from pydicom import Dataset, Sequence

from dicomnode.domain.measuring import MeasureSpec
from dicomnode.domain.model import Subject
from dicomnode.domain.response import names_target
from dicomnode.infer.contours.naming import by_codes, by_name
from dicomnode.measure import targets
from dicomnode.measure.change.assess import first
from dicomnode.measure.change.baseline import baseline
from tests.unit.measure.change.lesions import lesion, point

SPEC = MeasureSpec(criteria=("recist",))


@pytest.mark.parametrize(
    "name",
    ["T01", "t02 liver", "T03_lung", " TL1", "TL 2", "tl-10 left", "Target lesion", "target_node 3", "TargetLN2"],
)
def test_names_that_mark_a_target_mark_it_whatever_follows(name: str) -> None:
    assert names_target(name)
    assert by_name(name).subject in (Subject.LESION, Subject.LYMPH_NODE)


@pytest.mark.parametrize(
    "name",
    ["T1", "T12", "T10", "T011", "VB_T01", "NT01", "TL", "Target", "Target 1", "Target volume", "non-target lesion"],
)
def test_names_that_mean_something_else_mark_nothing(name: str) -> None:
    assert not names_target(name)


def test_a_target_node_is_a_node_and_a_planning_target_stays_one() -> None:
    assert by_name("Target node 1").subject is Subject.LYMPH_NODE
    assert by_name("T01 liver").subject is Subject.LESION and by_name("T01", "ORGAN").subject is Subject.LESION
    assert by_name("T01", "PTV").subject is Subject.STRUCTURE


@pytest.mark.parametrize(
    "name", ["TL01 PTV", "T01 ring", "T02_bed", "T01 body", "T04_vertebra", "TL1 + 5 mm", "GTV+5mm"]
)
def test_what_was_made_of_a_lesion_for_a_plan_is_none(name: str) -> None:
    assert by_name(name).subject is Subject.STRUCTURE
    assert by_name("GTV_exp", "GTV").subject is Subject.STRUCTURE
    assert by_name("TL1 vertebral body").subject is Subject.LESION


def test_a_segment_that_an_editor_left_as_tissue_is_a_lesion_by_its_name() -> None:
    tissue, item = Dataset(), Dataset()
    tissue.CodeValue, tissue.CodingSchemeDesignator, tissue.CodeMeaning = "85756007", "SCT", "Tissue"
    item.SegmentedPropertyCategoryCodeSequence = item.SegmentedPropertyTypeCodeSequence = Sequence([tissue])
    for label, subject in (("Segment 1", Subject.STRUCTURE), ("T01", Subject.LESION)):
        item.SegmentLabel = label
        assert by_codes(item).subject is subject


def test_named_targets_are_the_targets_and_no_others() -> None:
    drawn = [lesion("a", 8, target=False, label="T01"), lesion("b", 50, target=True, label="Cyst")]
    assert [one.target for one in targets.named(drawn)] == [True, False]


def test_a_first_study_keeps_what_a_person_chose_and_selects_where_nobody_did() -> None:
    listed = targets.named([lesion("a", 12, label="T01"), lesion("b", 50, label="Cyst")])
    chosen = point("2026-01-01", listed, by_person=True, chosen=True)
    kept, (recist,) = first(chosen, SPEC)
    assert recist.targets == ("a",) and recist.now == 12 and [one.target for one in kept.lesions] == [True, False]
    by_size, _ = first(dataclasses.replace(chosen, chosen=False), SPEC)
    assert [one.target for one in by_size.lesions] == [True, True]


def test_a_choice_by_name_outranks_the_targets_of_a_corrected_contour_before_it() -> None:
    corrected = point("2026-01-01", [lesion("a"), lesion("b", target=False)], by_person=True)
    named = point("2026-02-01", [lesion("a", target=False), lesion("b")], chosen=True)
    found = baseline([corrected, named], SPEC)
    assert (found.place, found.targets, found.whose) == (1, ("b",), "chosen by a person")
    assert baseline([corrected], SPEC).targets == ("a",)
