"""Values, names and texts as people read them."""

from __future__ import annotations

import pytest
from pydicom.valuerep import PersonName

from dicomnode.domain.code import Code
from dicomnode.domain.finding import Measurement
from dicomnode.report.lettering import NAME_NOT_SHOWN, NOT_SHOWN, cut, drawable, font, name_text, wrapped
from dicomnode.report.wording import (
    answer_text,
    measurement_name,
    measurement_text,
    number_text,
    probability_text,
    value_text,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4213.4, "cm3", "4213 ml"),
        (99.96, "cm3", "100 ml"),
        (12.345, "cm3", "12.3 ml"),
        (1.2345, "cm3", "1.23 ml"),
        (0.99961, "cm3", "1.00 ml"),
        (0.0341, "ml", "0.034 ml"),
        (0.0001, "cm3", "< 0.001 ml"),
        (0.0, "cm3", "0.000 ml"),
        (17.96, "mm", "18.0 mm"),
        (0.04, "mm", "< 0.1 mm"),
        (123.6, "mm2", "124 mm²"),
        (-812.25, "[hnsf'U]", "−812 HU"),
        (-0.3, "[hnsf'U]", "0 HU"),
        (5.3249, "g/ml{SUVbw}", "5.32 SUVbw"),
        (5.3, "{SUVbw}g/ml", "5.30 SUVbw"),
        (12.34, "%", "12.3 %"),
        (1020.4, "um2/s", "1020 µm²/s"),
        (0.123456, "1", "0.123"),
        (-0.5, "1", "−0.5"),
        (250.0, "1", "250"),
        (12345.6, "1", "12346"),
        (0.0000123, "1", "1.23×10⁻⁵"),
        (3.14159, "kg/m2", "3.14 kg/m2"),
        (float("nan"), "mm", "not defined"),
    ],
)
def test_a_value_reads_as_its_unit_asks(value: float, unit: str, text: str) -> None:
    assert value_text(value, unit) == text


def test_no_number_reads_minus_zero() -> None:
    assert number_text(-0.04, 1) == "0.0"
    assert number_text(-0.06, 1) == "−0.1"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.934, "93.4 %"), (0.9996, "> 99.9 %"), (1.0, "100.0 %")],
)
def test_a_probability_is_never_rounded_to_certainty(probability: float, text: str) -> None:
    assert probability_text(probability) == text
    assert answer_text(Code(value="1", scheme="99", meaning="Oedema"), probability) == f"Oedema {text}"


def test_a_measurement_says_how_it_sums_up_many_values() -> None:
    mean = Measurement(
        segment_number=1,
        name=Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient"),
        value=-812.25,
        unit=Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit"),
        derivation=Code(value="373098007", scheme="SCT", meaning="Mean"),
    )
    assert (measurement_name(mean), measurement_text(mean)) == ("Attenuation Coefficient, mean", "−812 HU")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Müller^Jörg^Maria^Dr.^Jr.", "Müller, Dr. Jörg Maria Jr."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "Hong, Gildong"),
        ("Wang^XiaoDong=王^小东", "Wang, XiaoDong"),
        ("Иванов^Иван", "Иванов, Иван"),
        ("Διονυσιος", "Διονυσιος"),
        ("王^小东", NAME_NOT_SHOWN),
        ("=王^小东=Wang^Xiao", "Wang, Xiao"),
        ("", "no name"),
        ("^^", "no name"),
    ],
)
def test_a_name_is_shown_in_letters_that_the_font_has(name: str, text: str) -> None:
    assert name_text(PersonName(name)) == text


def test_an_arabic_name_is_shown_only_where_its_letters_can_be_joined() -> None:
    assert name_text("قباني^لنزار", shapes=True) == "قباني, لنزار"
    assert name_text("قباني^لنزار", shapes=False) == NAME_NOT_SHOWN
    assert name_text("قباني^لنزار=Kabbani^Nizar", shapes=False) == "Kabbani, Nizar"


def test_a_text_in_a_script_without_letters_leaves_one_gap() -> None:
    assert drawable("層厚 が 不足: 5 mm") == f"{NOT_SHOWN}: 5 mm"
    assert drawable("two\nlines\x07") == f"two lines{NOT_SHOWN}"


def test_no_line_is_wider_than_asked_and_no_word_is_lost() -> None:
    face = font(20)
    text = "slice spacing: 5.0 mm, needed at most 3.0 mm between neighbouring images of the stack"
    lines = wrapped(text, 300, face)
    assert " ".join(lines) == text
    assert max(face.getlength(line) for line in lines) <= 300
    short = wrapped(text, 300, face, most=2)
    assert len(short) == 2
    assert short[1].endswith("…")
    assert face.getlength(cut("x" * 200, 120, face)) <= 120
