"""A coded concept: value, scheme and meaning (PS3.3 section 8)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Code Value, Coding Scheme Designator and Code Meaning of one concept."""

    value: str
    scheme: str
    meaning: str

    def __str__(self) -> str:
        return f"({self.value}, {self.scheme}, “{self.meaning}”)"
