"""Rules as an administrator writes them, held against series, with reasons in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.condition import ASSOCIATION_KEYS, parse_conditions
from dicomnode.domain.errors import ConfigError
from dicomnode.domain.header import Header
from dicomnode.domain.rule import Reason, Rule
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.route.match import evaluate, match
from dicomnode.route.select import by_frame_of_reference, choose


def header(**attributes: Any) -> Header:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return Header.of(ds.to_json_dict())


def holds(condition: dict[str, Any], **attributes: Any) -> Reason:
    (parsed,) = parse_conditions(condition, "rule[0].series")
    return evaluate(parsed, [header(**attributes)])


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"Modality": "CT"}, {"Modality": "CT"}, True),
        ({"Modality": "CT"}, {"Modality": "MR"}, False),
        ({"StationAETitle": "ct1"}, {"StationAETitle": "CT1"}, False),  # codes are compared with regard to case
        ({"Modality": {"matches": "(?i)ct"}}, {"Modality": "CT"}, True),
        ({"SeriesDescription": "Chest"}, {"SeriesDescription": "CHEST"}, True),  # free text without
        ({"SeriesDescription": {"contains": "lung"}}, {"SeriesDescription": "Thin LUNG 1.0"}, True),
        ({"ImageType": {"contains": "ORIGINAL"}}, {"ImageType": ["ORIGINAL", "PRIMARY"]}, True),
        ({"ImageType": {"contains": "ORIG"}}, {"ImageType": ["ORIGINAL", "PRIMARY"]}, False),  # a value, not a part
        ({"ImageType": "ORIGINAL\\PRIMARY"}, {"ImageType": ["ORIGINAL", "PRIMARY"]}, True),
        ({"ImageType": {"not_contains": "LOCALIZER"}}, {"ImageType": ["ORIGINAL", "PRIMARY"]}, True),
        ({"ImageType": {"not_contains": "LOCALIZER"}}, {}, True),
        ({"BodyPartExamined": {"any_of": ["CHEST", "LUNG"]}}, {"BodyPartExamined": "LUNG"}, True),
        ({"BodyPartExamined": {"any_of": ["CHEST", "LUNG"]}}, {}, False),
        ({"BodyPartExamined": {"any_of": ["CHEST"], "or_missing": True}}, {}, True),
        ({"SliceThickness": {"at_most": 3.0}}, {"SliceThickness": 2.5}, True),
        ({"SliceThickness": {"at_most": 3.0}}, {"SliceThickness": 10}, False),  # a number, not text
        ({"SliceThickness": {"at_least": 1, "at_most": 3}}, {"SliceThickness": 0.5}, False),
        ({"Rows": 512}, {"Rows": 512}, True),
        ({"PatientAge": {"at_least": "018Y"}}, {"PatientAge": "045Y"}, True),
        ({"PatientAge": {"at_least": "018Y"}}, {"PatientAge": "100D"}, False),  # 100 days, not a hundred years
        ({"PatientAge": {"at_least": "018Y"}}, {"PatientAge": ""}, False),
        ({"StudyDate": {"at_least": "20260101"}}, {"StudyDate": "20251231"}, False),
        ({"ConvolutionKernel": {"matches": "^B[67]"}}, {"ConvolutionKernel": "B70f"}, True),
        ({"ContrastBolusAgent": {"present": True}}, {"ContrastBolusAgent": "APPLIED"}, True),
        ({"ContrastBolusAgent": {"missing": True}}, {"ContrastBolusAgent": ""}, True),
        ({"Modality": {"not": {"any_of": ["SR", "SEG"]}}}, {"Modality": "CT"}, True),
        ({"Modality": {"not": "CT"}}, {"Modality": "CT"}, False),
        ({"Modality": {"not": "CT"}}, {}, True),
        ({"Modality": {"not": {"present": True}}}, {}, True),
        ({"Modality": {"not": {"present": True}}}, {"Modality": "CT"}, False),
    ],
)
def test_operators(condition: dict[str, Any], attributes: dict[str, Any], expected: bool) -> None:
    # A table with two operators makes two conditions; all have to hold.
    parsed = parse_conditions(condition, "rule[0].series")
    assert all(evaluate(one, [header(**attributes)]).met for one in parsed) is expected


def test_a_path_leads_through_sequences_and_any_item_may_match() -> None:
    items = []
    for value in ("CTHEAD", "CTCHEST"):
        item = Dataset()
        item.CodeValue = value
        items.append(item)
    condition = {"RequestedProcedureCodeSequence.CodeValue": "CTCHEST"}
    assert holds(condition, RequestedProcedureCodeSequence=items).met
    assert not holds(condition).met


def test_a_reason_says_what_was_found() -> None:
    reason = holds({"SliceThickness": {"at_most": 3.0}}, SliceThickness=5)
    assert not reason.met and reason.text == "SliceThickness at most 3.0: found 5.0"
    assert holds({"Modality": "CT"}).text == "Modality equals CT: found nothing"


def _series(uid: str, count: int = 2, **attributes: Any) -> Series:
    instances = tuple(
        Instance(
            sop_instance_uid=f"{uid}.{number}", sop_class_uid="", transfer_syntax_uid="", digest="", path=Path(),
            header=header(**attributes),
        )
        for number in range(count)
    )  # fmt: skip
    return Series(series_instance_uid=uid, instances=instances)


def _study(*series: Series) -> Study:
    return Study(
        study_instance_uid="1", revision=1, calling_aet="CT1", called_aet="LUNGS", address="10.0.0.1", peer="Scanner",
        series=series,
    )  # fmt: skip


def _rule(**tables: dict[str, Any]) -> Rule:
    return Rule(
        name="r", model="m", outputs=(), destinations=(),
        study=parse_conditions(tables.get("study", {}), "s", extra=ASSOCIATION_KEYS),
        series=parse_conditions(tables.get("series", {}), "s"),
    )  # fmt: skip


def test_a_clause_holds_for_a_series_only_if_it_holds_for_every_instance() -> None:
    mixed = Series(
        series_instance_uid="1",
        instances=_series("1", 1, Modality="CT").instances + _series("2", 1, Modality="SR").instances,
    )
    result = match(_rule(series={"Modality": "CT"}), _study(mixed), mixed)
    assert not result.matched and "in some of its instances" in result.failed[0].text


def test_rules_may_look_at_who_called_whom() -> None:
    series = _series("1", Modality="CT")
    called = match(_rule(study={"called_aet": "LUNGS", "peer": "Scanner"}), _study(series), series)
    other = match(_rule(study={"calling_aet": {"any_of": ["CT2", "CT3"]}}), _study(series), series)
    assert called.matched and not other.matched
    assert other.failed[0].text == "calling_aet any of CT2, CT3: found CT1"


AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


def test_the_thinnest_original_axial_series_is_chosen_and_the_reason_is_named() -> None:
    wanted = _series("4", ImageType=["ORIGINAL"], ImageOrientationPatient=AXIAL, SliceThickness=1)
    others = [
        _series("1", ImageType=["DERIVED"], ImageOrientationPatient=AXIAL, SliceThickness=0.5),
        _series("2", ImageType=["ORIGINAL"], ImageOrientationPatient=CORONAL, SliceThickness=0.5),
        _series("3", ImageType=["ORIGINAL"], ImageOrientationPatient=AXIAL, SliceThickness=5),
    ]
    best, why = choose([*others, wanted])
    assert best is wanted and "thinner" in why


def test_a_tie_is_broken_by_images_then_number_then_uid_so_the_order_of_arrival_never_matters() -> None:
    series = [_series("2", 3, SeriesNumber=4), _series("1", 3, SeriesNumber=4), _series("3", 2, SeriesNumber=1)]
    assert choose(series)[0].series_instance_uid == choose(series[::-1])[0].series_instance_uid == "1"


def test_series_of_different_frames_of_reference_are_not_mixed() -> None:
    groups = by_frame_of_reference(
        [_series("1", FrameOfReferenceUID="9.1"), _series("2", FrameOfReferenceUID="9.2"), _series("3")]
    )
    assert [(uid, [one.series_instance_uid for one in series]) for uid, series in groups] == [
        ("3", ["3"]), ("9.1", ["1"]), ("9.2", ["2"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"Modaltiy": "CT"}, "did you mean Modality"),
        ({"ImageType": {"contians": "X"}}, "did you mean contains"),
        ({"SliceThickness": {"at_most": "3"}}, "number"),
        ({"PatientAge": {"at_least": "18"}}, "018Y"),
        ({"SeriesDescription": {"at_least": "A"}}, "no order"),
        ({"SeriesDescription": {"matches": "("}}, "not a regular expression"),
        ({"Modality": {"any_of": "CT"}}, "list"),
        ({"Modality": {"present": False}}, "present = true"),
        ({"Modality.CodeValue": "x"}, "not a sequence"),
        ({"Modality": {"or_missing": True}}, "name an operator"),
        ({"peer": "PACS"}, "no such DICOM keyword"),
        ({"Modality": "ct"}, 'upper case alone .*; write "CT"'),
        ({"Modality": {"any_of": ["CT", "pt"]}}, 'write "PT"'),
        ({"ImageType": {"contains": "Original"}}, "upper case"),
        ({"Modality": {"not": "sr"}}, "upper case"),
        ({"RequestAttributesSequence.Modality": {"not_contains": "ct"}}, "upper case"),
        ({"Modality": {"any_of": [["CT"]]}}, "text or a number"),
    ],
)
def test_a_mistake_in_a_rule_is_found_at_start_with_a_remedy(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_conditions(table, "rule[0].series")


def test_every_mistake_of_a_table_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_conditions({"Modaltiy": "CT", "Rowss": 1}, "x")
    assert len(caught.value.faults) == 2
