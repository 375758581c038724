"""Two studies are one patient's only where four attributes say so."""

from __future__ import annotations

import pytest

from dicomnode.domain.prior import PatientIdentity

ANNE = PatientIdentity(patient_id="1", issuer="HOSPITAL", birth_date="19700101", sex="F")


def identity(**changes: str) -> PatientIdentity:
    values = {"patient_id": "1", "issuer": "HOSPITAL", "birth_date": "19700101", "sex": "F"}
    return PatientIdentity(**{**values, **changes})


def test_what_agrees_leaves_no_doubt() -> None:
    assert ANNE.doubts(identity()) == ()


@pytest.mark.parametrize(
    ("changed", "keyword"),
    [
        ("patient_id", "PatientID"),
        ("issuer", "IssuerOfPatientID"),
        ("birth_date", "PatientBirthDate"),
        ("sex", "PatientSex"),
    ],
)
@pytest.mark.parametrize("value", ["", "something else"])
def test_whatever_differs_or_is_empty_on_one_side_is_a_doubt(changed: str, keyword: str, value: str) -> None:
    assert ANNE.doubts(identity(**{changed: value})) == (keyword,)
    assert identity(**{changed: value}).doubts(ANNE) == (keyword,)


def test_what_both_lack_vouches_for_nothing() -> None:
    nobody = identity(birth_date="", sex="")
    assert nobody.doubts(nobody) == ("PatientBirthDate", "PatientSex")


def test_a_hospital_that_writes_no_issuer_is_one_domain() -> None:
    assert identity(issuer="").doubts(identity(issuer="")) == ()


def test_what_a_data_set_leaves_empty_is_taken_from_its_study_and_nothing_else() -> None:
    assert identity(birth_date="", sex="").completed(ANNE) == ANNE
    assert identity(sex="M", issuer="").completed(ANNE).doubts(ANNE) == ("PatientSex",)
