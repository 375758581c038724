"""Measurements and answers of an analysis in the lines of a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomnode.domain.finding import Findings, Measurement
from dicomnode.domain.model import Segment
from dicomnode.report.wording import answer_text, measurement_name, measurement_text, number_text

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
    """The measurements, a row per segment in the order of the model; those of the whole series last."""
    names = tuple(dict.fromkeys(measurement_name(one) for one in findings.measurements))
    subjects: list[tuple[int, Segment | None]] = [(one.number, one) for one in findings.segmentation.segments]
    rows = []
    for number, segment in [*subjects, (_WHOLE_SERIES, None)]:
        told = {measurement_name(one): measurement_text(one) for one in _about(findings.measurements, number)}
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
    """The measurements of one segment, one to a line."""
    return [
        f"{measurement_name(one)}: {measurement_text(one)}" for one in _about(findings.measurements, segment.number)
    ]


def answers(findings: Findings) -> list[str]:
    """Boxes with their scores, then answers of classifiers with the probability of each, one to a line."""
    lines = [f"{one.segment.label} {one.number}: score {number_text(one.score, 2)}" for one in findings.detections]
    for found in findings.classifications:
        others = ", ".join(answer_text(answer, probability) for answer, probability in found.probabilities)
        lines.append(f"{found.question.meaning}: {found.answer.meaning} ({others})")
    return lines


def _about(measurements: Sequence[Measurement], number: int) -> list[Measurement]:
    return [one for one in measurements if one.segment_number == number]
