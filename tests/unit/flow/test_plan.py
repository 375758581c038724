"""What the rules make of a study: stacks instead of series, several inputs, and one word where something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicomnode.config import parse
from dicomnode.domain.header import Header
from dicomnode.domain.study import Instance, Series, Study
from dicomnode.flow.plan import Planner
from dicomnode.flow.recipe import input_digest
from dicomnode.store.jobs import Plan
from tests.conftest import Hands
from tests.toy import TOML, write_bundle

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]

#: The toy with two inputs; planning looks at no network.
PET_CT = TOML.replace("[[prepare]]", '[input.pet]\nModality = "PT"\n[[prepare]]', 1)

MakePlans = Callable[..., tuple[list[Plan], str]]


def images(uid: str, count: int = 6, *, first: int = 0, frame: str = "9", **more: Any) -> tuple[Instance, ...]:
    """Headers of a stack of axial CT images, 2 mm apart."""
    made = []
    for number in range(first, first + count):
        ds = Dataset()
        ds.Modality, ds.ImageType, ds.FrameOfReferenceUID = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], frame
        ds.SeriesInstanceUID, ds.InstanceNumber, ds.Rows, ds.Columns = uid, number, 16, 16
        ds.PixelSpacing, ds.ImageOrientationPatient = [1, 1], AXIAL
        ds.ImagePositionPatient = [0, 0, 2 * (number - first)]
        for keyword, value in more.items():
            setattr(ds, keyword, value)
        made.append(
            Instance(
                sop_instance_uid=f"{uid}.{number}", sop_class_uid="", transfer_syntax_uid="", digest=f"d{number}",
                path=Path(), header=Header.of(ds.to_json_dict()),
            )
        )  # fmt: skip
    return tuple(made)


def series(*stacks: tuple[Instance, ...]) -> Series:
    instances = tuple(one for stack in stacks for one in stack)
    return Series(series_instance_uid=str(instances[0].header.first("SeriesInstanceUID")), instances=instances)


@pytest.fixture
def plans(tmp_path: Path, clock: Hands) -> MakePlans:
    def make(*found: Series, toml: str = TOML, rule: dict[str, Any] | None = None) -> tuple[list[Plan], str]:
        if not (tmp_path / "toy").exists():
            write_bundle(tmp_path, b"not asked for here", toml)
        rule = rule if rule is not None else {"series": {"Modality": "CT"}}
        settings = parse(
            {"models": {"folder": str(tmp_path)}, "rule": [{"name": "r", "model": "toy", **rule}]}
        )  # fmt: skip
        study = Study(
            study_instance_uid="1", revision=1, calling_aet="A", called_aet="B", address="", peer="", series=found
        )
        made, considered = Planner(settings).plan(study, clock())
        return made, "\n".join(text for _, text in considered)

    return make


def fed(plan: Plan) -> dict[str, list[str]]:
    return {name: [one.sop_instance_uid for one in instances] for name, instances in plan.inputs.items()}


def test_a_localizer_inside_a_series_does_not_spoil_it(plans: MakePlans) -> None:
    scout = images("1", 1, first=90, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=CORONAL)
    rule = {"series": {"Modality": "CT", "ImageType": {"contains": "AXIAL"}}}
    (plan,), story = plans(series(scout, images("1")), rule=rule)
    assert not plan.refusal and fed(plan) == {"ct": [f"1.{n}" for n in range(6)]}
    assert "series 1, localizer coronal (CT, 1 objects) does not match" in story
    assert "(CT, 6 objects) matches" in story


def test_of_two_echoes_in_one_series_the_bundles_condition_takes_one(plans: MakePlans) -> None:
    echoes = series(images("1", EchoTime=10), images("1", first=10, EchoTime=30))
    toml = TOML.replace('Modality = "CT"', "EchoTime = 30")
    (plan,), story = plans(echoes, toml=toml)
    assert not plan.refusal and fed(plan) == {"ct": [f"1.{n}" for n in range(10, 16)]}
    assert "series 1, echo 2 of 2 (TE 30 ms) feeds toy: the only series that matches" in story


def test_a_condition_holds_for_every_image_of_a_stack(plans: MakePlans) -> None:
    echoes = series(images("1", EchoTime=10), images("1", first=10, EchoTime=30))
    (plan,), story = plans(echoes, rule={"series": {"EchoTime": {"at_most": 15}}})
    assert fed(plan) == {"ct": [f"1.{n}" for n in range(6)]}
    assert "does not match: EchoTime at most 15: found 30" in story


BOTH = {"inputs": {"ct": {"Modality": "CT"}, "pet": {"Modality": "PT"}}}


def test_one_job_has_the_series_of_every_input_under_its_name(plans: MakePlans) -> None:
    pet, ct = series(images("2", Modality="PT")), series(images("1"))
    (plan,), story = plans(pet, ct, toml=PET_CT, rule=BOTH)
    assert not plan.refusal and plan.series_instance_uid == "1" and list(fed(plan)) == ["ct", "pet"]
    assert fed(plan)["pet"] == [f"2.{n}" for n in range(6)]
    assert "series 2 feeds input pet of toy" in story
    assert "series 1 (CT, 6 objects) does not match as input pet: Modality equals PT: found CT" in story


def test_a_missing_companion_is_one_refusal_that_names_it(plans: MakePlans) -> None:
    (plan,), story = plans(series(images("1")), toml=PET_CT, rule=BOTH)
    assert plan.refusal == "no series for input pet (needed Modality equals PT) in this frame of reference"
    assert fed(plan) == {"ct": [f"1.{n}" for n in range(6)]} and plan.refusal in story


def test_a_companion_alone_is_told_as_well(plans: MakePlans) -> None:
    (plan,), _ = plans(series(images("2", Modality="PT")), toml=PET_CT, rule=BOTH)
    assert "no series for input ct" in plan.refusal and list(plan.inputs) == ["pet"]


def test_there_is_one_job_for_each_frame_of_reference_that_is_complete_and_no_word_about_the_rest(
    plans: MakePlans,
) -> None:
    found = [
        series(images(uid, frame=frame, Modality=kind))
        for uid, frame, kind in (
            ("1", "8", "CT"),
            ("2", "8", "PT"),
            ("3", "9", "CT"),
            ("4", "9", "PT"),
            ("5", "7", "CT"),
        )
    ]
    made, _ = plans(*found, toml=PET_CT, rule=BOTH)
    assert [(plan.frame_of_reference_uid, plan.series_instance_uid, plan.refusal) for plan in made] == [
        ("8", "1", ""),
        ("9", "3", ""),
    ]


def test_a_study_that_has_nothing_for_the_rule_stays_silent(plans: MakePlans) -> None:
    made, story = plans(series(images("1", Modality="MR")), toml=PET_CT, rule=BOTH)
    assert made == [] and story.count("does not match") == 2


def test_an_input_that_the_model_lacks_is_refused_in_words(plans: MakePlans) -> None:
    (plan,), _ = plans(series(images("1")), rule={"inputs": {"ct": {"Modality": "CT"}, "mr": {"Modality": "CT"}}})
    assert plan.refusal == "rule r names input mr; model toy has ct"


def test_objects_without_pixels_are_no_stacks(plans: MakePlans) -> None:
    report = Dataset()
    report.Modality, report.SeriesInstanceUID = "SR", "3"
    one = Instance(
        sop_instance_uid="3.1", sop_class_uid="", transfer_syntax_uid="", digest="", path=Path(),
        header=Header.of(report.to_json_dict()),
    )  # fmt: skip
    made, story = plans(series((one,)), series(images("1")))
    assert len(made) == 1 and "series 3 (SR, 1 objects) does not match" in story


def test_the_digest_of_inputs_tells_which_input_an_object_feeds_and_not_when_it_came() -> None:
    first, second = images("1"), images("2", Modality="PT")
    assert input_digest({"ct": first, "pet": second}) == input_digest({"pet": second[::-1], "ct": first})
    assert input_digest({"ct": first, "pet": second}) != input_digest({"ct": second, "pet": first})
