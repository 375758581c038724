"""Rules about the patient: they judge without repeating what they read."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.infer.quality.patient import RULES
from tests.headers import code, item, multiframe, series


@pytest.mark.parametrize(
    ("attributes", "passed"),
    [
        ({"PatientAge": "018Y"}, True),
        ({"PatientAge": "017Y"}, False),
        ({"PatientAge": "080Y"}, True),
        ({"PatientAge": "081Y"}, False),
        ({"PatientAge": "45Y"}, True),
        ({"PatientAge": "011M"}, False),
        ({"PatientAge": "003D"}, False),
        ({"PatientAge": "000Y"}, None),
        ({"PatientAge": ""}, None),
        ({}, None),
        ({"PatientBirthDate": "20000310", "StudyDate": "20180309"}, False),
        ({"PatientBirthDate": "20000310", "StudyDate": "20180311"}, True),
        ({"PatientBirthDate": "20000310", "StudyDate": "19990101"}, None),
        ({"PatientBirthDate": "20000310"}, None),
        ({"PatientAge": "000Y", "PatientBirthDate": "19600310", "StudyDate": "20180311"}, True),
    ],
)
def test_an_age_is_judged_by_what_the_headers_have_of_it(attributes: dict[str, str], passed: bool | None) -> None:
    assert RULES["patient_age_years"](series(**attributes), (18, 80)).passed is passed


def test_age_and_sex_are_not_repeated() -> None:
    child = series(PatientAge="007Y", PatientSex="F")
    age, sex = RULES["patient_age_years"](child, (18, 80)), RULES["patient_sex"](child, ("M",))
    assert (age.found, age.needed) == ("a younger patient", "18 to 80 years")
    assert RULES["patient_age_years"](series(PatientAge="091Y"), (18, 80)).found == "an older patient"
    assert (sex.passed, sex.found, sex.needed) == (False, "another", "M")


@pytest.mark.parametrize(("sex", "passed"), [("M", True), ("F", False), ("O", True), ("", None), (None, None)])
def test_a_sex_is_one_of_those_for_which_the_model_was_validated(sex: str | None, passed: bool | None) -> None:
    assert RULES["patient_sex"](series(PatientSex=sex), ("M", "O")).passed is passed


@pytest.mark.parametrize(
    ("attributes", "limit", "passed"),
    [
        ({"BodyPartExamined": "CHEST"}, ("CHEST", "LUNG"), True),
        ({"BodyPartExamined": "CHESTABDPELVIS"}, ("CHEST",), False),
        ({"BodyPartExamined": "CHESTABDPELVIS"}, ("CHEST*",), True),
        ({"BodyPartExamined": "WHOLE BODY"}, ("WHOLEBODY",), True),
        ({"BodyPartExamined": "HEAD"}, ("CHEST",), False),
        ({"BodyPartExamined": ""}, ("CHEST",), None),
        ({}, ("CHEST",), None),
        ({"AnatomicRegionSequence": (code("51185008", "SCT", "Chest"),)}, ("chest",), True),
        ({"AnatomicRegionSequence": (code("51185008", "SCT", "Chest"),)}, ("51185008",), True),
        ({"AnatomicRegionSequence": (code("69536005", "SCT", "Head"),)}, ("CHEST",), False),
    ],
)
def test_a_body_part_is_known_by_its_name_or_its_code(
    attributes: dict[str, Any], limit: tuple[str, ...], passed: bool | None
) -> None:
    assert RULES["body_parts"](series(**attributes), limit).passed is passed


def test_the_anatomy_of_a_frame_counts() -> None:
    region = item(AnatomicRegionSequence=(code("12738006", "SCT", "Brain"),))
    outcome = RULES["body_parts"](multiframe({"FrameAnatomySequence": region}, [{}, {}]), ("CHEST",))
    assert (outcome.passed, outcome.found) == (False, "12738006 and Brain")
