"""Lesions in a table for people: what tumour boards read of each, and how it changed."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.domain.finding import Findings, Measurement
from dicomnode.domain.model import Segment, Subject
from dicomnode.domain.response import Change, Comparison, Lesion
from dicomnode.report.compared import change_text, size_quantity
from dicomnode.report.rank import LONG_AXIS, SHORT_AXIS, VOLUME, is_leading_intensity, key, rank
from dicomnode.report.table import Row, Table, segments_of
from dicomnode.report.wording import measurement_name, measurement_text, value_text

_SIZES = ("Long axis", "Short axis", "Volume")

#: Of the axes; the whole volume of a lesion stands right after them.
_VOLUME_RANK = 2


def lesion_table(findings: Findings) -> Table:
    """A row per lesion that was found, targets first, then those of earlier that were not; no rows without lesions.

    The columns: long and short axis, volume, mean intensity or highest uptake, and with an earlier study the change of
    diameter and volume.
    """
    segments = [one for one in segments_of(findings) if one.subject is not Subject.STRUCTURE]
    leading = _leading(findings, segments)
    comparison = findings.comparison if findings.comparison and findings.comparison.priors else None
    since = ("Δ diameter", "Δ volume") if comparison else ()
    rows = [row for segment in segments if (row := _found(findings, segment, leading, comparison)) is not None]
    rows.sort(key=lambda row: not row.subject.endswith(_TARGET))
    if comparison:
        rows += _gone(comparison, len(leading))
    heads = (*_SIZES, *(_head(findings, name) for name in leading), *since)
    return Table(columns=heads if rows else (), rows=tuple(rows))


_TARGET = " (target)"


def _leading(findings: Findings, segments: list[Segment]) -> tuple[str, ...]:
    """The name of the one intensity that has a column."""
    numbers = {segment.number for segment in segments}
    rows = [one for one in findings.measurements if one.segment_number in numbers and is_leading_intensity(one)]
    return (measurement_name(min(rows, key=rank)),) if rows else ()


def _head(findings: Findings, leading: str) -> str:
    """How its values sum up the voxels; they bear their unit themselves."""
    return next(
        (
            one.derivation.meaning
            for one in findings.measurements
            if measurement_name(one) == leading and one.derivation
        ),
        leading,
    )


def _found(findings: Findings, segment: Segment, leading: tuple[str, ...], comparison: Comparison | None) -> Row | None:
    mine = [one for one in findings.measurements if one.segment_number == segment.number]
    if not mine:
        return None
    sizes = [_text(mine, wanted) for wanted in (LONG_AXIS, SHORT_AXIS, VOLUME)]
    intensities = [
        next((measurement_text(one) for one in mine if measurement_name(one) == name), "") for name in leading
    ]
    lesion, change = _followed(findings.comparison, segment.number)
    return Row(
        subject=segment.label + (_TARGET if lesion and lesion.target else ""),
        color_rgb=segment.color_rgb,
        cells=(*sizes, *intensities, *(_changed(change, lesion) if comparison else ())),
    )


def _text(rows: list[Measurement], wanted: tuple[str, str]) -> str:
    fitting = [one for one in rows if key(one.name) == wanted and rank(one) <= _VOLUME_RANK]
    return measurement_text(fitting[0]) if fitting else "not measured"


def _followed(comparison: Comparison | None, number: int) -> tuple[Lesion | None, Change | None]:
    if comparison is None:
        return None, None
    lesion = next((one for one in comparison.now.lesions if one.segment_number == number), None)
    change = next((one for one in comparison.changes if one.now and one.now.segment_number == number), None)
    return lesion, change


def _changed(change: Change | None, lesion: Lesion | None) -> tuple[str, str]:
    if change is None or lesion is None:
        return ("", "")
    size = change_text(change, size_quantity(lesion))
    return (size, change_text(change, "volume_ml") if change.before else "")


def _gone(comparison: Comparison, intensities: int) -> Iterator[Row]:
    for change in comparison.changes:
        before = change.before
        if before is None or change.now is not None:
            continue
        sizes = [
            f"was {value_text(value, unit)}" if value is not None else ""
            for value, unit in ((before.longest_mm, "mm"), (before.short_mm, "mm"), (before.volume_ml, "cm3"))
        ]
        yield Row(
            subject=before.label + (_TARGET if before.target else ""),
            color_rgb=None,
            cells=(*sizes, *[""] * intensities, change_text(change, "longest_mm"), ""),
        )
