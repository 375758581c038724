"""Times of a study, words that name nobody, and the numbers of a report."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sequence import Sequence

from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.shown.measured import measurements, numbers
from dicomnode.flow.shown.times import Stage, journey, stages
from dicomnode.flow.shown.words import WITHHELD, for_caller
from dicomnode.store.story import Line


def line(second: int, entity: str, entity_id: str, arrow: str) -> Line:
    return Line(at=f"2026-11-21T08:00:{second:02}.000000Z", entity=entity, entity_id=entity_id, arrow=arrow, detail="")


STORY = [
    line(0, "study", "revision 1", "opened"),
    line(5, "job", "1 (chest)", "created"),
    line(7, "job", "1 (chest)", "claimed"),
    line(8, "job", "1 (chest)", "retried"),
    line(10, "job", "1 (chest)", "claimed"),
    line(30, "job", "1 (chest)", "finished"),
]


def test_the_stages_of_a_job_are_read_from_its_words() -> None:
    assert stages("read 0.20 s, check 0.02 s, register earlier 12.00 s, no SUV: 3.5 s is no stage") == [
        Stage(name="read", seconds=0.2), Stage(name="check", seconds=0.02),
        Stage(name="register earlier", seconds=12.0),
    ]  # fmt: skip
    assert stages("not analysed: no images") == []


def test_the_journey_of_a_job_is_told_from_the_story() -> None:
    told = journey(STORY, 1, "chest", "2026-11-21T08:00:33.500000Z")
    assert [(one.name, one.seconds) for one in told] == [
        ("arriving and settling", 5.0), ("waiting for its turn", 5.0), ("analysing", 20.0), ("sending", 3.5),
    ]  # fmt: skip
    assert [one.name for one in journey(STORY[:2], 1, "chest", "")] == ["arriving and settling"]
    assert journey(STORY, 2, "chest", "") == []


@pytest.mark.parametrize(
    ("entity", "text", "told"),
    [
        ("delivery to PACS", "0000 Success", "0000 Success"),
        ("delivery", "A700 Refused: Out of Resources: no room for Doe", f"A700 Refused: Out of Resources: {WITHHELD}"),
        ("delivery", "C123 Doe^Jane is on the black list", f"C123 Cannot Understand: {WITHHELD}"),
        ("delivery", "PACS: no connection", "PACS: no connection"),
        ("rule", "series 2 does not match: PatientName equals X: found Doe^Jane; Modality equals CT: found MR",
         f"series 2 does not match: PatientName equals X: found {WITHHELD}; Modality equals CT: found MR"),
        ("job", "not analysed: 3 slices", "not analysed: 3 slices"),
    ],
)  # fmt: skip
def test_words_name_nobody_to_whoever_may_not_see_it(entity: str, text: str, told: str) -> None:
    assert for_caller(entity, text, sees_names=False) == told
    assert for_caller(entity, text, sees_names=True) == text


def concept(value: str, meaning: str) -> Sequence:
    return Sequence([CodedConcept(value, "DCM", meaning)])


def test_the_numbers_of_a_report_come_with_their_units(tmp_path: Path) -> None:
    tracking, number, unit, value, group, report = (Dataset() for _ in range(6))
    tracking.ValueType, tracking.TextValue = "TEXT", "Nodule 1"
    tracking.ConceptNameCodeSequence = concept("112039", "T")
    unit.CodeValue = "[hnsf'U]"
    value.NumericValue, value.MeasurementUnitsCodeSequence = "-805.25", Sequence([unit])
    number.ValueType, number.ConceptNameCodeSequence = "NUM", concept("1", "Mean")
    number.MeasuredValueSequence = Sequence([value])
    group.ConceptNameCodeSequence, group.ContentSequence = concept("125007", "Group"), Sequence([tracking, number])
    report.ContentSequence = Sequence([group])
    assert list(measurements(report)) == [("Nodule 1", "Mean", "-805.2", "[hnsf'U]")]
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.33", "1.2"
    path = tmp_path / "report"
    report.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=False)
    with pytest.raises(Unsuitable):
        numbers(path)
    with pytest.raises(Unsuitable, match="not here"):
        numbers(tmp_path / "gone")
