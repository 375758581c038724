"""The series that feed the inputs of a model are chosen together, within one frame of reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.domain.condition import parse_conditions
from dicomnode.domain.header import Header
from dicomnode.domain.model import CheckSpec, InputSpec, ModelSpec, Severity, unavailable
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.route.inputs import feeds, unknown_inputs
from dicomnode.route.select import ORDER, choose, technical_faults


def series(uid: str, count: int = 3, *, stack: str = "", frame: str = "9", **attributes: Any) -> Series:
    ds = Dataset()
    for keyword, value in {"FrameOfReferenceUID": frame, **attributes}.items():
        setattr(ds, keyword, value)
    instances = tuple(
        Instance(
            sop_instance_uid=f"{uid}.{number}", sop_class_uid="", transfer_syntax_uid="", digest="", path=Path(),
            header=Header.of(ds.to_json_dict()),
        )
        for number in range(count)
    )  # fmt: skip
    return Series(series_instance_uid=uid, instances=instances, stack=stack)


def study(*found: Series) -> Study:
    return Study(study_instance_uid="1", revision=1, calling_aet="A", called_aet="B", address="", peer="", series=found)


def model(inputs: dict[str, dict[str, Any]], *valid: CheckSpec) -> ModelSpec:
    parsed = tuple(InputSpec(name=name, conditions=parse_conditions(table, "i")) for name, table in inputs.items())
    return replace(unavailable("m"), inputs=parsed, valid=valid)


def rule(series: dict[str, Any] | None = None, **inputs: dict[str, Any]) -> Rule:
    return Rule(
        name="r", model="m", outputs=(), destinations=(), series=parse_conditions(series or {}, "s"),
        inputs={name: parse_conditions(table, "s") for name, table in inputs.items()},
    )  # fmt: skip


PET_CT = model({"ct": {"Modality": "CT"}, "pet": {"Modality": "PT"}})
CT, PET = series("1", Modality="CT"), series("2", Modality="PT")


def chosen(found: dict[str, Series] | Any) -> dict[str, str]:
    return {name: one.series_instance_uid for name, one in found.items()}


def test_each_input_takes_the_series_that_meets_its_conditions_whatever_came_first() -> None:
    for order in ((CT, PET), (PET, CT)):
        (feed,) = feeds(rule(), study(*order), PET_CT)
        assert chosen(feed.series) == {"ct": "1", "pet": "2"} and not feed.lacking
        assert list(feed.series) == ["ct", "pet"]


def test_the_rule_narrows_one_input_and_leaves_the_other() -> None:
    thick = series("3", Modality="CT", SliceThickness=5, SeriesNumber=1)
    thin = series("4", Modality="CT", SliceThickness=1, SeriesNumber=2)
    (free,) = feeds(rule(), study(thick, thin, PET), PET_CT)
    (narrowed,) = feeds(rule(ct={"SliceThickness": {"at_least": 3}}), study(thick, thin, PET), PET_CT)
    assert chosen(free.series) == {"ct": "4", "pet": "2"} and "thinner" in free.why["ct"]
    assert chosen(narrowed.series) == {"ct": "3", "pet": "2"}


def test_a_missing_companion_is_named_with_what_was_needed() -> None:
    (feed,) = feeds(rule(pet={"CorrectedImage": {"contains": "ATTN"}}), study(CT), PET_CT)
    assert feed.lacking == (
        "no series for input pet (needed Modality equals PT, CorrectedImage contains ATTN) in this frame of reference"
    )
    assert chosen(feed.series) == {"ct": "1"}


def test_a_companion_in_another_frame_of_reference_does_not_count_and_is_mentioned() -> None:
    first, second = feeds(rule(), study(CT, series("2", Modality="PT", frame="8")), PET_CT)
    assert first.lacking.endswith("in this frame of reference; another frame of reference has one")
    assert chosen(first.series) == {"ct": "1"} and chosen(second.series) == {"pet": "2"}


def test_a_companion_that_is_unfit_is_told_by_its_fault() -> None:
    spec = model(
        {"ct": {"Modality": "CT"}, "pet": {"Modality": "PT"}},
        CheckSpec(rule="minimum_slices", limit=3),
        CheckSpec(rule="minimum_slices", limit=5, input="pet"),
    )
    (feed,) = feeds(rule(), study(CT, PET), spec)
    assert feed.lacking == "no series for input pet: 3 images, needed 5 or more"


def test_a_limit_that_only_warns_keeps_no_series_out() -> None:
    spec = model({"ct": {}}, CheckSpec(rule="minimum_slices", limit=9, severity=Severity.WARN))
    assert technical_faults(CT, spec, spec.input) == []


def test_every_frame_of_reference_that_has_all_inputs_is_fed_and_comes_first() -> None:
    others = (
        series("5", Modality="CT", frame="5"),
        series("0", Modality="CT", frame="0"),
        series("6", Modality="PT", frame="5"),
    )
    found = feeds(rule(), study(CT, PET, *others), PET_CT)
    assert [(feed.frame, bool(feed.lacking)) for feed in found] == [("9", False), ("5", False), ("0", True)]


def test_no_series_feeds_two_inputs_and_an_earlier_input_gives_way_where_a_later_one_has_no_other() -> None:
    contrasts = model({"any": {"Modality": "MR"}, "t2": {"Modality": "MR", "EchoTime": {"at_least": 80}}})
    t1 = series("7", Modality="MR", EchoTime=10, SeriesNumber=2)
    t2 = series("8", Modality="MR", EchoTime=90, SeriesNumber=1)
    (feed,) = feeds(rule(), study(t1, t2), contrasts)
    assert chosen(feed.series) == {"any": "7", "t2": "8"}
    assert feed.why["any"] == "the best that feeds no other input"
    (short,) = feeds(rule(), study(t2), contrasts)
    assert short.lacking == "no series for input t2: series 8 feeds another input, and none feeds two"


def test_stacks_of_one_series_may_feed_two_inputs() -> None:
    echoes = model({"first": {"EchoTime": 10}, "second": {"EchoTime": 30}})
    stacks = [series("1", stack=f"echo {n}", EchoTime=te) for n, te in ((2, 30), (1, 10))]
    (feed,) = feeds(rule(), study(*stacks), echoes)
    assert {name: one.stack for name, one in feed.series.items()} == {"first": "echo 1", "second": "echo 2"}


def test_conditions_on_every_series_concern_all_inputs() -> None:
    derived = series("3", Modality="PT", ImageType=["DERIVED"])
    original = [series(uid, Modality=kind, ImageType=["ORIGINAL"]) for uid, kind in (("1", "CT"), ("2", "PT"))]
    (feed,) = feeds(rule({"ImageType": {"contains": "ORIGINAL"}}), study(derived, *original), PET_CT)
    assert chosen(feed.series) == {"ct": "1", "pet": "2"}


def test_a_localizer_never_feeds_a_model() -> None:
    spec = model({"ct": {"Modality": "CT"}})
    scout = series("1", 1, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (feed,) = feeds(rule(), study(scout), spec)
    assert feed.lacking == "no series fits the input of m: a localizer, needed images to be read"
    assert feed.nearest is scout and not feed.series


def test_many_series_of_one_kind_are_assigned_at_once() -> None:
    names = {f"i{n}": {"Modality": "MR"} for n in range(6)}
    found = [series(str(n), Modality="MR", SeriesNumber=n) for n in range(40)]
    (feed,) = feeds(rule(), study(*found), model({**names, "pet": {"Modality": "PT"}}))
    assert chosen(feed.series) == {f"i{n}": str(n) for n in range(6)}
    assert feed.lacking.startswith("no series for input pet")


@pytest.mark.parametrize(("names", "words"), [(("pet",), ""), (("pt",), "rule r names input pt; model m has ct, pet")])
def test_an_input_that_the_model_lacks_is_told(names: tuple[str, ...], words: str) -> None:
    assert unknown_inputs(rule(**{name: {"Modality": "PT"} for name in names}), PET_CT) == words


def test_a_series_without_frame_of_reference_is_not_said_to_have_another() -> None:
    (feed, _) = feeds(rule(), study(series("1", Modality="CT", frame=""), series("2", Modality="PT", frame="")), PET_CT)
    assert feed.lacking.endswith("in this frame of reference; series 2 names none, so that nothing says where it lies")


NOT_CORRECTED = series("2", Modality="PT", SeriesNumber=4, CorrectedImage=["DECY", "RAN"])
CORRECTED = series("3", Modality="PT", SeriesNumber=5, CorrectedImage=["DECY", "ATTN"])


def test_pet_that_is_corrected_for_attenuation_is_preferred_to_pet_that_is_not() -> None:
    (feed,) = feeds(rule(), study(CT, NOT_CORRECTED, CORRECTED), PET_CT)
    assert chosen(feed.series) == {"ct": "1", "pet": "3"}
    assert choose([NOT_CORRECTED, CORRECTED]) == (CORRECTED, f"chosen among 2 series: {ORDER[0]}")


@pytest.mark.parametrize("stated", [{"CorrectedImage": ["DECY"]}, {"AttenuationCorrected": "NO"}])
def test_pet_that_is_not_corrected_for_attenuation_is_unfit_unless_the_bundle_speaks_of_corrections(
    stated: dict[str, Any],
) -> None:
    pet = series("2", Modality="PT", **stated)
    (feed,) = feeds(rule(), study(CT, pet), PET_CT)
    assert feed.lacking == "no series for input pet: not corrected for attenuation, needed a corrected PET"
    asked = model({"pet": {"Modality": "PT", next(iter(stated)): {"present": True}}})
    assert technical_faults(pet, asked, asked.input) == []
    assert technical_faults(series("2", Modality="PT"), PET_CT, PET_CT.inputs[1]) == []
