"""The table of explained messages lets nothing through that it does not name."""

from __future__ import annotations

import pytest

from tests.acceptance.validators import explained, unexplained

pytestmark = pytest.mark.acceptance

NAME = "Warning - </PatientName(0010,0010)[1]> - Value dubious for this VR [PN] = <X> - Retired Person Name form"


@pytest.mark.parametrize(
    "line",
    [
        "Error - </PatientID(0010,0020)> - Missing attribute for Type 2 Required - Module=<Patient>",
        NAME.replace("Warning", "Error"),
        f"{NAME} and more",
    ],
)
def test_a_message_without_a_row_is_left(line: str) -> None:
    assert unexplained("dciodvfy", [line], inherited=[line]) == [line]


def test_what_the_source_is_blamed_for_has_to_be_said_of_the_source() -> None:
    assert unexplained("dciodvfy", [NAME], inherited=[NAME]) == []
    assert unexplained("dciodvfy", [NAME], inherited=[NAME.replace("<X>", "<Y>")]) == [NAME]
    assert unexplained("dcentvfy", [NAME], inherited=[NAME]) == [NAME]


def test_only_the_study_may_be_named_like_an_object_that_is_not_there() -> None:
    line = "Error - Missing SOPInstanceUID that was referenced - 2.25.7 for file <a.dcm>"
    assert unexplained("dcentvfy", [line], study="2.25.7") == []
    assert unexplained("dcentvfy", [line], study="2.25.70") == [line]
    assert unexplained("dcentvfy", [line]) == [line]


def test_every_row_is_of_a_known_kind_and_no_row_is_twice() -> None:
    table = explained()
    assert {row.whose for row in table} == {"checker", "node", "source", "unknown"}
    assert len({(row.program, row.message) for row in table}) == len(table)
