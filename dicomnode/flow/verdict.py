"""How one test of the pre-flight check ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one check ended; `fail` makes the command's exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tested; `seconds` is how long it took, where that tells something."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""
    seconds: float | None = None
