"""What came of an analysis, for people at a terminal and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicomnode.domain.errors import DicomNodeError, Unsuitable
from dicomnode.domain.finding import Check, Findings, Measurement
from dicomnode.flow.process import Processed


def show(done: Processed, out: Console) -> None:
    """Segments, boxes, classes, scores and checks as tables, then remarks and files."""
    findings = done.analysis.findings
    for title, columns, rows in (
        ("segments", ("segment", "voxels"), _segments(findings)),
        ("boxes", ("number", "finding", "score", "corners (slice, row, column)"), _boxes(findings)),
        ("classes", ("question", "answer", "probability"), _classes(findings)),
        ("measurements", ("about", "measurement", "value", "unit"), _numbers(findings)),
        ("checks", ("rule", "", "found", "needed"), _checks(findings.checks)),
    ):
        _table(title, columns, list(rows), out)
    for text in (*done.remarks, *findings.warnings):
        out.print(f"note: {escape(text)}", highlight=False, soft_wrap=True)
    stages = done.analysis.seconds.items()
    out.print(", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in stages), highlight=False)
    for path in done.written:
        out.print(f"wrote {escape(str(path))}", highlight=False, soft_wrap=True)


def show_refusal(error: DicomNodeError, out: Console) -> None:
    """Why nothing was analysed, and what was looked at."""
    out.print(f"[red]not analysed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    _table("checks", ("rule", "", "found", "needed"), list(_checks(_made(error))), out)


def as_json(done: Processed) -> dict[str, Any]:
    """The same for a script."""
    findings = done.analysis.findings
    labels = _labels(findings)
    return {
        "analysed": True,
        "segments": [dict(zip(("number", "label", "voxels"), mask, strict=True)) for mask in _masks(findings)],
        "boxes": [
            {"number": one.number, "label": one.segment.label, "score": one.score, "low": one.low, "high": one.high}
            for one in findings.detections
        ],
        "classes": [
            {
                "question": one.question.meaning,
                "answer": one.answer.meaning,
                "probabilities": {code.meaning: probability for code, probability in one.probabilities},
            }
            for one in findings.classifications
        ],
        "measurements": [
            {"about": labels[one.segment_number], "name": _name(one), "value": one.value, "unit": one.unit.value}
            for one in findings.measurements
        ],
        "features": [
            {"about": labels[one.segment_number], "name": _name(row), "value": row.value, "unit": row.unit.value}
            for one in findings.features
            for row in one.measurements
        ],
        "checks": _json_checks(findings.checks),
        "warnings": list(findings.warnings),
        "remarks": list(done.remarks),
        "seconds": done.analysis.seconds,
        "written": [str(path) for path in done.written],
    }


def refusal_as_json(error: DicomNodeError) -> dict[str, Any]:
    """The same for a script."""
    return {"analysed": False, "reason": str(error), "checks": _json_checks(_made(error))}


def _made(error: DicomNodeError) -> tuple[Check, ...]:
    return error.checks if isinstance(error, Unsuitable) else ()


def _json_checks(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {"rule": one.rule, "found": one.found, "limit": one.limit, "passed": one.passed, "severity": str(one.severity)}
        for one in checks
    ]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], out: Console) -> None:
    if rows:
        table = Table(*columns, title=title, title_justify="left", box=None)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        out.print(table)


def _masks(findings: Findings) -> Iterator[tuple[int, str, int]]:
    labels = findings.segmentation.volume.array
    for segment in findings.segmentation.segments:
        yield segment.number, segment.label, int((labels == segment.number).sum())


def _segments(findings: Findings) -> Iterator[tuple[str, ...]]:
    for _number, label, voxels in _masks(findings):
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
    labels = _labels(findings)
    for one in findings.measurements:
        yield labels[one.segment_number], _name(one), f"{one.value:.4g}", one.unit.value


def _checks(checks: Sequence[Check]) -> Iterator[tuple[str, ...]]:
    for one in checks:
        yield one.rule.replace("_", " "), "passed" if one.passed else str(one.severity), one.found, one.limit


def _labels(findings: Findings) -> dict[int, str]:
    return {0: "series", **{segment.number: segment.label for segment in findings.segmentation.segments}}


def _name(one: Measurement) -> str:
    return f"{one.derivation.meaning} {one.name.meaning}" if one.derivation else one.name.meaning
