"""What came of an analysis, for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dicomnode.domain.errors import ConfigError, DicomNodeError
from dicomnode.domain.finding import Check
from dicomnode.flow.outcome import labels_of, masks, name_of
from dicomnode.flow.process import NotAnalysed, Processed


def as_json(done: Processed) -> dict[str, Any]:
    """Everything that was found, and what was looked at and written."""
    findings = done.analysis.findings
    labels = labels_of(findings)
    return {
        "analysed": True,
        "segments": [dict(zip(("number", "label", "voxels"), mask, strict=True)) for mask in masks(findings)],
        "boxes": [
            {"number": one.number, "label": one.segment.label, "score": _digits(one.score)}
            | {"low": one.low, "high": one.high}
            for one in findings.detections
        ],
        "classes": [
            {
                "question": one.question.meaning,
                "answer": one.answer.meaning,
                "probabilities": {code.meaning: _digits(probability) for code, probability in one.probabilities},
            }
            for one in findings.classifications
        ],
        "measurements": [
            {"about": labels[one.segment_number], "name": name_of(one), "value": one.value, "unit": one.unit.value}
            for one in findings.measurements
        ],
        "features": [
            {"about": labels[one.segment_number], "name": name_of(row), "value": row.value, "unit": row.unit.value}
            for one in findings.features
            for row in one.measurements
        ],
        "checks": _json_checks(findings.checks),
        "warnings": list(findings.warnings),
        "remarks": list(done.remarks),
        "seconds": done.analysis.seconds,
        "written": [str(path) for path in done.written],
    }


def refusal_as_json(refusal: NotAnalysed) -> dict[str, Any]:
    """Why nothing was analysed, and what was looked at and written."""
    return {
        "analysed": False,
        "reason": refusal.reason,
        "checks": _json_checks(refusal.checks),
        "remarks": list(refusal.remarks),
        "written": [str(path) for path in refusal.written],
    }


def error_as_json(error: DicomNodeError) -> dict[str, Any]:
    """Why a command failed, and every fault of a configuration or bundle, for a script."""
    told: dict[str, Any] = {"reason": str(error)}
    if isinstance(error, ConfigError):
        told["faults"] = [{"key": one.key, "value": one.value, "remedy": one.remedy} for one in error.faults]
    return told


def _json_checks(checks: Sequence[Check]) -> list[dict[str, Any]]:
    return [
        {"rule": one.rule, "found": one.found, "limit": one.limit, "passed": one.passed, "severity": str(one.severity)}
        for one in checks
    ]


def _digits(probability: float) -> float:
    """Without the digits that single precision does not have."""
    return float(f"{probability:.7g}")
