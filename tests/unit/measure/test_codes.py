"""The codes of this room against the dictionary of PS3.16."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom.sr._concepts_dict import concepts

from dicomnode.domain.code import Code
from dicomnode.measure import codes

OWN = [code for code in vars(codes).values() if isinstance(code, Code)] + [*codes.EXTENTS, *codes.CENTROID]


def meanings(scheme: str, value: str) -> Iterator[str]:
    listed: dict[str, dict[str, tuple[str, list[int]]]] = dict(concepts[scheme])  # type: ignore[arg-type]
    for found in listed.values():
        if value in found:
            yield found[value][0]


@pytest.mark.parametrize("code", [code for code in OWN if code.scheme in ("DCM", "SCT", "IBSI")], ids=str)
def test_a_public_code_means_what_the_standard_says(code: Code) -> None:
    # A code may stand under several names, of which one is the meaning.
    assert code.meaning in set(meanings(code.scheme, code.value))


@pytest.mark.parametrize("code", [code for code in OWN if code.scheme == codes.PRIVATE], ids=str)
def test_a_private_code_fits_the_value_representations_of_its_attributes(code: Code) -> None:
    assert len(code.value) <= 16
    assert len(code.meaning) <= 64
    assert len(codes.PRIVATE) <= 16


def test_made_up_words_have_one_code_each() -> None:
    first, again, other = (codes.described("PART", f"Volume of {part}") for part in ("core", "core", "rim"))
    assert first == again
    assert first.value != other.value
    assert len(codes.described("RANGE", "x" * 100).meaning) == 64


def test_glycolysis_has_what_stands_over_the_millilitre() -> None:
    for unit, expected in (("g/ml{SUVbw}", "g"), ("cm2/ml{SUVbsa}", "cm2"), ("g/ml{SUVlbm(James128)}", "g")):
        coded = codes.quantity("PT", unit)
        assert coded is not None
        assert codes.is_uptake(coded[0])
        assert codes.glycolysis_unit(coded[1]).value == expected
