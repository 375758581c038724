"""Times of a study, words that name nobody, and the numbers of a report."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sequence import Sequence

from dicomnode.domain.errors import Unsuitable
from dicomnode.flow.shown.measured import figures, measurements, numbers
from dicomnode.flow.shown.times import Stage, journey, stages
from dicomnode.flow.shown.words import WITHHELD, for_caller, of_story
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
        ("rule", "AccessionNumber equals A1: found A77", f"AccessionNumber equals A1: found {WITHHELD}"),
        ("rule", "StudyDescription contains x: found Nachsorge Mueller",
         f"StudyDescription contains x: found {WITHHELD}"),
        ("rule", "PatientName present: found Doe^J; Secret^X; Modality equals CT: found CT",
         f"PatientName present: found {WITHHELD}; Modality equals CT: found CT"),
        ("rule", "Modality equals CT: found MR; Doe^J; K. present: found x",
         f"Modality equals CT: found MR; {WITHHELD}"),
        ("rule", "series 1.2.3, stack 2 (CT, 3 objects) matches as input ct: peer equals A: found A",
         "series 1.2.3, stack 2 (CT, 3 objects) matches as input ct: peer equals A: found A"),
        ("rule", "OtherPatientIDsSequence.PatientID present: found 7",
         f"OtherPatientIDsSequence.PatientID present: found {WITHHELD}"),
        ("rule", "RadiopharmaceuticalInformationSequence.RadionuclideTotalDose at least 1: found 3",
         "RadiopharmaceuticalInformationSequence.RadionuclideTotalDose at least 1: found 3"),
        ("rule", "model toy: no such bundle", "model toy: no such bundle"),
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
    assert list(measurements(report)) == [("Nodule 1", "Mean", "-805.25", "[hnsf'U]")]
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.33", "1.2"
    path = tmp_path / "report"
    report.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=False)
    with pytest.raises(Unsuitable):
        numbers(path)
    with pytest.raises(Unsuitable, match="not here"):
        numbers(tmp_path / "gone")


def test_a_number_that_could_not_be_had_leaves_the_others_to_be_read() -> None:
    tracking, absent, number, unit, value, group, report = (Dataset() for _ in range(7))
    tracking.ValueType, tracking.TextValue = "TEXT", "Nodule 1"
    tracking.ConceptNameCodeSequence = concept("112039", "T")
    unit.CodeValue = "cm3"
    value.NumericValue, value.MeasurementUnitsCodeSequence = "0.04", Sequence([unit])
    for item, values in ((absent, Sequence()), (number, Sequence([value]))):
        item.ValueType, item.ConceptNameCodeSequence, item.MeasuredValueSequence = "NUM", concept("1", "V"), values
    group.ConceptNameCodeSequence = concept("125007", "Group")
    group.ContentSequence = Sequence([tracking, absent, number])
    report.ContentSequence = Sequence([group])
    assert list(measurements(report)) == [("Nodule 1", "V", "", ""), ("Nodule 1", "V", "0.04", "cm3")]


@pytest.mark.parametrize(
    ("value", "told"),
    [("0.04", "0.04"), ("0.962", "0.962"), ("-805.25", "-805.2"), ("12345.6", "12346"), ("1.23456e-05", "1.235e-05"),
     ("", "none")],
)  # fmt: skip
def test_small_numbers_keep_their_digits(value: str, told: str) -> None:
    assert figures(value) == told


@pytest.mark.parametrize(
    ("arrow", "text", "told"),
    [
        ("flagged", "by anna: Doe has no spleen", f"by anna: {WITHHELD}"),
        ("retracted", "Rejected for Quality Reasons: the wrong Doe; 2 objects at destinations",
         f"Rejected for Quality Reasons: {WITHHELD}"),
        ("settled", "quiet for 10 s: settled", "quiet for 10 s: settled"),
    ],
)  # fmt: skip
def test_what_people_wrote_is_for_those_who_may_see_names(arrow: str, text: str, told: str) -> None:
    assert of_story("study", arrow, text, sees_names=False) == told
    assert of_story("study", arrow, text, sees_names=True) == text
