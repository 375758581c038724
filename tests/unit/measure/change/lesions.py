"""Lesions and time points as tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from dicomnode.domain.code import Code
from dicomnode.domain.response import Lesion, TimePoint

LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
LIVER = Code(value="10200004", scheme="SCT", meaning="Liver")


def lesion(uid: str, longest: float | None = 20.0, short: float | None = None, **named: Any) -> Lesion:
    """A target lesion of the lung; its short axis half its long one unless told."""
    half = None if longest is None else longest / 2
    settings: dict[str, Any] = {"organ": LUNG, "target": True, "label": uid, **named}
    return Lesion(tracking_uid=uid, longest_mm=longest, short_mm=half if short is None else short, **settings)


def point(day: str, lesions: Sequence[Lesion], **named: Any) -> TimePoint:
    """What one study says."""
    settings: dict[str, Any] = {"measured_by": "model 1.0.0", **named}
    return TimePoint(
        study_instance_uid=f"1.2.{day.replace('-', '')}",
        day=date.fromisoformat(day),
        lesions=tuple(lesions),
        **settings,
    )
