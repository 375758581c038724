"""A query never asks for more than one patient."""

from __future__ import annotations

import pytest

from dicomnode.domain.errors import Unsuitable
from dicomnode.query.find import fit_key


@pytest.mark.parametrize("patient_id", ["", " ", "   "])
def test_nothing_is_asked_for_without_a_patient_id(patient_id: str) -> None:
    with pytest.raises(Unsuitable, match="no Patient ID"):
        fit_key(patient_id)


@pytest.mark.parametrize("patient_id", ["*", "12*", "12?4", "a\\b", "1\n2", "1" * 65])
def test_a_patient_id_that_could_match_others_is_refused_and_not_repeated(patient_id: str) -> None:
    with pytest.raises(Unsuitable) as refused:
        fit_key(patient_id)
    assert patient_id not in str(refused.value)


def test_padding_is_no_part_of_a_patient_id() -> None:
    assert fit_key("123-A ") == "123-A"
