"""Measurements and answers of an analysis in the lines of a table for people."""

from __future__ import annotations

from dataclasses import dataclass

from dicomnode.domain.finding import Findings
from dicomnode.domain.model import Segment, Subject
from dicomnode.report.rank import rank, tells_place
from dicomnode.report.wording import answer_text, measurement_names, measurement_text, number_text

#: Measurements about the whole series bear this in place of a segment's number.
_WHOLE_SERIES = 0

WHOLE_SERIES = "Whole series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One subject with what was found of each of the table's quantities, empty where it was not measured."""

    subject: str
    color_rgb: tuple[int, int, int] | None
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A row per subject, a column per quantity."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def table_of(findings: Findings) -> Table:
    """The measurements of all but lesions, a row per segment in the order of the model; the whole series last."""
    subjects: list[tuple[int, Segment | None]] = [
        (one.number, one) for one in segments_of(findings) if one.subject is Subject.STRUCTURE
    ]
    numbers = {_WHOLE_SERIES, *(number for number, _ in subjects)}
    shown = [one for one in findings.measurements if one.segment_number in numbers and not tells_place(one)]
    named = list(zip(measurement_names(shown), shown, strict=True))
    names = tuple(dict.fromkeys(name for name, _ in named))
    rows = []
    for number, segment in [*subjects, (_WHOLE_SERIES, None)]:
        told = {name: measurement_text(one) for name, one in named if one.segment_number == number}
        if told:
            rows.append(
                Row(
                    subject=segment.label if segment else WHOLE_SERIES,
                    color_rgb=segment.color_rgb if segment else None,
                    cells=tuple(told.get(name, "") for name in names),
                )
            )
    return Table(columns=names, rows=tuple(rows))


def lines_about(findings: Findings, segment: Segment) -> list[str]:
    """The measurements of one segment, one to a line, the most telling first; then what could not be measured."""
    mine = [one for one in findings.measurements if one.segment_number == segment.number and not tells_place(one)]
    mine.sort(key=rank)
    lines = [f"{name}: {measurement_text(one)}" for name, one in zip(measurement_names(mine), mine, strict=True)]
    absent = [one for one in findings.absent if one.segment_number == segment.number]
    return lines + [f"{one.name.meaning}: not measured, {one.text}" for one in sorted(absent, key=rank)]


def segments_of(findings: Findings) -> list[Segment]:
    """The segments of all label maps."""
    return [segment for layer in findings.segmentation.layers for segment in layer.segments]


def answers(findings: Findings) -> list[str]:
    """Boxes with their scores, then answers of classifiers with the probability of each, one to a line."""
    lines = [f"{one.segment.label} {one.number}: score {number_text(one.score, 2)}" for one in findings.detections]
    for found in findings.classifications:
        others = ", ".join(answer_text(answer, probability) for answer, probability in found.probabilities)
        lines.append(f"{found.question.meaning}: {found.answer.meaning} ({others})")
    return lines
