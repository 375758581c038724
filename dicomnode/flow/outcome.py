"""What came of an analysis, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from dicomnode.domain.finding import Check, Findings, Measurement
from dicomnode.flow.listing import listed
from dicomnode.flow.process import NotAnalysed, Processed


def show(done: Processed, out: Console) -> None:
    """Segments, boxes, classes, scores and checks as tables, then remarks and files."""
    findings = done.analysis.findings
    for title, columns, rows in (
        ("segments", ("segment", "voxels"), _segments(findings)),
        ("boxes", ("number", "finding", "score", "corners (slice, row, column)"), _boxes(findings)),
        ("classes", ("question", "answer", "probability"), _classes(findings)),
        ("measurements", ("about", "measurement", "value", "unit"), _numbers(findings)),
    ):
        _table(title, columns, list(rows), out)
    _show_checks(findings.checks, out)
    _show_notes((*done.remarks, *findings.warnings), out)
    stages = done.analysis.seconds.items()
    out.print(", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in stages), highlight=False)
    _show_written(done.written, out)


def show_refusal(refusal: NotAnalysed, out: Console) -> None:
    """Why nothing was analysed, what was looked at, and what was left out."""
    out.print(f"[red]not analysed:[/] {escape(refusal.reason)}", highlight=False, soft_wrap=True)
    _show_checks(refusal.checks, out)
    _show_notes(refusal.remarks, out)
    _show_written(refusal.written, out)


def _show_checks(checks: Sequence[Check], out: Console) -> None:
    if checks:
        out.print("checks", style="italic")
        rows = ((_verdict(one), f"{one.rule.replace('_', ' ')}: {one.found}, needed {one.limit}") for one in checks)
        out.print(Padding(listed(rows), (0, 0, 0, 1)))


def _verdict(one: Check) -> str:
    return "passed" if one.passed else str(one.severity)


def _show_notes(notes: Sequence[str], out: Console) -> None:
    for text in notes:
        out.print(f"note: {escape(text)}", highlight=False, soft_wrap=True)


def _show_written(paths: Sequence[Path], out: Console) -> None:
    for path in paths:
        out.print(f"wrote {escape(str(path))}", highlight=False, soft_wrap=True)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], out: Console) -> None:
    if rows:
        table = Table(*columns, title=title, title_justify="left", box=None)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        out.print(table)


def masks(findings: Findings) -> Iterator[tuple[int, str, int]]:
    """Number, label and voxels of every segment."""
    labels = findings.segmentation.volume.array
    for segment in findings.segmentation.segments:
        yield segment.number, segment.label, int((labels == segment.number).sum())


def _segments(findings: Findings) -> Iterator[tuple[str, ...]]:
    for _number, label, voxels in masks(findings):
        yield label, str(voxels) if voxels else "nothing found"


def _boxes(findings: Findings) -> Iterator[tuple[str, ...]]:
    for one in findings.detections:
        low, high = (", ".join(f"{value:.1f}" for value in corner) for corner in (one.low, one.high))
        yield str(one.number), one.segment.label, f"{one.score:.3f}", f"{low} to {high}"


def _classes(findings: Findings) -> Iterator[tuple[str, ...]]:
    for one in findings.classifications:
        for code, probability in one.probabilities:
            yield one.question.meaning, ("→ " if code == one.answer else "  ") + code.meaning, f"{probability:.3f}"


def _numbers(findings: Findings) -> Iterator[tuple[str, ...]]:
    labels = labels_of(findings)
    for one in findings.measurements:
        yield labels[one.segment_number], name_of(one), f"{one.value:.4g}", one.unit.value


def labels_of(findings: Findings) -> dict[int, str]:
    """Number of a segment → what messages call it; 0 is the series."""
    return {0: "series", **{segment.number: segment.label for segment in findings.segmentation.segments}}


def name_of(one: Measurement) -> str:
    """What is measured, with its derivation."""
    return f"{one.derivation.meaning} {one.name.meaning}" if one.derivation else one.name.meaning
