"""What a job came to in figures that name no patient, and the scanner whose images it was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Ending(StrEnum):
    """How a job has ended: with results, blocked by the quality gate, by its series otherwise, or by a fault."""

    DONE = "done"
    BLOCKED = "blocked"
    UNSUITABLE = "unsuitable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What an analysis found, in numbers.

    Attributes
    ----------
    version
        Of the model's bundle; empty where that could not be read.
    findings
        Regions and boxes; None where the task finds none, as a classifier.
    volume_ml
        Of all regions together; None where none is measured.
    urgent
        Labels of findings that the bundle marks urgent.
    """

    version: str = ""
    findings: int | None = None
    volume_ml: float | None = None
    urgent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A device as the headers of its images name it (PS3.3 C.7.5.1)."""

    manufacturer: str
    model: str
    station: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.manufacturer, self.model, self.station))) or "a scanner without a name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One job that has ended."""

    ended_at: datetime
    ending: Ending
    findings: int | None
    volume_ml: float | None
